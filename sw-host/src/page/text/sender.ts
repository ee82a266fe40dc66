/** The way out of a text: gathers what was typed, names it, sends it, makes the text where there is none. */
import { KithError, problemOf } from '../../shared/problem.ts'
import { peerFetch } from '../peer-fetch.ts'
import type { Connection } from '../peer-fetch.ts'
import { PASSING } from '../subscription.ts'
import { Outbox } from './outbox.ts'
import type { Outcome } from './outbox.ts'
import type { Sent, TextState } from './state.ts'
import { changeRequest, creation } from './wire.ts'

/** Most changes on their way at once. */
const MOST_SENT = 10
/** Shortest time between two of them, in milliseconds: every one is signed and kept, so not one for every key of a fast hand. */
const SEND_EVERY_MS = 100
/** How often "those parents are unknown" is taken for "not yet". */
const MOST_UNKNOWN = 5
/** Pause before the text is made again after trouble, in milliseconds. */
const CREATE_AGAIN_MS = 1_000
/** There is no such text, or not with that history. */
const LOST = [404, 410, 432]

/** What a sender needs from its document. */
export interface Source {
  connection: Connection
  url: string
  state: TextState
  /** Whether there is a text to change. */
  exists(): boolean
  /** Something was taken or stored. */
  progress(): void
  /** The peer does not know what the changes build on. */
  lost(): void
  /** The peer will not have it. */
  refused(error: KithError): void
}

/** Sends the changes of one document. */
export class Sender {
  readonly #source: Source
  readonly #outbox: Outbox<Sent>
  readonly #unknown = new Map<Sent, number>()
  #open = false
  #creating = false
  #leaving = false
  #lastSent = Number.NEGATIVE_INFINITY
  #timer: ReturnType<typeof setTimeout> | undefined

  constructor(source: Source) {
    this.#source = source
    this.#outbox = new Outbox({ send: (sent) => this.#put(sent), stored: (sent) => this.#stored(sent) })
  }

  /** How many changes are on their way. */
  get size(): number {
    return this.#outbox.size
  }

  /** Takes nothing more, and resolves once nothing is on its way. */
  pause(): Promise<void> {
    this.#open = false
    return this.#outbox.idle()
  }

  /** A subscription is open: the peer knows what this editor holds. */
  resume(): void {
    this.#open = true
    this.schedule()
  }

  /** Sends what gathered: now if the last time is long enough ago, else then. */
  schedule(): void {
    if (this.#timer !== undefined || !this.#source.state.waiting) return
    const wait = this.#lastSent + SEND_EVERY_MS - performance.now()
    if (wait <= 0) this.flush()
    else this.#later(wait)
  }

  /** Sends what gathered, now. @param leaving whether the page goes away */
  flush(leaving = false): void {
    const { state, exists, progress } = this.#source
    this.#leaving = leaving
    if (!this.#open || !state.waiting || this.#outbox.size >= MOST_SENT) return
    if (!exists()) return void this.#create()
    this.#lastSent = performance.now()
    const sent = state.take()
    if (sent) this.#outbox.add(sent)
    progress()
  }

  /** Forgets what is on its way. */
  clear(): void {
    this.#outbox.clear()
    this.#unknown.clear()
  }

  end(): void {
    this.#open = false
    clearTimeout(this.#timer)
    this.#outbox.end()
  }

  #later(wait: number): void {
    clearTimeout(this.#timer)
    this.#timer = setTimeout(() => {
      this.#timer = undefined
      this.flush()
    }, wait)
  }

  /** Makes an empty text; what was typed meets it as it would any other, once the subscription shows it. */
  async #create(): Promise<void> {
    if (this.#creating) return
    this.#creating = true
    const { connection, url, state, refused } = this.#source
    try {
      const response = await peerFetch(connection, url, creation(state.client))
      // 412: somebody else was faster, which is as good.
      if (response.ok || response.status === 412) return
      if (!PASSING.has(response.status)) refused(new KithError(await problemOf(response)))
      else this.#later(CREATE_AGAIN_MS)
    } catch {
      if (this.#open) this.#later(CREATE_AGAIN_MS)
    } finally {
      this.#creating = false
    }
  }

  async #put(sent: Sent): Promise<Outcome> {
    const { connection, url, state, lost, refused } = this.#source
    const { client } = state
    try {
      const response = await peerFetch(connection, url, { ...changeRequest(sent, client), keepalive: this.#leaving }, 1)
      if (response.ok) return 'stored'
      if (PASSING.has(response.status) || client !== state.client) return 'again'
      if (response.status === 432) {
        const times = (this.#unknown.get(sent) ?? 0) + 1
        this.#unknown.set(sent, times)
        if (times < MOST_UNKNOWN) return 'again'
      }
      if (LOST.includes(response.status)) {
        lost()
        return 'again'
      }
      refused(new KithError(await problemOf(response)))
      return 'up'
    } catch {
      return 'again'
    }
  }

  #stored(sent: Sent): void {
    this.#unknown.delete(sent)
    this.#source.state.stored(sent)
    this.schedule()
    this.#source.progress()
  }
}
