/**
 * Chooses the moment at which the worker that waits for this one is told to take over.
 *
 * Chromium tries once for a `skipWaiting` that is the only one pending: it stops the old worker as soon as that has nothing to do. A request
 * that comes while it is being stopped starts it again, and the try is lost; the next one counts only once the waiting worker itself was
 * stopped for idleness, after 30 s without an event. So the word is given at a quiet moment or, where none is, while all answers are held back.
 */

/** Nothing may have come for so long, in milliseconds. */
export const QUIET_MS = 150
/** Where no moment is quiet, the word is given with answers held back, from this time on after something first came, in milliseconds. */
export const RESTLESS_MS = 300
/** Least time between two words, in milliseconds. */
export const AGAIN_MS = 3_000

/** The moments of one worker. */
export class Replacement {
  readonly #wanted: () => boolean
  readonly #urge: () => Promise<unknown>
  #timer: ReturnType<typeof setTimeout> | undefined
  #underWay = 0
  #since = 0
  #urged = Number.NEGATIVE_INFINITY

  /**
   * @param wanted whether another worker waits for this one
   * @param urge tells it to take over; settles when that was heard
   */
  constructor(wanted: () => boolean, urge: () => Promise<unknown>) {
    this.#wanted = wanted
    this.#urge = urge
  }

  /** Something came: the moment is not quiet until it is done and nothing else comes. Work that may go on for long is not told. */
  came(work?: Promise<unknown>): void {
    clearTimeout(this.#timer)
    if (!this.#wanted()) this.#since = 0
    else this.#since ||= Date.now()
    if (work) {
      this.#underWay++
      const done = (): void => {
        this.#underWay--
        this.#rest()
      }
      void work.then(done, done)
    } else {
      this.#rest()
    }
  }

  /** Whether no moment was quiet, and the word is to be given while answers are held back. */
  due(): boolean {
    return this.#since > 0 && Date.now() - this.#since >= RESTLESS_MS && this.#may()
  }

  /** Gives the word. @returns settles when it was heard, at once where it may not be given now */
  async say(): Promise<void> {
    if (!this.#may()) return
    this.#urged = Date.now()
    await this.#urge()
  }

  #rest(): void {
    clearTimeout(this.#timer)
    if (this.#underWay > 0 || !this.#wanted()) return
    this.#timer = setTimeout(() => void this.say(), QUIET_MS)
  }

  #may(): boolean {
    return Date.now() - this.#urged >= AGAIN_MS && this.#wanted()
  }
}
