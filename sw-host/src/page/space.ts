/** A space as the SDK shows it: its calls are the HTTP surface, nothing more. */
import { isJson } from '../shared/media.ts'
import { readVersions, writeVersions } from '../shared/multiresponse.ts'
import type { Item, Json, ListOptions, Path, Space, Update, Value, WriteOptions, Written } from './api.ts'
import type { Conflict } from './api-kinds.ts'
import type { Member, Spread } from './api-peer.ts'
import { askJson, askPeer, jsonBody, peerFetch } from './peer-fetch.ts'
import type { Connection } from './peer-fetch.ts'
import { KithError, problemOf } from '../shared/problem.ts'
import type { ReadOptions } from './api-history.ts'
import { pastQuery, spacePast, withQuery } from './space-past.ts'
import { followChanges, followList, followValue } from './follow-place.ts'
import { PageText } from './text/document.ts'

/** A path as URL segments: keys are percent-encoded, a slash at the end stays. */
export function encodePath(path: Path): string {
  if (typeof path !== 'string') return path.map(encodeURIComponent).join('/')
  return path.replace(/^\/+/, '').split('/').map(encodeURIComponent).join('/')
}

const asFolder = (path: Path): string => {
  const encoded = encodePath(path)
  return encoded === '' || encoded.endsWith('/') ? encoded : `${encoded}/`
}

async function valueOf<T>(response: Response): Promise<T | undefined> {
  if (response.status === 204) return undefined
  const media = response.headers.get('content-type') ?? ''
  return (isJson(media) ? await response.json() : await response.blob()) as T
}

function written(response: Response): Written {
  return {
    created: response.status === 201,
    version: readVersions(response.headers.get('version')),
    etag: response.headers.get('etag') ?? undefined,
    sync: response.headers.get('sync-status') ?? 'local',
  }
}

/** A name for one write, so that it can be repeated safely: the peer does a write of the same name once. */
const writeName = (): string => writeVersions([`${crypto.randomUUID()}-0`])

function writeHeaders(options: WriteOptions): Record<string, string> {
  return {
    version: writeName(),
    ...(options.kind ? { 'merge-type': options.kind } : {}),
    ...(options.ifMatch ? { 'if-match': options.ifMatch } : {}),
    ...(options.ifNoneMatch ? { 'if-none-match': options.ifNoneMatch } : {}),
  }
}

const withSignal = (signal: AbortSignal | undefined): RequestInit => (signal ? { signal } : {})

function putBody(value: unknown, contentType: string | undefined): { body: BodyInit; type: string } {
  if (value instanceof Blob) return { body: value, type: contentType ?? (value.type || 'application/octet-stream') }
  if (value instanceof ArrayBuffer || ArrayBuffer.isView(value)) {
    return { body: value as BufferSource as BodyInit, type: contentType ?? 'application/octet-stream' }
  }
  if (contentType && !isJson(contentType) && typeof value === 'string') return { body: value, type: contentType }
  return { body: JSON.stringify(value ?? null), type: contentType ?? 'application/json' }
}

/** Makes the handle of a space. */
export function openSpace(id: string, connection: Connection): Space {
  const root = `/~/${encodeURIComponent(id)}/`
  const url = (path: Path): string => root + encodePath(path)

  const write = async (method: string, path: Path, init: RequestInit, options: WriteOptions): Promise<Response> => {
    const headers = { ...(init.headers as Record<string, string> | undefined), ...writeHeaders(options) }
    const where = options.purge ? `${url(path)}?purge=1` : url(path)
    return askPeer(connection, where, { ...init, method, headers, ...withSignal(options.signal) })
  }

  const read = async <T>(path: Path, options: ReadOptions = {}): Promise<Value<T>> => {
    const response = await peerFetch(connection, withQuery(url(path), pastQuery(options)), withSignal(options.signal))
    if (!response.ok && response.status !== 404) throw new KithError(await problemOf(response))
    const gone = response.status === 404
    if (gone) {
      const problem = await problemOf(response)
      if (problem.type !== 'urn:kith:problem:not-found') throw new KithError(problem)
    }
    return {
      value: gone ? undefined : await valueOf<T>(response),
      version: readVersions(response.headers.get('version')),
      etag: response.headers.get('etag') ?? undefined,
    }
  }

  const subscribe = <T>(path: Path, options: { signal?: AbortSignal } = {}): AsyncIterable<Update<T>> =>
    encodePath(path).endsWith('/') || encodePath(path) === ''
      ? (followList(connection, url(path), options.signal) as AsyncIterable<Update<T>>)
      : followValue<T>(connection, url(path), options.signal)

  const patch = async (path: Path, type: string, change: Json, options: WriteOptions = {}): Promise<Written> =>
    written(await write('PATCH', path, { body: JSON.stringify(change), headers: { 'content-type': type } }, options))

  return {
    id,
    url,
    read,
    get: async <T = Json>(path: Path, options: ReadOptions = {}) => (await read<T>(path, options)).value,
    put: async (path, value, options = {}) => {
      const { body, type } = putBody(value, options.contentType)
      return written(await write('PUT', path, { body, headers: { 'content-type': type } }, options))
    },
    patch: (path, change, options) =>
      patch(path, Array.isArray(change) ? 'application/json-patch+json' : 'application/merge-patch+json', change, options),
    increment: (path, by = 1, options) => patch(path, 'application/vnd.kith.counter+json', by, options),
    add: (path, ...add) => patch(path, 'application/vnd.kith.set+json', { add }),
    remove: (path, ...remove) => patch(path, 'application/vnd.kith.set+json', { remove }),
    conflicts: async <T = Json>(options: { signal?: AbortSignal } = {}) =>
      (await askJson<{ items: Conflict<T>[] }>(connection, `${root}$conflicts`, withSignal(options.signal))).items,
    delete: async (path, options = {}) => {
      await write('DELETE', path, {}, options)
    },
    list: async <T = Json>(prefix: Path, options: ListOptions = {}) => {
      const query = pastQuery(options)
      for (const name of ['start', 'end', 'limit', 'reverse', 'values'] as const) {
        const value = options[name]
        if (value !== undefined && value !== false) query.set(name, value === true ? '1' : String(value))
      }
      const where = withQuery(`${root}${asFolder(prefix)}`, query)
      const page = await askJson<{ items: (Omit<Item<T>, 'version'> & { version: string })[]; next?: string }>(connection, where, withSignal(options.signal))
      return { ...page, items: page.items.map((item) => ({ ...item, version: item.version.split(',').filter(Boolean) })) }
    },
    ...spacePast({ connection, root, url, encode: encodePath, written, writeName }),
    subscribe,
    text: (path, options) => new PageText(connection, url(path), options),
    changes: (options) => followChanges(connection, `${root}$changes`, options),
    invite: ({ role = 'writer', app = location.pathname } = {}) =>
      askJson<{ id: string; url: string }>(connection, `${root}$invites`, jsonBody('POST', { role, app })),
    sync: () => askJson<Spread>(connection, `${root}$sync`),
    members: async () => {
      const answer = await askJson<Member[] | { items?: Member[]; members?: Member[] }>(connection, `${root}$members`)
      return Array.isArray(answer) ? answer : (answer.items ?? answer.members ?? [])
    },
  }
}
