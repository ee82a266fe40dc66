/**
 * One tab carries WebRTC for all: connections can only live in pages, and one peer needs them once. The tabs queue for a Web
 * Lock; when the carrying one closes, freezes or crashes, the next takes over.
 */
import { readAnnouncement, wire } from '../shared/messages.ts'
import { CARRIER_LOCK, CHANNEL } from '../shared/names.ts'
import { startCarrier } from './carrier.ts'

/** The carrier of this tab. */
export class CarrierTab {
  readonly #iceServers: RTCIceServer[] | undefined
  #worker: ServiceWorker | undefined
  #elected = false
  #queued: AbortController | undefined
  #carrier: { stop(): void } | undefined
  #yield: (() => void) | undefined

  constructor(iceServers: RTCIceServer[] | undefined) {
    this.#iceServers = iceServers
  }

  /** Whether this tab carries now. */
  get carrying(): boolean {
    return this.#carrier !== undefined
  }

  /** A worker is up: the first, or one after another died. Ports die with their worker, so the carrier starts afresh. */
  workerMet(worker: ServiceWorker): void {
    const first = this.#worker === undefined
    this.#worker = worker
    if (first) this.#start()
    else if (this.#elected) this.#carry()
  }

  #start(): void {
    // Such a tab would win the election and carry nothing.
    if (typeof RTCPeerConnection === 'undefined') return
    new BroadcastChannel(CHANNEL).addEventListener('message', ({ data }) => {
      if (readAnnouncement(data)?.type === 'carrier-wanted' && this.#elected) this.#carry()
    })
    // A frozen tab would keep the lock and carry nothing.
    document.addEventListener('freeze', () => this.#leave())
    document.addEventListener('resume', () => this.#queue())
    addEventListener('pagehide', () => this.#leave())
    addEventListener('pageshow', () => this.#queue())
    this.#queue()
  }

  #queue(): void {
    if (this.#queued) return
    const queued = new AbortController()
    this.#queued = queued
    navigator.locks
      .request(CARRIER_LOCK, { signal: queued.signal }, () => {
        this.#elected = true
        this.#carry()
        return new Promise<void>((resolve) => {
          this.#yield = resolve
        })
      })
      .catch(() => undefined)
  }

  #carry(): void {
    this.#carrier?.stop()
    const { port1, port2 } = new MessageChannel()
    this.#carrier = startCarrier(port1, {
      ...(this.#iceServers ? { iceServers: this.#iceServers } : {}),
      // The worker gave this tab up though it lives: it was too busy to answer.
      onEnd: () => {
        if (this.#elected) this.#carry()
      },
    })
    this.#worker?.postMessage(wire({ type: 'carrier' }), [port2])
  }

  #leave(): void {
    if (this.#elected) {
      this.#carrier?.stop()
      this.#worker?.postMessage(wire({ type: 'carrier-gone' }))
    }
    this.#carrier = undefined
    this.#elected = false
    this.#yield?.()
    this.#yield = undefined
    this.#queued?.abort()
    this.#queued = undefined
  }
}
