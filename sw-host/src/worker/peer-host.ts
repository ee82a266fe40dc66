/**
 * Keeps one peer open for this worker: boots it once, restarts it after a crash, hands it over to a newer worker.
 *
 * Any request may be the first after a cold start, so everything here is reached through {@link PeerHost.open}, one shared
 * promise. Nothing is truth in memory: a worker may be killed at any line.
 */
import { DATABASE } from '../shared/names.ts'
import { KithError, problem, sentence } from '../shared/problem.ts'
import { knownRelays } from './config.ts'
import type { Environment } from './glue-types.ts'
import { OpenStreams } from './open-streams.ts'
import { holdPeerLock } from './peer-lock.ts'
import { compiledPeer } from './peer-wasm.ts'
import { PeerDied, RunningPeer } from './running-peer.ts'
import { scope } from './scope.ts'

/** Crashes within {@link CRASH_WINDOW_MS} after which the peer rests before it is started again. */
export const CRASH_LIMIT = 4
/** The window in which crashes are counted, and the length of the rest, in milliseconds. */
export const CRASH_WINDOW_MS = 20_000
/** How long a request waits for the peer to open before it is told to come again, in milliseconds. */
export const BOOT_PATIENCE_MS = 25_000
/** How long a hand-over waits for requests under way, in milliseconds. */
export const HAND_OVER_PATIENCE_MS = 5_000
/** How long a peer that can no longer store may take to close, in milliseconds. */
export const CLOSE_PATIENCE_MS = 1_000

/** What the host tells the rest of the worker. */
export interface HostEvents {
  /** Another worker holds the peer: ask it to hand over. */
  askToYield(): void
  /** The peer was opened; `again` if this worker had it open before. */
  opened(again: boolean): void
  /** The database is of a newer release than this one. */
  outdated(): void
  /** Whether a newer worker waits for this one to be idle. */
  replacementWaits(): boolean
}

/** The peer of this worker. */
export class PeerHost {
  readonly #events: HostEvents
  #running: Promise<RunningPeer> | undefined
  #current: RunningPeer | undefined
  #releaseLock: (() => void) | undefined
  #opened = 0
  #crashes: number[] = []
  #shut: string | undefined
  #carrier: MessagePort | undefined
  #environment: Environment = {}
  readonly #busy = new Set<Promise<unknown>>()
  /** The streams that pages have open on this worker. */
  readonly streams: OpenStreams

  constructor(events: HostEvents) {
    this.#events = events
    this.streams = new OpenStreams(() => events.replacementWaits())
  }

