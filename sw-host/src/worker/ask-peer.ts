/** Hands one request to the peer, once more if the peer crashed under it and a second time can do no harm. */
import { KithError, problem } from '../shared/problem.ts'
import type { Header, Reply } from './glue-types.ts'
import type { PeerHost } from './peer-host.ts'
import { endedStream, responseOf, subscribes } from './peer-response.ts'
import { requestBody } from './request-body.ts'
import { PeerDied } from './running-peer.ts'
import { comesInPieces, takeIn } from './upload-body.ts'

/** Times a request is handed to a peer: the first, and one more after a crash. */
const TRIES = 2

const REPEATABLE = new Set(['GET', 'HEAD', 'OPTIONS', 'PUT', 'DELETE'])

/** Doing it twice is doing it once: by its method, or because the writer named the write (`Version`). */
const repeatable = (request: Request): boolean => REPEATABLE.has(request.method) || request.headers.has('version')

/** Answers a request from the peer. Rejects only with {@link KithError}s. */
export async function askPeer(request: Request, host: PeerHost): Promise<Response> {
  if (host.streams.endsAtOnce && subscribes(request.headers)) return endedStream(request.headers)
  return host.whileBusy(
    (async () => {
      if (comesInPieces(request)) {
        return takeIn(request, host).catch((error: unknown) => {
          throw error instanceof PeerDied || isClosed(error) ? stopped(error) : error
        })
      }
      const headers: Header[] = [...request.headers]
      const body = await requestBody(request)
      for (let attempt = 1; ; attempt++) {
        const running = await host.openSoon()
        try {
          const reply = await running.unlessDead(running.peer.request(request.method, request.url, headers, body))
          if (!storageFailed(reply)) return responseOf(reply, running, host)
          // The database was closed or broke under the peer. What is stored is whole, so a fresh peer may well do better.
          await host.reopen(running, 'Storing failed.')
          if (attempt >= TRIES || !repeatable(request)) return responseOf(reply, running, host)
        } catch (error) {
          if (!(error instanceof PeerDied) && !running.dead && !isClosed(error)) throw error
          if (attempt < TRIES && repeatable(request)) continue
          throw stopped(error)
        }
      }
    })(),
  )
}

/** The peer was closed for a hand-over between our asking and its answer. */
const isClosed = (error: unknown): boolean => error instanceof Error && error.name === 'PeerClosedError'

function storageFailed({ status, body }: Reply): boolean {
  return status === 500 && body !== undefined && new TextDecoder().decode(body).includes('"urn:kith:problem:storage-failed"')
}

const stopped = (cause: unknown): KithError =>
  new KithError(
    problem(
      'peer-stopped',
      503,
      'The peer stopped while it worked on this request and has been restarted. ' +
        'If it was a write, read the value again to see whether it was saved, then repeat it if needed.',
    ),
    { cause },
  )
