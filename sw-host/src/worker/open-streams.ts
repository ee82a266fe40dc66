/**
 * The streams that pages have open on this worker. While any is open, the browser cannot put a newer worker in its place; so they are ended,
 * and their readers reconnect with what they have.
 */

/** How long a worker that is to be replaced makes room for it, and how long it then serves as ever before it does so again, in milliseconds. */
export const DRAIN_MS = 60_000
export const DRAIN_REST_MS = 60_000
/** While it makes room it ends streams for so long, lets them be for as long, and so on, in milliseconds: no page is told nothing for longer. */
export const DRAIN_TURN_MS = 2_000

/** The open streams of a worker. */
export class OpenStreams {
  readonly #ends = new Set<() => void>()
  readonly #replacementWaits: () => boolean
  #drainSince = Number.NEGATIVE_INFINITY
  #drainTurn = 0

  /** `replacementWaits` tells whether a newer worker waits for this one to be idle. */
  constructor(replacementWaits: () => boolean) {
    this.#replacementWaits = replacementWaits
  }

  /** Registers how an open stream is ended. @returns forgets it. */
  add(end: () => void): () => void {
    this.#ends.add(end)
    // Asked for before the streams were ended, answered only now: one left open would keep the browser from ever replacing this worker.
    if (this.endsAtOnce) queueMicrotask(end)
    return () => this.#ends.delete(end)
  }

  /** Ends all streams; their readers reconnect with what they have. */
  end(): void {
    for (const end of this.#ends) end()
    this.#ends.clear()
  }

  /** From now on streams end at once, so that this worker has idle moments in which the browser can replace it. */
  drain(): void {
    this.#drainSince = Date.now()
    this.#drainTurn = 0
    this.end()
  }

  /** Whether this worker is to be replaced: answers leave together. */
  get draining(): boolean {
    // A worker that was stopped and started again has not heard the announcement, but sees who waits.
    if (Date.now() > this.#drainSince + DRAIN_MS + DRAIN_REST_MS && this.#replacementWaits()) this.drain()
    const since = Date.now() - this.#drainSince
    const turn = Math.floor(since / DRAIN_TURN_MS)
    if (since < DRAIN_MS && turn !== this.#drainTurn) {
      this.#drainTurn = turn
      if (turn % 2 === 0) this.end()
    }
    return since < DRAIN_MS
  }

  /** Whether new streams end at once. */
  get endsAtOnce(): boolean {
    return this.draining && this.#drainTurn % 2 === 0
  }
}
