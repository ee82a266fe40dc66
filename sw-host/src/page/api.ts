/** The SDK's public types: shipped as `kith.d.ts`. */
import type { KithError } from '../shared/problem.ts'
import type { Imports, PastOptions, ReadOptions, SpacePast } from './api-history.ts'
import type { KindCalls, MergeType } from './api-kinds.ts'
import type { Joined, KithEventMap, Lost, Member, SpaceInfo, Spread, Status } from './api-peer.ts'
import type { TextDocument, TextOptions } from './api-text.ts'

/** Anything JSON can say. */
export type Json = null | boolean | number | string | Json[] | { [key: string]: Json }

/** A place in a space: `notes/1/title`, or its keys one by one where a key itself contains a slash. */
export type Path = string | readonly string[]

/** How {@link Kith} is set up. Every option has an attribute on the script tag, or a `<meta name="kith-…">`. */
export interface ConnectOptions {
  /**
   * Which Service Worker holds the peer. `data-worker`.
   * - default: `/kith-worker.js`, registered for the whole origin;
   * - a URL: your own worker that imports Kith; it is registered for you;
   * - `'none'`: you register your own worker yourself; Kith waits for it.
   */
  worker?: string
  /** The scope to register for. `data-scope`. Default: the folder of the worker's script. */
  scope?: string
  /** The type of your own worker's script. `data-type`. Default `module`, then `classic` if that fails. */
  type?: 'module' | 'classic'
  /**
   * Relays: an origin that answers `/.well-known/kith.json`, or multiaddrs beginning with `/`. Several with commas.
   * `data-relay`. Default: the origin this script came from. `'none'` uses no relay from here.
   */
  relay?: string
  /** A list of files to keep for offline use: `{"release","files"}`. `data-shell`. Default: nothing is kept. */
  shell?: string
  /** Whether to ask the browser (at the first click or key) not to evict the data. `data-persist="false"`. Default true. */
  persist?: boolean
  /** STUN and TURN servers for direct links. Default: none. */
  iceServers?: { urls: string | string[]; username?: string; credential?: string }[]
}

/** What a value had when it was read. */
export interface Value<T = Json> {
  /** The value; undefined when there is none. Other media types than JSON come as a `Blob`. */
  value: T | undefined
  /** Its versions: one, or several where devices wrote at the same time. */
  version: string[]
  /** For `If-Match`. */
  etag: string | undefined
}

/** One state of a subscription. */
export interface Update<T = Json> extends Omit<Value<T>, 'etag'> {
  /** The versions this state builds on. */
  parents: string[]
}

/** What a write did. It is durable on this device when you get this. */
export interface Written {
  /** Whether nothing was there before. */
  created: boolean
  /** The versions now at the path. */
  version: string[]
  /** For `If-Match`. */
  etag: string | undefined
  /** How far it has travelled: `local`, or `peers=<n>`. */
  sync: string
}

/** How a write is made. */
export interface WriteOptions {
  /** Only if the value still has this ETag; fails with 412 otherwise. */
  ifMatch?: string
  /** `'*'`: only if nothing is there; fails with 412 otherwise. */
  ifNoneMatch?: string
  /** How the value is merged from now on. Default: as it is; where nothing is, `lww` or what the space's policy says. */
  kind?: MergeType
  /** The media type of a `Blob`, bytes or text. Default: the `Blob`'s own, else `application/octet-stream`. */
  contentType?: string
  /** Erases, on every peer, what was written at the path and below before. With `put` and `delete` only. */
  purge?: boolean
  /** Gives up waiting. The write may still happen. */
  signal?: AbortSignal
}

/** A child in a listing. */
export interface Item<T = Json> {
  /** Its name: the last part of its path. */
  key: string
  /** Its versions; none, where only names are asked for, if more than some hundred values are below it. */
  version: string[]
  /** The value, if it was asked for and is not made up of more than 20 000. */
  value?: T
  /** Its merge type, if that is not `lww`; `newer` for one that only a later release knows. */
  kind?: string
}

/** One page of a listing, in key order. */
export interface Listing<T = Json> {
  items: Item<T>[]
  /** Give it as `start` (or `end` when reversed) for the next page; undefined on the last. */
  next?: string
}

/** Which part of a listing. */
export interface ListOptions extends PastOptions {
  /** First key, inclusive. */
  start?: string
  /** Last key, exclusive. */
  end?: string
  /** At most so many. */
  limit?: number
  /** From the end. */
  reverse?: boolean
  /** With values. */
  values?: boolean
  signal?: AbortSignal
}

/** One change in a space's feed. */
export interface Change {
  /** Give it as `since` to go on after this change. */
  cursor: string
  /** Where it stands now. */
  path: string
  /** Where it stood before, of a move that says where it stands now. */
  from?: string
  kind: 'put' | 'delete' | 'move'
  /** The merge type it went by, if that is not `lww`. */
  merge?: string
  version: string
  /** Who made it, as did:key. */
  author: string
  /** When, by the author's clock, in milliseconds since 1970. */
  time: number
}

