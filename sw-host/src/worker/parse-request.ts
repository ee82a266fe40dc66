/**
 * What a fetch event asks for, decided once and synchronously: the browser wants to know at once whether we answer.
 */
import { HEARTBEAT_SCRIPT, KILL_PARAM, KILL_VALUE, PING_PATH, PREFIX, WIPE_PARAM } from '../shared/names.ts'

/** Every kind of request this worker tells apart. */
export type Parsed =
  /** Not ours: the browser or the author's own listeners handle it. */
  | { kind: 'foreign' }
  /** `?kith=unregister` on any page. */
  | { kind: 'kill'; wipe: boolean }
  /** A Braid client's multiplexing probe, on any path. */
  | { kind: 'multiplex' }
  /** The keep-alive request. */
  | { kind: 'ping' }
  /** The keep-alive script. */
  | { kind: 'heartbeat' }
  /** A form that would write below `/~/`: another site can make a browser send one. */
  | { kind: 'form' }
  /** Everything else below `/~/`. */
  | { kind: 'peer' }
  /** A file of the page shell, when this worker keeps one. */
  | { kind: 'shell' }

/** What is asked of a request to tell its kind. `Request` has all of it. */
export interface RequestHead {
  readonly method: string
  readonly url: string
  readonly mode: string
}

/** Where this worker stands. */
export interface Place {
  /** The origin, e.g. `https://example.org`. */
  origin: string
  /** The registration's scope, absolute. */
  scope: string
  /** Whether it keeps a page shell. */
  shell: boolean
}

const reads = (method: string): boolean => method === 'GET' || method === 'HEAD'

/** Tells a request's kind. */
export function parseRequest(request: RequestHead, place: Place): Parsed {
  const url = new URL(request.url)
  if (url.origin !== place.origin) return { kind: 'foreign' }
  if (request.method === 'MULTIPLEX') return { kind: 'multiplex' }
  if (request.mode === 'navigate' && url.searchParams.get(KILL_PARAM) === KILL_VALUE) {
    return { kind: 'kill', wipe: url.searchParams.has(WIPE_PARAM) }
  }
  if (reads(request.method) && url.href === new URL(HEARTBEAT_SCRIPT, place.scope).href) return { kind: 'heartbeat' }
  if (!url.pathname.startsWith(PREFIX)) {
    return place.shell && request.method === 'GET' ? { kind: 'shell' } : { kind: 'foreign' }
  }
  if (url.pathname === PING_PATH && request.method === 'POST') return { kind: 'ping' }
  if (request.mode === 'navigate' && !reads(request.method)) return { kind: 'form' }
  return { kind: 'peer' }
}