  /** The open peer: booted on first use, shared by everyone, booted again after a failure or a crash. */
  open(): Promise<RunningPeer> {
    if (this.#shut) return Promise.reject(new KithError(problem('peer-start', 503, this.#shut)))
    this.#running ??= this.#boot().catch((error: unknown) => {
      this.#running = undefined
      throw error
    })
    return this.#running
  }

  /** {@link open}, but with an answer in the end: a boot that takes too long is told as a 503. */
  async openSoon(): Promise<RunningPeer> {
    if (this.#current && !this.#current.dead) return this.#current
    let timer: ReturnType<typeof setTimeout> | undefined
    const late = new Promise<never>((_, reject) => {
      const detail = 'The peer is still starting. Try again in a few seconds.'
      timer = setTimeout(() => reject(new KithError(problem('peer-start', 503, detail))), BOOT_PATIENCE_MS)
    })
    try {
      return await Promise.race([this.open(), late])
    } finally {
      clearTimeout(timer)
    }
  }

  async #boot(): Promise<RunningPeer> {
    this.#refuseWhileCrashing()
    const [module, relays] = await Promise.all([compiledPeer(), knownRelays(), this.#lock()])
    try {
      const { budget, quota } = scope.kithOptions ?? {}
      const limits = { ...(budget === undefined ? {} : { budget }), ...(quota === undefined ? {} : { quota }) }
      const options = { name: DATABASE, relays, careful: this.#crashes.length > 0, ...limits }
      const running = await RunningPeer.open(module, options, (why) => this.#crashed(why))
      if (this.#carrier) this.#dropCarrier()
      running.peer.setEnvironment(this.#environment)
      this.#current = running
      this.#events.opened(this.#opened++ > 0)
      return running
    } catch (error) {
      // Another worker may have better luck with this database (a newer release, for instance).
      this.#unlock()
      if (error instanceof PeerDied) this.#crashes.push(Date.now())
      if (error instanceof Error && error.name === 'StoreNewerError') this.#events.outdated()
      throw error instanceof KithError ? error : new KithError(problem('peer-start', 503, sentence(error)), { cause: error })
    }
  }

  async #lock(): Promise<void> {
    this.#releaseLock ??= await holdPeerLock(() => this.#events.askToYield())
  }

  #unlock(): void {
    this.#releaseLock?.()
    this.#releaseLock = undefined
  }

  #refuseWhileCrashing(): void {
    const now = Date.now()
    this.#crashes = this.#crashes.filter((at) => now - at < CRASH_WINDOW_MS)
    if (this.#crashes.length < CRASH_LIMIT) return
    throw new KithError(
      problem('peer-start', 503, `The peer stopped ${this.#crashes.length} times in a row and rests now. Nothing saved is lost; try again in a few seconds.`),
    )
  }

  #crashed(why: PeerDied): void {
    console.error('kith: the peer crashed and is restarted;', why.cause ?? why)
    this.#crashes.push(Date.now())
    this.#running = undefined
    this.streams.end()
    void this.open().catch(() => undefined)
  }

  /** Closes a peer that can no longer do its work; the next request opens a fresh one. */
  async reopen(running: RunningPeer, why: string): Promise<void> {
    if (running.dead || this.#current !== running) return
    this.#crashes.push(Date.now())
    this.#running = undefined
    this.#current = undefined
    this.streams.end()
    const patience = new Promise((resolve) => setTimeout(resolve, CLOSE_PATIENCE_MS))
    await Promise.race([running.close().catch(() => undefined), patience])
    running.drop(why)
  }

  /** Counts work that a hand-over should wait for. */
  async whileBusy<T>(work: Promise<T>): Promise<T> {
    this.#busy.add(work)
    try {
      return await work
    } finally {
      this.#busy.delete(work)
    }
  }

  /** Lets requests under way finish, closes the peer and gives the lock to whoever waits for it. */
  async handOver(): Promise<void> {
    if (!this.#releaseLock) return
    const running = this.#running
    this.#running = undefined
    this.#current = undefined
    this.streams.end()
    try {
      const patience = new Promise((resolve) => setTimeout(resolve, HAND_OVER_PATIENCE_MS))
      await Promise.race([Promise.allSettled([...this.#busy]), patience])
      // Requests that were under way may have opened streams since.
      this.streams.end()
      await (await running)?.close()
    } catch {
      // It never opened, or crashed while closing: either way it is closed now.
    } finally {
      this.streams.end()
      this.#unlock()
    }
  }

  /** Closes the peer and never opens it again in this worker. */
  async shutDown(): Promise<void> {
    this.#shut = 'Kith was switched off on this device. Reload the page to use it again.'
    await this.handOver()
  }

  /** A newer worker has replaced this one: it may finish, but never open the peer again. */
  retire(): void {
    this.#shut = 'A newer release has taken over. Try again at once.'
    void this.handOver()
  }

  /** Gives the peer a tab's WebRTC port. */
  async attachCarrier(port: MessagePort): Promise<void> {
    this.#dropCarrier()
    const running = await this.open()
    this.#carrier = port
    running.peer.attachCarrier(port)
    this.setEnvironment({ carriers: 1 })
  }

  /** The tab that carried is gone. */
  detachCarrier(): void {
    if (!this.#carrier) return
    this.#dropCarrier()
    void this.#running?.then((running) => running.peer.detachCarrier()).catch(() => undefined)
    this.setEnvironment({ carriers: 0 })
  }

  #dropCarrier(): void {
    this.#carrier?.close()
    this.#carrier = undefined
  }

  /** Tells the peer what only the host can know. */
  setEnvironment(news: Environment): void {
    this.#environment = { ...this.#environment, ...news }
    void this.#running?.then((running) => running.peer.setEnvironment(this.#environment)).catch(() => undefined)
  }

  /** Tells the peer its relays. */
  setRelays(relays: string[]): void {
    void this.#running?.then((running) => running.peer.setRelays(relays)).catch(() => undefined)
  }
}
