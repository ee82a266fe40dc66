/**
 * Sends changes in order, several at once, until each is stored. When one meets trouble that passes (the worker was stopped, the disk is
 * busy), sending stops, and begins again with the oldest that has no answer yet: the peer does a change of one version once, so repeating is safe.
 */

/** First and longest pause before sending again, in milliseconds. */
const FIRST_PAUSE_MS = 50
const LONGEST_PAUSE_MS = 5_000

/** What came of sending one item: `stored`, `again` after a while, or given `up`. */
export type Outcome = 'stored' | 'again' | 'up'

/** How an outbox reaches the world. */
export interface Sending<T> {
  /** Sends one. Never rejects. */
  send(item: T): Promise<Outcome>
  /** It is stored. */
  stored(item: T): void
}

/** A queue on its way. */
export class Outbox<T> {
  readonly #sending: Sending<T>
  /** Oldest first: those without an answer. */
  #items: T[] = []
  #running = new Set<T>()
  #trouble = false
  #pause = FIRST_PAUSE_MS
  #timer: ReturnType<typeof setTimeout> | undefined
  #idle: (() => void)[] = []
  #ended = false

  constructor(sending: Sending<T>) {
    this.#sending = sending
  }

  /** How many have no answer yet. */
  get size(): number {
    return this.#items.length
  }

  add(item: T): void {
    this.#items.push(item)
    if (!this.#trouble && !this.#ended) void this.#run(item)
  }

  /** Resolves when nothing is on its way any more. */
  idle(): Promise<void> {
    return this.#items.length === 0 || this.#ended ? Promise.resolve() : new Promise((resolve) => this.#idle.push(resolve))
  }

  /** Forgets everything that has no answer. */
  clear(): void {
    this.#items = []
    this.#settle()
  }

  /** Sends nothing from now on. */
  end(): void {
    this.#ended = true
    clearTimeout(this.#timer)
    this.#settle()
  }

  async #run(item: T): Promise<void> {
    this.#running.add(item)
    const outcome = await this.#sending.send(item)
    this.#running.delete(item)
    if (this.#ended) return
    if (this.#items.includes(item)) {
      if (outcome === 'stored') {
        this.#items = this.#items.filter((other) => other !== item)
        this.#pause = FIRST_PAUSE_MS
        this.#sending.stored(item)
      } else if (outcome === 'up') return this.end()
      else this.#trouble = true
    }
    if (this.#trouble && this.#running.size === 0) this.#again()
    this.#settle()
  }

  /** All that were under way have ended: from the oldest on. */
  #again(): void {
    clearTimeout(this.#timer)
    this.#timer = setTimeout(() => {
      this.#trouble = false
      for (const item of this.#items) void this.#run(item)
    }, this.#pause)
    this.#pause = Math.min(this.#pause * 2, LONGEST_PAUSE_MS)
  }

  #settle(): void {
    if (this.#items.length > 0 && !this.#ended) return
    for (const resolve of this.#idle.splice(0)) resolve()
  }
}
