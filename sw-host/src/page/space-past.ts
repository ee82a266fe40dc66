/** The past of a space in the SDK: thin calls of the HTTP surface. */
import type { Path, Written } from './api.ts'
import type { History, Imported, Imports, PastOptions, SpacePast, StrongLink, Undone } from './api-history.ts'
import { askJson, askPeer } from './peer-fetch.ts'
import type { Connection } from './peer-fetch.ts'
import { IMPORT_PATH, SPACE_FILE } from '../shared/names.ts'

const momentText = (at: Date | number | string): string => (at instanceof Date ? String(at.getTime()) : String(at))

const versionText = (version: string | readonly string[]): string => (typeof version === 'string' ? version : version.join(','))

/** The query that names a point in the past; empty if none is named. */
export function pastQuery({ version, at }: PastOptions): URLSearchParams {
  const query = new URLSearchParams()
  if (version !== undefined) query.set('version', versionText(version))
  if (at !== undefined) query.set('at', momentText(at))
  return query
}

/** A URL with a query, if there is one. */
export const withQuery = (url: string, query: URLSearchParams): string => (query.size > 0 ? `${url}?${query}` : url)

/** What the handle of a space gives to its past. */
export interface SpaceTools {
  connection: Connection
  /** The URL of the space, with a slash at the end. */
  root: string
  url(path: Path): string
  encode(path: Path): string
  written(response: Response): Written
  /** A fresh name for a write. */
  writeName(): string
}

/** The calls about the past of a space. */
export function spacePast({ connection, root, url, encode, written, writeName }: SpaceTools): SpacePast {
  const step = async (name: 'undo' | 'redo', path: Path = ''): Promise<Undone> => {
    const init = {
      method: 'POST',
      headers: { 'content-type': 'application/json', version: writeName() },
      body: JSON.stringify({ path: encode(path) }),
    }
    const { undone, redone, ...rest } = await askJson<Omit<Undone, 'target'> & { undone?: string | null; redone?: string | null }>(connection, `${root}$${name}`, init)
    return { target: (name === 'undo' ? undone : redone) ?? null, ...rest }
  }
  return {
    history: (path, { before, limit, signal } = {}) => {
      const query = new URLSearchParams({ history: '1' })
      if (before !== undefined) query.set('before', before)
      if (limit !== undefined) query.set('limit', String(limit))
      return askJson<History>(connection, withQuery(url(path), query), signal ? { signal } : {})
    },
    restore: async (path, { version, at }) => {
      const from = version !== undefined ? versionText(version) : momentText(at ?? '')
      const init = { method: 'PUT', headers: { version: writeName() } }
      return written(await askPeer(connection, withQuery(url(path), new URLSearchParams({ from })), init))
    },
    move: async (from, to) => {
      const init = { method: 'PUT', headers: { version: writeName() } }
      return written(await askPeer(connection, withQuery(url(to), new URLSearchParams({ move: encode(from) })), init))
    },
    undo: (path) => step('undo', path),
    redo: (path) => step('redo', path),
    link: (path, options = {}) => {
      const query = pastQuery(options)
      query.set('link', '1')
      return askJson<StrongLink>(connection, withQuery(url(path), query))
    },
    exportSpace: async ({ keys = false, signal } = {}) =>
      (await askPeer(connection, `${root}$export${keys ? '?keys=1' : ''}`, signal ? { signal } : {})).blob(),
  }
}

/** Takes in a file of a space. */
export const importSpace = (connection: Connection, ...[file, { signal } = {}]: Parameters<Imports['importSpace']>): Promise<Imported> =>
  askJson(connection, IMPORT_PATH, { method: 'POST', headers: { 'content-type': SPACE_FILE }, body: file, ...(signal ? { signal } : {}) })