/** A shared tree of values. */
export interface Space extends KindCalls, SpacePast {
  /** `me`, or the space's id. */
  readonly id: string
  /** The URL of a place, for `fetch`, `<img>`, `EventSource`. */
  url(path: Path): string
  /**
   * The value at a path; undefined when there is none.
   * @example const title = await space.get<string>('notes/1/title')
   * @example const before = await space.get('notes/1', { at: Date.now() - 3_600_000 })
   */
  get<T = Json>(path: Path, options?: ReadOptions): Promise<T | undefined>
  /** The value with its version and ETag. */
  read<T = Json>(path: Path, options?: ReadOptions): Promise<Value<T>>
  /**
   * Replaces the value at a path. JSON as it is; a `Blob` or bytes with a media type.
   * @example await space.put('notes/1', { title: 'Tea' })
   */
  put(path: Path, value: unknown, options?: WriteOptions): Promise<Written>
  /**
   * Changes only the fields named (JSON merge patch: null removes); an array of `{op,path,…}` is a JSON patch.
   * @example await space.patch('notes/1', { done: true })
   */
  patch(path: Path, change: Json, options?: WriteOptions): Promise<Written>
  /** Removes the value and everything below it. */
  delete(path: Path, options?: WriteOptions): Promise<void>
  /**
   * The children of a place.
   * @example const { items } = await space.list('notes', { values: true, limit: 20 })
   */
  list<T = Json>(prefix: Path, options?: ListOptions): Promise<Listing<T>>
  /**
   * The value now, then after every change, for as long as you read. Reconnects by itself and misses nothing.
   * A path that ends in `/` follows the children: `value` is then the object of all children.
   * @example for await (const { value } of space.subscribe<Note>('notes/1')) draw(value)
   */
  subscribe<T = Json>(path: Path, options?: { signal?: AbortSignal }): AsyncIterable<Update<T>>
  /** Opens a text that many edit at once; close it when done. @example const doc = space.text('plan', { name: 'Ada' }) */
  text(path: Path, options?: TextOptions): TextDocument
  /**
   * Every change of the space in the order it arrived here, then those to come.
   * @example for await (const change of space.changes({ since: saved })) saved = change.cursor
   */
  changes(options?: { since?: string; signal?: AbortSignal }): AsyncIterable<Change>
  /**
   * Makes a link that lets whoever opens it in, and opens `app` for them.
   * @example const { url } = await space.invite({ role: 'writer', app: '/board/' })
   */
  invite(options?: { role?: 'writer' | 'reader'; app?: string }): Promise<{ id: string; url: string }>
  /** Who may do what here. */
  members(): Promise<Member[]>
  /** How far this device's writes here have travelled: who keeps how many of them, and since when. */
  sync(): Promise<Spread>
}

/** A page's connection to the peer in this browser. */
export interface Kith extends EventTarget, Imports {
  /** Resolves once `fetch('/~/…')` from this page reaches the peer; rejects with a {@link KithError} in plain words if it never will. */
  readonly ready: Promise<void>
  /** What is wrong now, in plain words; undefined when all is well. */
  readonly problem: KithError | undefined
  /** What the browser deleted since the last visit, and what of it is back; undefined if nothing, or if it was put aside. */
  readonly lost: Lost | undefined
  /** Puts {@link Kith.lost} aside: the person knows. */
  forgetLost(): void
  /** The space this page's invite link led to; undefined if it was opened without one. Rejects if the invite failed. */
  readonly joined: Promise<Joined | undefined>
  /** The release of the page's script. */
  readonly release: string
  /** A space: your own private one, or another by its id. */
  space(id?: string): Space
  /** The spaces this peer has. */
  spaces(): Promise<SpaceInfo[]>
  /** Makes a space of which you are the owner. */
  createSpace(name: string): Promise<SpaceInfo>
  /** Accepts an invite: its URL or its fragment. Again: the same answer. */
  join(invite: string): Promise<Joined>
  /** How the peer is now. */
  status(): Promise<Status>
  /** How the peer is, now and after every change. */
  watchStatus(options?: { signal?: AbortSignal }): AsyncIterable<Status>
  /**
   * Takes Kith off this browser: unregisters the worker; with `wipe` also deletes everything it stored here.
   * What no other device has is then lost for good.
   */
  uninstall(options?: { wipe?: boolean }): Promise<void>
  addEventListener<K extends keyof KithEventMap>(type: K, listener: (event: KithEventMap[K]) => void, options?: AddEventListenerOptions): void
  addEventListener(type: string, listener: EventListenerOrEventListenerObject | null, options?: AddEventListenerOptions | boolean): void
}
