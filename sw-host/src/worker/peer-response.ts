/** Turns the peer's answers into `Response`s. */
import { KithError, problem } from '../shared/problem.ts'
import type { Reply } from './glue-types.ts'
import type { PeerHost } from './peer-host.ts'
import type { RunningPeer } from './running-peer.ts'

/** Statuses that may not carry a body. */
const BODILESS = new Set([204, 205, 304])

function streamBody(stream: number, running: RunningPeer, host: PeerHost): ReadableStream<Uint8Array> {
  let forget = (): unknown => undefined
  let open = true
  const stop = (): void => {
    open = false
    forget()
  }
  return new ReadableStream<Uint8Array>({
    start(controller) {
      forget = host.streams.add(() => {
        if (!open) return
        stop()
        if (!running.dead) running.peer.cancel(stream)
        controller.close()
      })
    },
    async pull(controller) {
      const chunk = await running.unlessDead(running.peer.pull(stream)).catch(() => undefined)
      if (!open) return
      if (chunk) {
        controller.enqueue(chunk)
      } else {
        stop()
        controller.close()
      }
    },
    cancel() {
      if (!open) return
      stop()
      if (!running.dead) running.peer.cancel(stream)
    },
  })
}

/** The peer's reply as a response. */
export function responseOf(reply: Reply, running: RunningPeer, host: PeerHost): Response {
  const body = reply.stream !== undefined ? streamBody(reply.stream, running, host) : (reply.body ?? null)
  try {
    return new Response(BODILESS.has(reply.status) ? null : body, {
      status: reply.status,
      statusText: reply.statusText,
      headers: reply.headers,
    })
  } catch (cause) {
    throw new KithError(problem('bad-reply', 500, `The peer answered with status ${reply.status}, which cannot be sent.`), { cause })
  }
}

/** Whether a request opens a subscription: its answer is a stream. */
export function subscribes(headers: Headers): boolean {
  const subscribe = headers.get('subscribe')
  if (subscribe !== null) return subscribe !== 'false' && subscribe !== '?0'
  return (headers.get('accept') ?? '').includes('text/event-stream')
}

/** A subscription that ends at once: every reader comes back, and then meets the worker that replaces this one. */
export function endedStream(headers: Headers): Response {
  return headers.has('subscribe')
    ? new Response('\r\n', {
        status: 209,
        statusText: 'Multiresponse',
        headers: { 'content-type': 'application/http-history', subscribe: '?1', 'cache-control': 'no-store' },
      })
    : new Response('retry: 300\n\n', { headers: { 'content-type': 'text/event-stream', 'cache-control': 'no-store' } })
}
