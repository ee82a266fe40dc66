/**
 * Reads the body of a Braid 209 answer: updates, each `HTTP 200 OK`, headers, a blank line and `Content-Length` bytes;
 * blank lines between them are heartbeats. Chunks may be cut anywhere.
 */

/** Longest head of one update, in bytes. */
export const HEAD_LIMIT = 64 * 1024
/** Longest body of one update, in bytes. */
export const UPDATE_LIMIT = 16 * 1024 * 1024

/** One update as sent. */
export interface Frame {
  /** 200 unless the update says otherwise (404: the value is gone). */
  status: number
  headers: Headers
  body: Uint8Array<ArrayBuffer>
  /** Where the update changes parts of what was there: each range and what replaces it. */
  patches: Patch[]
}

/** One part of an update. */
export interface Patch {
  /** As in `Content-Range`, e.g. `items "tea"`. */
  range: string
  /** What is there now; empty where it is gone. */
  body: Uint8Array<ArrayBuffer>
}

/** Most patches in one update. */
export const PATCH_LIMIT = 10_000

/** The body is not a multiresponse, or larger than the limits. */
export class FrameError extends Error {
  override name = 'FrameError'
}

const CR = 13
const LF = 10
const decoder = new TextDecoder()

/** Collects chunks into frames. */
export class FrameReader {
  #bytes: Uint8Array<ArrayBuffer> = new Uint8Array(0)

  /** Takes the next chunk. @returns the frames that are complete now. */
  push(chunk: Uint8Array): Frame[] {
    const joined = new Uint8Array(this.#bytes.byteLength + chunk.byteLength)
    joined.set(this.#bytes)
    joined.set(chunk, this.#bytes.byteLength)
    this.#bytes = joined
    const frames: Frame[] = []
    for (let frame = this.#take(); frame; frame = this.#take()) frames.push(frame)
    return frames
  }

  #take(): Frame | undefined {
    const bytes = this.#bytes
    const start = skipBlank(bytes, 0)
    const head = block(bytes, start)
    if (!head) {
      this.#bytes = bytes.slice(start)
      return undefined
    }
    const { status, headers } = head
    const count = Number(headers.get('patches') ?? 0)
    if (!Number.isInteger(count) || count < 0 || count > PATCH_LIMIT) throw new FrameError('An update has no usable number of patches.')
    const patches: Patch[] = []
    let body = head.body
    let end = head.end
    for (let i = 0; i < count; i++) {
      const patch = block(bytes, skipBlank(bytes, i === 0 ? head.bodyStart : end))
      if (!patch) return undefined
      patches.push({ range: patch.headers.get('content-range') ?? '', body: patch.body })
      end = patch.end
      body = new Uint8Array(0)
    }
    const range = headers.get('content-range')
    if (range !== null) patches.push({ range, body })
    this.#bytes = bytes.slice(end)
    return { status, headers, body, patches }
  }
}

interface Block {
  status: number
  headers: Headers
  bodyStart: number
  body: Uint8Array<ArrayBuffer>
  end: number
}

function skipBlank(bytes: Uint8Array, from: number): number {
  let at = from
  while (bytes[at] === CR || bytes[at] === LF) at++
  return at
}

/** A head and its body, once both are there. */
function block(bytes: Uint8Array<ArrayBuffer>, start: number): Block | undefined {
  const split = headEnd(bytes, start)
  if (!split) {
    if (bytes.byteLength - start > HEAD_LIMIT) throw new FrameError('An update has headers without end.')
    return undefined
  }
  const { status, headers } = readHead(decoder.decode(bytes.subarray(start, split.head)))
  const length = Number(headers.get('content-length') ?? 0)
  if (!Number.isInteger(length) || length < 0 || length > UPDATE_LIMIT) throw new FrameError('An update has no usable Content-Length.')
  const end = split.body + length
  if (bytes.byteLength < end) return undefined
  return { status, headers, bodyStart: split.body, body: bytes.slice(split.body, end), end }
}

/** Where the head ends and the body begins: after a blank line, with or without CRs. */
function headEnd(bytes: Uint8Array, start: number): { head: number; body: number } | undefined {
  for (let i = start; i < bytes.byteLength; i++) {
    if (bytes[i] !== LF) continue
    if (bytes[i + 1] === LF) return { head: i, body: i + 2 }
    if (bytes[i + 1] === CR && bytes[i + 2] === LF) return { head: i, body: i + 3 }
  }
  return undefined
}

function readHead(text: string): { status: number; headers: Headers } {
  const lines = text.split(/\r?\n/)
  const first = /^HTTP(?:\/[\d.]+)? (\d{3})/.exec(lines[0] ?? '')
  const headers = new Headers()
  for (const line of first ? lines.slice(1) : lines) {
    const colon = line.indexOf(':')
    if (colon < 1) throw new FrameError(`An update has a line that is no header: ${line.slice(0, 80)}`)
    headers.append(line.slice(0, colon).trim(), line.slice(colon + 1).trim())
  }
  return { status: Number(first?.[1] ?? 200), headers }
}

/** Reads `"a", "b"`: the form of `Version` and `Parents`. */
export function readVersions(header: string | null): string[] {
  return [...(header ?? '').matchAll(/"((?:[^"\\]|\\.)*)"/g)].map(([quoted, inside = '']) => {
    try {
      return JSON.parse(quoted) as string
    } catch {
      return inside
    }
  })
}

/** Writes `"a", "b"`. Other characters than ASCII as JSON escapes. */
export function writeVersions(versions: readonly string[]): string {
  const ascii = (text: string): string =>
    text.replace(/[^\x20-\x7e]/g, (character) => `\\u${character.charCodeAt(0).toString(16).padStart(4, '0')}`)
  return versions.map((version) => ascii(JSON.stringify(version))).join(', ')
}
