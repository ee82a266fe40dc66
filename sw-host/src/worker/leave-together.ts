/**
 * Makes idle moments. A browser replaces a busy worker only at a moment when nothing is under way in it, and pages that send
 * their next request on each answer never leave one. While this worker is to be replaced, finished answers therefore wait until
 * everything under way is finished, and then leave all at once: for the time of one round trip there is nothing to do.
 */

/** Longest wait of a finished answer, in milliseconds. */
export const TOGETHER_MS = 500

/** Counts what is under way. */
export class LeaveTogether {
  readonly #replaced: () => boolean
  #underWay = 0
  #atTheDoor: (() => void)[] = []
  #timer: ReturnType<typeof setTimeout> | undefined

  readonly #idle: () => void

  /**
   * @param replaced whether this worker is to be replaced
   * @param idle called when everything leaves
   */
  constructor(replaced: () => boolean, idle: () => void) {
    this.#replaced = replaced
    this.#idle = idle
  }

  /** The work's result, at a moment that leaves an idle one behind if one is wanted. */
  async pass<T>(work: Promise<T>): Promise<T> {
    this.#underWay++
    try {
      return await work
    } finally {
      if (this.#replaced()) await this.#wait()
      this.#underWay--
    }
  }

  #wait(): Promise<void> {
    return new Promise((leave) => {
      this.#atTheDoor.push(leave)
      if (this.#atTheDoor.length >= this.#underWay) return this.#open()
      this.#timer ??= setTimeout(() => this.#open(), TOGETHER_MS)
    })
  }

  #open(): void {
    clearTimeout(this.#timer)
    this.#timer = undefined
    for (const leave of this.#atTheDoor.splice(0)) leave()
    this.#idle()
  }
}
