/**
 * Makes idle moments. A browser replaces a busy worker only at a moment when nothing is under way in it, and pages that send
 * their next request on each answer never leave one. While this worker is to be replaced, finished answers therefore wait until
 * everything under way is finished, and then leave all at once: for the time of one round trip there is nothing to do.
 */

/** Longest wait of a finished answer, in milliseconds. */
export const TOGETHER_MS = 500
/** Before the word to take over is given, answers wait so long for others, in milliseconds: whoever waits for one asks for nothing. */
export const GATHER_MS = 150

/** When answers wait, and for what. */
export interface Moments {
  /** Whether this worker is to be replaced. */
  replaced(): boolean
  /** Whether the word is to be given now, with all answers held back. */
  due(): boolean
  /** Gives it. @returns settles when it was heard */
  say(): Promise<unknown>
}

/** Counts what is under way. */
export class LeaveTogether {
  readonly #moments: Moments
  #underWay = 0
  #atTheDoor: (() => void)[] = []
  #deadline: ReturnType<typeof setTimeout> | undefined
  /** How far the word is: answers gather for it, they may be all that come, it is being said. */
  #word: 'none' | 'gathering' | 'gathered' | 'said' = 'none'

  constructor(moments: Moments) {
    this.#moments = moments
  }

  /** The work's result, at a moment that leaves an idle one behind if one is wanted. */
  async pass<T>(work: Promise<T>): Promise<T> {
    this.#underWay++
    try {
      return await work
    } finally {
      if (this.#moments.replaced()) await this.#wait()
      this.#underWay--
    }
  }

  #wait(): Promise<void> {
    return new Promise((leave) => {
      this.#atTheDoor.push(leave)
      this.#deadline ??= setTimeout(() => this.#open(), TOGETHER_MS)
      this.#look()
    })
  }

  #look(): void {
    if (this.#atTheDoor.length < this.#underWay) return
    if (this.#word === 'none') {
      if (!this.#moments.due()) return this.#open()
      this.#word = 'gathering'
      setTimeout(() => {
        if (this.#word === 'gathering') this.#word = 'gathered'
        if (this.#atTheDoor.length > 0) this.#look()
      }, GATHER_MS)
    } else if (this.#word === 'gathered') {
      this.#word = 'said'
      const open = (): void => this.#open()
      void this.#moments.say().then(open, open)
    }
  }

  #open(): void {
    clearTimeout(this.#deadline)
    this.#deadline = undefined
    this.#word = 'none'
    for (const leave of this.#atTheDoor.splice(0)) leave()
  }
}
