/** Texts as Braid writes them: requests out of changes, changes out of frames. */
import { readVersions, writeVersions } from '../../shared/multiresponse.ts'
import type { Frame } from '../../shared/multiresponse.ts'
import type { Patch } from './code-points.ts'
import type { Sent } from './state.ts'

/** What every request about a text says. */
export const textHeaders = (client: string): Record<string, string> => ({ 'merge-type': 'simpleton', peer: client })

// A byte order mark is a character like any other here: leaving it out would shift every position behind it.
const decoder = new TextDecoder('utf-8', { ignoreBOM: true })
export const textOf = (body: Uint8Array): string => decoder.decode(body)

/** The request that makes one change. */
export function changeRequest({ version, parents, patches }: Sent, client: string): RequestInit {
  const headers: Record<string, string> = {
    ...textHeaders(client),
    'content-type': 'text/plain',
    version: writeVersions([version]),
    parents: writeVersions(parents),
  }
  const range = ({ from, to }: Patch): string => `text [${from}:${to}]`
  const [only] = patches
  if (only && patches.length === 1) return { method: 'PUT', headers: { ...headers, 'content-range': range(only) }, body: only.insert }
  const encoder = new TextEncoder()
  const block = (patch: Patch): string =>
    `Content-Length: ${encoder.encode(patch.insert).byteLength}\r\nContent-Range: ${range(patch)}\r\n\r\n${patch.insert}\r\n`
  return { method: 'PUT', headers: { ...headers, patches: String(patches.length) }, body: patches.map(block).join('\r\n') }
}

/** The request that makes an empty text where nothing is. */
export const creation = (client: string): RequestInit => ({
  method: 'PUT',
  headers: { ...textHeaders(client), 'content-type': 'text/plain', 'if-none-match': '*' },
  body: '',
})

/** What a frame says about a text. */
export interface TextFrame {
  version: string[]
  parents: string[]
  /** The ranges it replaces, or undefined where it is the whole text. */
  patches: Patch[] | undefined
  text: string
  /** No text is there. */
  gone: boolean
  /** A sign of life, no state. */
  empty: boolean
  /** The media type, if it says one. */
  media: string | undefined
}

const RANGE = /^text \[(\d+):(\d+)\]$/

/**
 * Reads a frame.
 * @throws RangeError where a range is none of a text
 */
export function readFrame(frame: Frame): TextFrame {
  const patches = frame.patches.map(({ range, body }) => {
    const [, from, to] = RANGE.exec(range) ?? []
    if (from === undefined || to === undefined) throw new RangeError(`“${range}” is no range of a text.`)
    return { from: Number(from), to: Number(to), insert: textOf(body) }
  })
  return {
    version: readVersions(frame.headers.get('version')),
    parents: readVersions(frame.headers.get('parents')),
    // `Patches: 0` is a version in which the text stays as it is, not an empty text.
    patches: patches.length > 0 || frame.headers.has('patches') ? patches : undefined,
    text: patches.length > 0 ? '' : textOf(frame.body),
    gone: frame.status === 404,
    empty: frame.status === 200 && !frame.headers.has('version') && frame.body.byteLength === 0,
    media: frame.headers.get('content-type') ?? undefined,
  }
}
