/** An open text: its state, what is on its way to the peer, and what comes from there. */
import { KithError, problem } from '../../shared/problem.ts'
import type { Frame } from '../../shared/multiresponse.ts'
import { writeVersions } from '../../shared/multiresponse.ts'
import type { Cursor, TextChange, TextDocument, TextEventMap, TextOptions } from '../api-text.ts'
import type { Connection } from '../peer-fetch.ts'
import { follow } from '../subscription.ts'
import { whole } from './code-points.ts'
import { diff } from './diff.ts'
import { Events } from './events.ts'
import { Presence } from './presence.ts'
import { Sender } from './sender.ts'
import { regular } from './splices.ts'
import type { Splice, Splices } from './splices.ts'
import { TextState } from './state.ts'
import { readFrame, textHeaders } from './wire.ts'

/** How long an update that does not fit may stay the last word before the subscription starts anew, in milliseconds. */
const OUT_OF_STEP_MS = 2_000

const newClient = (): string => [...crypto.getRandomValues(new Uint8Array(10))].map((byte) => (byte % 36).toString(36)).join('')

/** Opens the text at a URL. */
export class PageText implements TextDocument {
  readonly ready: Promise<void>
  problem: KithError | undefined
  exists = false
  readonly #connection: Connection
  readonly #url: string
  readonly #state = new TextState(newClient())
  readonly #events = new Events()
  readonly #sender: Sender
  readonly #over = new AbortController()
  #known!: { resolve(): void; reject(error: unknown): void }
  #attempt = new AbortController()
  #presence: Presence | undefined
  #name: string
  #step: ReturnType<typeof setTimeout> | undefined
  #wasSaved = true
  #waiting: (() => void)[] = []

