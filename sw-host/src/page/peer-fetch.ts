/** `fetch` for `/~/…` that survives what a Service Worker goes through: killed under a request, restarting, replaced, not yet in control. */
import { WORKER_HEADER } from '../shared/names.ts'
import { KithError, problem, problemOf } from '../shared/problem.ts'

/** Times a request is made before its trouble is told. */
export const REQUEST_TRIES = 6
/** First pause between them, doubled each time, in milliseconds. */
export const RETRY_MS = 80
/** Longest pause a `Retry-After` is followed for, in milliseconds. */
const LONGEST_PAUSE_MS = 5_000

/** What a request needs from the page's connection. */
export interface Connection {
  /** Resolves once a worker controls the page; called again to get control back. */
  control(): Promise<void>
}

const repeatable = (method: string, headers: Headers): boolean =>
  ['GET', 'HEAD', 'OPTIONS', 'PUT', 'DELETE'].includes(method) || headers.has('version')

const pause = (ms: number, signal: AbortSignal | null | undefined): Promise<void> =>
  new Promise((resolve, reject) => {
    signal?.throwIfAborted()
    const stop = (): void => {
      clearTimeout(timer)
      reject(signal?.reason)
    }
    const timer = setTimeout(() => {
      signal?.removeEventListener('abort', stop)
      resolve()
    }, ms)
    signal?.addEventListener('abort', stop, { once: true })
  })

/** The answer of the peer, whatever its status. Repeats what can be repeated without harm, up to so many `tries`. */
export async function peerFetch(connection: Connection, url: string, init: RequestInit = {}, tries = REQUEST_TRIES): Promise<Response> {
  const method = init.method ?? 'GET'
  const safe = repeatable(method, new Headers(init.headers))
  await connection.control()
  for (let attempt = 1; ; attempt++) {
    const last = attempt >= tries
    let wait = RETRY_MS * 2 ** (attempt - 1)
    try {
      const response = await fetch(url, init)
      if (!response.headers.has(WORKER_HEADER)) {
        // The network answered, so the peer never saw the request: any method may be repeated once the worker is back.
        if (last) throw new KithError(problem('not-controlled', 0, 'No Service Worker answers for this page. Reload it.'))
        await connection.control()
      } else if (response.status === 503 && safe && !last) {
        wait = Math.min(Number(response.headers.get('retry-after') ?? 0) * 1000 || wait, LONGEST_PAUSE_MS)
      } else {
        return response
      }
    } catch (error) {
      if (init.signal?.aborted || error instanceof KithError || !safe || last) throw told(error)
    }
    await pause(wait, init.signal)
  }
}

/** A failed fetch in plain words; an abort as it is. */
function told(error: unknown): unknown {
  if (error instanceof KithError || !(error instanceof TypeError)) return error
  return new KithError(
    problem('peer-stopped', 0, 'The worker was stopped in the middle of this request. Read the value again to see whether it was saved.'),
    { cause: error },
  )
}

/** The answer of the peer if it is good; its problem as a {@link KithError} otherwise. */
export async function askPeer(connection: Connection, url: string, init: RequestInit = {}): Promise<Response> {
  const response = await peerFetch(connection, url, init)
  if (response.ok || response.status === 304) return response
  throw new KithError(await problemOf(response))
}

/** A JSON document from the peer. */
export async function askJson<T>(connection: Connection, url: string, init: RequestInit = {}): Promise<T> {
  return (await askPeer(connection, url, init)).json() as Promise<T>
}

/** The options that send JSON. */
export const jsonBody = (method: string, value: unknown, type = 'application/json'): RequestInit => ({
  method,
  headers: { 'content-type': type },
  body: JSON.stringify(value),
})
