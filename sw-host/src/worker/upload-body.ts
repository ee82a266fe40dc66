/** Bodies too large to be held: handed to the peer piece by piece, each stored before the next is read. */
import { IMPORT_PATH } from '../shared/names.ts'
import type { Header } from './glue-types.ts'
import type { PeerHost } from './peer-host.ts'
import { responseOf } from './peer-response.ts'

/** The most bytes of a body handed to the peer at a time. */
export const PIECE = 256 * 1024

/** Whether a request's body is taken in piece by piece. */
export const comesInPieces = (request: Request): boolean => request.method === 'POST' && new URL(request.url).pathname === IMPORT_PATH

/** The body in pieces of at most {@link PIECE} bytes. */
export async function* pieces(request: Request): AsyncGenerator<Uint8Array, void, undefined> {
  if (!request.body) {
    // Firefox gives no `body` stream. A blob need not be in memory; its slices are read one by one.
    const blob = await request.blob()
    for (let at = 0; at < blob.size; at += PIECE) yield new Uint8Array(await blob.slice(at, at + PIECE).arrayBuffer())
    return
  }
  const reader: ReadableStreamDefaultReader<Uint8Array> = request.body.getReader()
  try {
    for (;;) {
      const { done, value } = await reader.read()
      if (done) return
      for (let at = 0; at < value.byteLength; at += PIECE) yield value.subarray(at, at + PIECE)
    }
  } finally {
    await reader.cancel().catch(() => undefined)
  }
}

/** Answers a request whose body comes in pieces. It is never repeated: the body is gone. What was taken in stays. */
export async function takeIn(request: Request, host: PeerHost): Promise<Response> {
  const running = await host.openSoon()
  const headers: Header[] = [...request.headers]
  const upload = running.peer.openUpload(request.method, request.url, headers)
  if (typeof upload !== 'number') {
    await request.body?.cancel().catch(() => undefined)
    return responseOf(upload, running, host)
  }
  try {
    for await (const piece of pieces(request)) {
      if (!(await running.unlessDead(running.peer.upload(upload, piece)))) break
    }
    return responseOf(running.peer.finishUpload(upload), running, host)
  } catch (error) {
    if (!running.dead) running.peer.cancelUpload(upload)
    throw error
  }
}
