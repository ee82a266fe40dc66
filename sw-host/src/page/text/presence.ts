/** Who else is in a text, and where: never stored, gone with its owner. The form is that of braid-text's clients. */
import { readVersions } from '../../shared/multiresponse.ts'
import type { Frame } from '../../shared/multiresponse.ts'
import type { Cursor } from '../api-text.ts'
import { peerFetch } from '../peer-fetch.ts'
import type { Connection } from '../peer-fetch.ts'
import { follow } from '../subscription.ts'
import { pointsAt, unitsAt } from './code-points.ts'
import { mapPosition } from './splices.ts'
import type { Splices } from './splices.ts'

/** The media type of cursors. */
export const CURSORS = 'application/text-cursors+json'
/** Own moves are told at most this often, in milliseconds. */
const TELL_EVERY_MS = 80
/** Longest name taken from others, in UTF-16 units. */
const NAME_LIMIT = 60
/** Most others shown. */
const MOST_CURSORS = 200

/** What presence needs from its document. */
export interface Place {
  connection: Connection
  url: string
  client: string
  text(): string
  changed(cursors: readonly Cursor[]): void
}

/** One selection as it is on the wire: code points. */
interface Selection {
  from: number
  to: number
  name?: string
}

/** Reads what somebody says of themselves; undefined if it is nothing to show. */
function selectionOf(value: unknown): Selection | undefined {
  const [first] = Array.isArray(value) ? (value as unknown[]) : []
  if (typeof first !== 'object' || first === null) return undefined
  const { from, to, name } = first as Record<string, unknown>
  if (!Number.isSafeInteger(from) || !Number.isSafeInteger(to)) return undefined
  return { from: from as number, to: to as number, name: typeof name === 'string' ? name.slice(0, NAME_LIMIT) : '' }
}

/** The cursors of one open text. */
export class Presence {
  readonly #place: Place
  readonly #over = new AbortController()
  #cursors = new Map<string, Cursor>()
  #own: { from: number; to: number } | undefined
  #name: string
  #told = ''
  #timer: ReturnType<typeof setTimeout> | undefined
  #stream = new AbortController()

  constructor(place: Place, name: string) {
    this.#place = place
    this.#name = name
    const { signal } = this.#over
    // A page that was left may be kept, with all its streams, in case its user goes back. Nobody is in it meanwhile.
    if (typeof addEventListener === 'function') {
      addEventListener('pagehide', () => this.#stream.abort(), { signal })
      addEventListener('pageshow', ({ persisted }) => persisted && void this.#read(), { signal })
    }
    void this.#read()
  }

  get cursors(): readonly Cursor[] {
    return [...this.#cursors.values()]
  }

  /** Where the person is; undefined hides them. */
  move(own: { from: number; to: number } | undefined): void {
    this.#own = own
    this.#timer ??= setTimeout(() => void this.#tell(), TELL_EVERY_MS)
  }

  rename(name: string): void {
    this.#name = name
    this.move(this.#own)
  }

  /** The text changed: everybody moves with it. */
  map(splices: Splices): void {
    if (this.#own) this.#own = { from: mapPosition(this.#own.from, splices, true), to: mapPosition(this.#own.to, splices, true) }
    if (this.#cursors.size === 0) return
    for (const [client, cursor] of this.#cursors) {
      this.#cursors.set(client, { ...cursor, from: mapPosition(cursor.from, splices, true), to: mapPosition(cursor.to, splices, true) })
    }
    this.#place.changed(this.cursors)
  }

  close(): void {
    clearTimeout(this.#timer)
    this.#over.abort()
    this.#stream.abort()
  }

  async #read(): Promise<void> {
    const { connection, url, client } = this.#place
    this.#stream.abort()
    this.#stream = new AbortController()
    const { signal } = this.#stream
    try {
      const frames = follow(connection, {
        url: () => url,
        resume: () => ({ accept: CURSORS, peer: client }),
        // A new connection knows nothing of this peer: it is told again.
        opened: () => {
          this.#told = ''
          this.move(this.#own)
        },
        forget: () => undefined,
        signal,
      })
      for await (const frame of frames) this.#take(frame)
    } catch {
      // A peer without cursors: the text works all the same.
      this.#cursors.clear()
      this.#place.changed(this.cursors)
    }
  }

  #take({ patches, body }: Frame): void {
    try {
      const parse = (bytes: Uint8Array): unknown => JSON.parse(new TextDecoder().decode(bytes))
      if (patches.length === 0) {
        if (body.byteLength === 0) return
        this.#cursors.clear()
        for (const [client, value] of Object.entries(parse(body) ?? {})) this.#set(client, value)
      }
      for (const patch of patches) {
        const [client] = readVersions(patch.range)
        if (client !== undefined) this.#set(client, patch.body.byteLength > 0 ? parse(patch.body) : undefined)
      }
    } catch {
      return // What one peer writes into its cursor is no reason to lose the others.
    }
    this.#place.changed(this.cursors)
  }

  #set(client: string, value: unknown): void {
    if (client === this.#place.client) return
    const selection = selectionOf(value)
    const text = this.#place.text()
    this.#cursors.delete(client)
    if (!selection || this.#cursors.size >= MOST_CURSORS) return
    this.#cursors.set(client, { client, name: selection.name ?? '', from: unitsAt(text, selection.from), to: unitsAt(text, selection.to) })
  }

  async #tell(): Promise<void> {
    const { connection, url, client, text } = this.#place
    this.#timer = undefined
    const own = this.#own
    const name = this.#name.slice(0, NAME_LIMIT)
    const body = JSON.stringify(own ? [{ from: pointsAt(text(), own.from), to: pointsAt(text(), own.to), ...(name ? { name } : {}) }] : [])
    if (body === this.#told || (body === '[]' && this.#told === '') || this.#over.signal.aborted) return
    const headers = { 'content-type': CURSORS, peer: client, 'content-range': `json [${JSON.stringify(client)}]` }
    try {
      const response = await peerFetch(connection, url, { method: 'PUT', headers, body, signal: this.#over.signal }, 1)
      if (response.ok) this.#told = body
      // Too early: the subscription is not there yet. Anything else is not worth insisting on; the next move tells again.
      else if (response.status === 425) this.move(this.#own)
    } catch {
      this.#told = ''
    }
  }
}
