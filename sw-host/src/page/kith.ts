/** The page's connection to the peer. */
import { KithError, asKithError, problem } from '../shared/problem.ts'
import { wire } from '../shared/messages.ts'
import type { ConnectOptions, Kith, Space } from './api.ts'
import type { Joined, Lost, SpaceInfo, Status } from './api-peer.ts'
import type { Imported, Imports } from './api-history.ts'
import { CarrierTab } from './carrier-tab.ts'
import { followWorker } from './follow-worker.ts'
import { startHeartbeat } from './heartbeat.ts'
import { forgetInvite, land, takeArrival } from './invite.ts'
import { Keeper } from './keeper.ts'
import { askJson, jsonBody } from './peer-fetch.ts'
import type { Connection } from './peer-fetch.ts'
import { serviceWorkers, takeControl } from './register.ts'
import { watchNetwork } from './reconnect.ts'
import { tellRelays } from './relays.ts'
import { openSpace } from './space.ts'
import { importSpace } from './space-past.ts'
import { follow } from './subscription.ts'
import { uninstall } from './uninstall.ts'

declare const KITH_RELEASE: string

/** Makes the connection of this page. `invite` is the invite link it was opened with, if any. */
export class PageKith extends EventTarget implements Kith {
  readonly ready: Promise<void>
  readonly joined: Promise<Joined | undefined>
  readonly release = KITH_RELEASE
  problem: KithError | undefined
  readonly #options: ConnectOptions
  readonly #connection: Connection = { control: () => this.#control() }
  readonly #carrier: CarrierTab
  readonly #keeper: Keeper
  #relays = new AbortController()
  #controlling: Promise<void> | undefined

  constructor(options: ConnectOptions, invite: string | undefined) {
    super()
    this.#options = options
    this.#carrier = new CarrierTab(options.iceServers)
    this.#keeper = new Keeper(this, (detail) => this.dispatchEvent(new CustomEvent('lost', { detail })))
    this.ready = this.#connect()
    void this.ready.then(() => this.#keeper.look()).catch(() => undefined)
    this.joined = invite ? this.ready.then(() => this.#open(invite)) : Promise.resolve(takeArrival())
    // Whoever awaits them learns of the failure; for everybody else there is `problem`.
    this.ready.catch(() => undefined)
    this.joined.catch(() => undefined)
  }

  space(id = 'me'): Space {
    return openSpace(id, this.#connection)
  }

  async spaces(): Promise<SpaceInfo[]> {
    const answer = await askJson<SpaceInfo[] | { items?: SpaceInfo[]; spaces?: SpaceInfo[] }>(this.#connection, '/~/spaces')
    return Array.isArray(answer) ? answer : (answer.items ?? answer.spaces ?? [])
  }

  createSpace(name: string): Promise<SpaceInfo> {
    return askJson(this.#connection, '/~/spaces', jsonBody('POST', { name }))
  }

  async join(invite: string): Promise<Joined> {
    const joined = await askJson<Joined>(this.#connection, '/~/join', jsonBody('POST', { invite }))
    this.#keeper.opened(joined, invite)
    return joined
  }

  get lost(): Lost | undefined {
    return this.#keeper.lost
  }

  forgetLost(): void {
    this.#keeper.putAside()
  }

  importSpace(...args: Parameters<Imports['importSpace']>): Promise<Imported> {
    return importSpace(this.#connection, ...args)
  }

  status(): Promise<Status> {
    return askJson(this.#connection, '/~/peer')
  }

  async *watchStatus(options: { signal?: AbortSignal } = {}): AsyncGenerator<Status, void, undefined> {
    const subscription = { url: () => '/~/peer', resume: () => ({}), forget: () => undefined, signal: options.signal }
    for await (const { body } of follow(this.#connection, subscription)) {
      yield JSON.parse(new TextDecoder().decode(body)) as Status
    }
  }

  uninstall(options: { wipe?: boolean } = {}): Promise<void> {
    return uninstall(options)
  }

  async #connect(): Promise<void> {
    try {
      await this.#control()
    } catch (error) {
      throw this.#tell(asKithError(error, 'worker-script', 0))
    }
    const workers = serviceWorkers()
    const registration = await workers.ready
    await new Promise<void>((resolve, reject) => {
      void followWorker(workers, this.release, {
        met: (_welcome, worker) => {
          this.problem = undefined
          this.#carrier.workerMet(worker)
          this.#relays.abort()
          this.#relays = new AbortController()
          void tellRelays(worker, this.#options.relay ?? location.origin, this.#relays.signal)
          watchNetwork(worker, this.#relays.signal)
          resolve()
        },
        lost: (error) => reject(this.#tell(asKithError(error, 'worker-silent', 0))),
      })
    })
    startHeartbeat(registration.scope)
    if (this.#options.persist !== false) this.#keepStorage()
    this.dispatchEvent(new Event('ready'))
  }

  /** Shared by everyone who needs the worker to be in control. */
  #control(): Promise<void> {
    this.#controlling ??= takeControl(this.#options).then(
      () => {
        this.#controlling = undefined
      },
      (error: unknown) => {
        this.#controlling = undefined
        throw error
      },
    )
    return this.#controlling
  }

  async #open(invite: string): Promise<Joined> {
    this.dispatchEvent(new Event('joining'))
    try {
      const joined = await this.join(invite)
      forgetInvite()
      const event = new CustomEvent('joined', { detail: joined, cancelable: true })
      if (this.dispatchEvent(event)) land(joined)
      return joined
    } catch (error) {
      const told = error instanceof KithError ? error : new KithError(problem('invite-not-opened', 0, String(error)), { cause: error })
      // What the peer refused stays refused; what only failed is tried again when the page is loaded again.
      if (told.status >= 400 && told.status < 500) forgetInvite()
      throw this.#tell(told)
    }
  }

  /** Browsers promise not to evict data when asked; some ask the person, so only after they did something here. */
  #keepStorage(): void {
    const tell = (persisted: boolean): void => navigator.serviceWorker.controller?.postMessage(wire({ type: 'environment', persisted }))
    const storage: Partial<StorageManager> = navigator.storage ?? {}
    const ask = (): void => void storage.persist?.().then(tell, () => undefined)
    void storage.persisted?.().then(
      (persisted) => {
        if (persisted) return tell(true)
        const once = { once: true, capture: true }
        addEventListener('pointerdown', ask, once)
        addEventListener('keydown', ask, once)
      },
      () => undefined,
    )
  }

  #tell(error: KithError): KithError {
    this.problem = error
    console.error(`kith: ${error.title}. ${error.detail}`)
    this.dispatchEvent(new CustomEvent('problem', { detail: error }))
    return error
  }
}