  constructor(connection: Connection, url: string, options: TextOptions = {}) {
    this.#connection = connection
    this.#url = url
    this.#name = options.name ?? ''
    this.#sender = new Sender({
      connection,
      url,
      state: this.#state,
      exists: () => this.exists,
      progress: () => this.#tellSaved(),
      lost: () => this.#startOver(),
      refused: (error) => this.#refuse(error),
    })
    this.ready = new Promise((resolve, reject) => {
      this.#known = { resolve, reject }
    })
    this.ready.catch(() => undefined)
    // Nothing typed is lost when the page goes away: what has gathered is sent now.
    if (typeof addEventListener === 'function') addEventListener('pagehide', () => this.#sender.flush(true), { signal: this.#over.signal })
    void this.#read()
  }

  get value(): string {
    return this.#state.value
  }

  get version(): readonly string[] {
    return this.#state.version ?? []
  }

  get client(): string {
    return this.#state.client
  }

  get isSaved(): boolean {
    return !this.#state.waiting && this.#sender.size === 0
  }

  get cursors(): readonly Cursor[] {
    return this.#presence?.cursors ?? []
  }

  edit(splices: Iterable<Splice>, origin?: unknown): void {
    const change = regular(whole(this.value, regular(splices, this.value.length)), this.value.length)
    if (change.length === 0) return
    this.#state.edit(change)
    this.#changed(change, false, origin)
    this.#sender.schedule()
    this.#tellSaved()
  }

  replace(text: string, origin?: unknown): void {
    this.edit(diff(this.value, text), origin)
  }

  cursor(from: number | undefined, to = from): void {
    if (!this.#over.signal.aborted) this.#present().move(from === undefined || to === undefined ? undefined : { from, to })
  }

  rename(name: string): void {
    this.#name = name
    this.#presence?.rename(name)
  }

  on<K extends keyof TextEventMap>(type: K, listener: (event: TextEventMap[K]) => void): () => void {
    if (type === 'cursors' && !this.#over.signal.aborted) this.#present()
    return this.#events.on(type, listener)
  }

  [Symbol.asyncIterator](): AsyncGenerator<TextChange, void, undefined> {
    return this.#events.remote(this.#over.signal)
  }

  saved(): Promise<void> {
    return this.isSaved ? Promise.resolve() : new Promise((resolve) => this.#waiting.push(resolve))
  }

  async close(): Promise<void> {
    this.#presence?.close()
    this.#presence = undefined
    if (!this.problem) {
      await this.ready.catch(() => undefined)
      this.#sender.flush()
      await this.saved()
    }
    this.#end()
  }

  #end(): void {
    clearTimeout(this.#step)
    this.#sender.end()
    this.#over.abort()
    this.#attempt.abort()
    this.#known.resolve()
    for (const resolve of this.#waiting.splice(0)) resolve()
  }

  #present(): Presence {
    this.#presence ??= new Presence(
      {
        connection: this.#connection,
        url: this.#url,
        client: this.client,
        text: () => this.value,
        changed: (cursors) => this.#events.emit('cursors', cursors),
      },
      this.#name,
    )
    return this.#presence
  }

  #changed(splices: Splices, remote: boolean, origin?: unknown): void {
    if (splices.length === 0) return
    this.#presence?.map(splices)
    this.#events.emit('change', { splices, remote, origin })
  }

  #tellSaved(): void {
    const saved = this.isSaved
    if (saved) for (const resolve of this.#waiting.splice(0)) resolve()
    if (saved === this.#wasSaved) return
    this.#wasSaved = saved
    this.#events.emit('saved', saved)
  }

  async #read(): Promise<void> {
    while (!this.#over.signal.aborted && !this.problem) {
      this.#attempt = new AbortController()
      try {
        const frames = follow(this.#connection, {
          url: () => this.#url,
          // What is on its way must be there first, or the peer would take this editor to hold less than it does.
          before: () => this.#sender.pause(),
          resume: () => ({
            ...textHeaders(this.client),
            accept: 'text/plain',
            ...(this.#state.version?.length ? { parents: writeVersions(this.#state.version) } : {}),
          }),
          opened: () => this.#sender.resume(),
          forget: () => this.#startOver(),
          signal: this.#attempt.signal,
        })
        for await (const frame of frames) this.#frame(frame)
      } catch (error) {
        // A range that does not fit means that this editor and the peer disagree about the text.
        if (error instanceof RangeError) this.#startOver()
        else if (error instanceof KithError) this.#refuse(error)
        else throw error
      }
    }
  }

  #frame(frame: Frame): void {
    const { version, parents, patches, text, gone, empty, media } = readFrame(frame)
    if (empty) return
    if (!gone && media && !media.startsWith('text/')) {
      throw new KithError(problem('not-a-text', 409, `What is stored there is ${media}, which nobody can edit together. Choose another path.`))
    }
    const known = this.#state.version !== undefined
    // A reconnection may repeat the state that is here.
    if (known && this.exists === !gone && this.#state.fits(version)) return this.#inStep()
    if (known && !this.#state.fits(parents) && (patches || this.#sender.size > 0)) return this.#outOfStep()
    this.#inStep()
    const shown = patches ? this.#state.remote(version, patches) : this.#state.snapshot(version, text)
    this.exists = !gone
    this.#changed(shown, true)
    this.#known.resolve()
    this.#sender.schedule()
    this.#tellSaved()
  }

  #inStep(): void {
    clearTimeout(this.#step)
    this.#step = undefined
  }

  /** An update crossed something of ours. The peer makes it anew; should it not, the subscription does. */
  #outOfStep(): void {
    this.#step ??= setTimeout(() => {
      this.#inStep()
      if (this.#sender.size > 0) this.#outOfStep()
      else this.#attempt.abort()
    }, OUT_OF_STEP_MS)
  }

  #startOver(): void {
    this.#state.startOver(newClient())
    this.#sender.clear()
    this.#presence?.close()
    this.#presence = undefined
    if (this.#events.has('cursors')) this.#present()
    this.#attempt.abort()
  }

  #refuse(error: KithError): void {
    if (this.problem || this.#over.signal.aborted) return
    this.problem = error
    this.#known.reject(error)
    this.#presence?.close()
    this.#end()
    this.#events.emit('problem', error)
  }
}
