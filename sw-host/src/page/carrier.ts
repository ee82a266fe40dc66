/**
 * Carries WebRTC for the worker over a port: peer connections exist only in pages. What is carried is encrypted and
 * authenticated in the worker; keys and decisions never come here.
 */
import { CARRIER_VERSION, type Order, type Report, readOrder, report } from '../shared/carrier-messages.ts'
import { CarrierConnection } from './carrier-connection.ts'

/** Peer connections at a time; the worker keeps below it by itself. */
const MAX_CONNECTIONS = 32
/** A worker that lives orders something at least every two seconds. Generous, as timers of hidden pages are slow. */
const WORKER_SILENCE_MS = 15_000

/** How to carry. */
export interface CarrierOptions {
  /** STUN and TURN servers; none by default. */
  iceServers?: RTCIceServer[]
  /** The worker no longer uses this carrier though nobody stopped it: it missed this page for a while, or died. */
  onEnd?: () => void
}

/** Starts carrying for the worker at the port's other end. */
export function startCarrier(port: MessagePort, options: CarrierOptions = {}): { stop(): void } {
  const carrier = new Carrier(port, options)
  return { stop: () => carrier.stop() }
}

class Carrier {
  readonly #port: MessagePort
  readonly #options: CarrierOptions
  readonly #connections = new Map<number, CarrierConnection>()
  readonly #watch: number
  #heard = performance.now()
  #ended = false

  constructor(port: MessagePort, options: CarrierOptions) {
    this.#port = port
    this.#options = options
    port.onmessage = ({ data }) => {
      const order = readOrder(data)
      if (order && !this.#ended) this.#obey(order)
    }
    addEventListener('pagehide', this.#leave)
    this.#watch = window.setInterval(() => {
      if (performance.now() - this.#heard > WORKER_SILENCE_MS) this.#lose()
    }, WORKER_SILENCE_MS / 3)
  }

  /** Ends it; the worker and the other peers learn it at once. */
  stop(): void {
    if (this.#ended) return
    this.#report(['bye'])
    this.#end()
  }

  readonly #leave = (): void => this.stop()

  #end(): void {
    this.#ended = true
    clearInterval(this.#watch)
    removeEventListener('pagehide', this.#leave)
    for (const connection of this.#connections.values()) connection.close()
    this.#connections.clear()
    this.#port.close()
  }

  #lose(): void {
    this.#end()
    this.#options.onEnd?.()
  }

  #report(message: Report): void {
    if (!this.#ended) report(this.#port, message)
  }

  #obey(order: Order): void {
    this.#heard = performance.now()
    const [name, pc] = order
    switch (name) {
      case 'hello':
        // A worker of another version: its pages are told to reload elsewhere; carrying nothing harms nobody.
        if (order[1] !== CARRIER_VERSION) this.stop()
        return
      case 'ping':
        return this.#report(['pong'])
      case 'detach':
        return this.#lose()
      case 'offer':
        return this.#make(order[1], (connection) => connection.offer())
      case 'answer':
        return this.#make(order[1], (connection) => connection.answer(order[2]))
      case 'close':
        this.#connections.get(pc)?.close()
        this.#connections.delete(pc)
        return
      default:
        return this.#pass(order)
    }
  }

  /** Orders for a connection that is there; others came too late. */
  #pass(order: Exclude<Order, ['hello' | 'ping' | 'detach' | 'offer' | 'answer' | 'close', ...unknown[]]>): void {
    const connection = this.#connections.get(order[1])
    if (!connection) return
    switch (order[0]) {
      case 'accept':
        return this.#try(order[1], connection.accept(order[2]))
      case 'candidate':
        return this.#try(order[1], connection.candidate(order[2]))
      case 'ready':
        return connection.ready()
      case 'data':
        return connection.send(order[2], order[3], order[4])
      case 'shut':
        return connection.shut(order[2])
      case 'open':
        try {
          connection.open(order[2])
        } catch {
          // The connection broke this moment, which is told on its own.
          this.#report(['closed', order[1], order[2]])
        }
    }
  }

  #make(pc: number, start: (connection: CarrierConnection) => Promise<void>): void {
    if (this.#connections.size >= MAX_CONNECTIONS) return this.#report(['failed', pc, 'too many connections in this page'])
    try {
      const connection = new CarrierConnection(pc, this.#options.iceServers ?? [], (message) => this.#report(message))
      this.#connections.set(pc, connection)
      this.#try(pc, start(connection))
    } catch (error) {
      this.#report(['failed', pc, String(error)])
    }
  }

  #try(pc: number, work: Promise<void>): void {
    work.catch((error: unknown) => this.#report(['failed', pc, String(error)]))
  }
}
