/** Reads a request's body with a limit, so that no page can fill the worker's memory. */
import { KithError, problem } from '../shared/problem.ts'

/** The largest body handed to the peer: values of 1 MiB, and room for what frames them. The peer has the exact limits. */
export const BODY_LIMIT = 1024 * 1024 + 64 * 1024

const tooLarge = (): KithError =>
  new KithError(
    problem('too-large', 413, `The request's body is larger than ${BODY_LIMIT} bytes. Store larger things in smaller pieces.`, {
      limit: BODY_LIMIT,
    }),
  )

/** The whole body; undefined where there is none. */
export async function requestBody(request: Request): Promise<Uint8Array | undefined> {
  if (request.method === 'GET' || request.method === 'HEAD') return undefined
  // Firefox gives no `body` stream; there the page already holds the whole body, so reading it at once adds no risk.
  if (!request.body) {
    const all = new Uint8Array(await request.arrayBuffer())
    if (all.byteLength > BODY_LIMIT) throw tooLarge()
    return all.byteLength > 0 ? all : undefined
  }
  const reader: ReadableStreamDefaultReader<Uint8Array> = request.body.getReader()
  const chunks: Uint8Array[] = []
  let length = 0
  for (;;) {
    const { done, value } = await reader.read()
    if (done) break
    length += value.byteLength
    if (length > BODY_LIMIT) {
      await reader.cancel().catch(() => undefined)
      throw tooLarge()
    }
    chunks.push(value)
  }
  if (chunks.length === 1) return chunks[0]
  const whole = new Uint8Array(length)
  let at = 0
  for (const chunk of chunks) {
    whole.set(chunk, at)
    at += chunk.byteLength
  }
  return whole
}
