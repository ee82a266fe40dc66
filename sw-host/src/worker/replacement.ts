/**
 * Chooses the moment at which the worker that waits for this one is told to take over.
 *
 * Chromium tries once for each `skipWaiting` that is the only one pending: it stops the old worker as soon as that has nothing to do. A request
 * that comes while it is being stopped starts it again, and the try is lost; the next one counts only once the waiting worker itself was
 * stopped for idleness. So the word is first given at a quiet moment.
 */

/** Nothing may have come for so long, in milliseconds. */
export const QUIET_MS = 150
/** Where no moment is quiet, the word is given when answers leave together, from this time on after the first one wished for it, in milliseconds. */
export const RESTLESS_MS = 300
/** Least time between two words, in milliseconds. */
export const AGAIN_MS = 200

/** The moments of one worker. */
export class Replacement {
  readonly #wanted: () => boolean
  readonly #urge: () => void
  #timer: ReturnType<typeof setTimeout> | undefined
  #underWay = 0
  #since = 0
  #urged = Number.NEGATIVE_INFINITY

  /**
   * @param wanted whether another worker waits for this one
   * @param urge tells it to take over
   */
  constructor(wanted: () => boolean, urge: () => void) {
    this.#wanted = wanted
    this.#urge = urge
  }

  /** Something came: the moment is not quiet until it is done and nothing else comes. Work that may go on for long is not told. */
  came(work?: Promise<unknown>): void {
    clearTimeout(this.#timer)
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

  /** All answers have just left, and for the time of one round trip there is nothing to do. */
  left(): void {
    if (!this.#wanted()) return this.#forget()
    this.#since ||= Date.now()
    if (Date.now() - this.#since >= RESTLESS_MS) this.#now()
  }

  #rest(): void {
    clearTimeout(this.#timer)
    if (!this.#wanted()) return this.#forget()
    if (this.#underWay > 0) return
    this.#timer = setTimeout(() => this.#now(), QUIET_MS)
  }

  #forget(): void {
    this.#since = 0
  }

  #now(): void {
    if (Date.now() - this.#urged < AGAIN_MS || !this.#wanted()) return
    this.#urged = Date.now()
    this.#urge()
  }
}
