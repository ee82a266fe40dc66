/**
 * The peer's wasm, fetched once per release and checked on every use.
 *
 * The worker script carries the SHA-256 of the wasm it was built with. Only bytes with that digest are compiled: a
 * half-finished download, a proxy's error page, a damaged cache entry or a file of another release is thrown away and
 * fetched again.
 */
import { WASM_CACHE } from '../shared/names.ts'
import { KithError, problem, sentence } from '../shared/problem.ts'
import { scope } from './scope.ts'

/** Downloads tried before the peer is given up for this boot. */
export const WASM_FETCH_TRIES = 3
/** Pause before the second download, doubled for each further one, in milliseconds. */
export const WASM_RETRY_MS = 250

// Beside our own script; an author's worker may be anywhere, so there the files are looked for where the author says.
const folder = (): string => (scope.kithOptions?.files ?? new URL('.', scope.location.href).pathname).replace(/\/?$/, '/')
const key = (): string => new URL(`${folder()}${KITH_WASM_PATH}?sha256=${KITH_WASM_SHA256}`, scope.location.origin).href

/** Lower-case hex SHA-256. */
export async function sha256(bytes: BufferSource): Promise<string> {
  const digest = new Uint8Array(await crypto.subtle.digest('SHA-256', bytes))
  return Array.from(digest, (byte) => byte.toString(16).padStart(2, '0')).join('')
}

async function openCache(): Promise<Cache | undefined> {
  // Storage may be full, blocked or broken; the peer then lives from the network.
  return caches.open(WASM_CACHE).catch(() => undefined)
}

/** What the cache holds, not checked. */
async function cachedBytes(cache: Cache | undefined): Promise<ArrayBuffer | undefined> {
  const found = await cache?.match(key()).catch(() => undefined)
  return found?.arrayBuffer().catch(() => undefined)
}

/** Whether these are the bytes this release was built with; other ones leave the cache. */
async function isOurs(bytes: ArrayBuffer, cache: Cache | undefined): Promise<boolean> {
  if ((await sha256(bytes)) === KITH_WASM_SHA256) return true
  await cache?.delete(key()).catch(() => false)
  return false
}

async function downloadOnce(attempt: number): Promise<ArrayBuffer> {
  // After a bad copy the browser's HTTP cache is suspect too, so it is passed by.
  const response = await fetch(key(), { cache: attempt === 0 ? 'default' : 'reload', credentials: 'same-origin' })
  if (!response.ok) {
    throw new KithError(
      problem('peer-unreachable', 503, `The server answered ${response.status} for the peer program. Try again in a moment.`),
    )
  }
  const bytes = await response.arrayBuffer()
  if ((await sha256(bytes)) !== KITH_WASM_SHA256) {
    throw new KithError(
      problem(
        'peer-damaged',
        503,
        `The peer program arrived damaged or belongs to another release (${bytes.byteLength} bytes), so it was not started. ` +
          'Reload the page; if this stays, the server holds files of two releases.',
      ),
    )
  }
  return bytes
}

async function download(cache: Cache | undefined): Promise<ArrayBuffer> {
  let failure: unknown
  for (let attempt = 0; attempt < WASM_FETCH_TRIES; attempt++) {
    if (attempt > 0) await new Promise((resolve) => setTimeout(resolve, WASM_RETRY_MS * 2 ** (attempt - 1)))
    try {
      const bytes = await downloadOnce(attempt)
      const copy = new Response(bytes.slice(0), { headers: { 'content-type': 'application/wasm' } })
      await cache?.put(key(), copy).catch(() => undefined)
      return bytes
    } catch (error) {
      failure = error
    }
  }
  if (failure instanceof KithError) throw failure
  throw new KithError(
    problem(
      'peer-unreachable',
      503,
      `The peer program could not be fetched (${sentence(failure)}). Check the connection and try again.`,
    ),
    { cause: failure },
  )
}

/** Makes sure the verified wasm is in the cache, so that this release can start offline. */
export async function precachePeer(): Promise<void> {
  const cache = await openCache()
  const bytes = await cachedBytes(cache)
  if (!bytes || !(await isOurs(bytes, cache))) await download(cache)
}

async function compileVerified(): Promise<WebAssembly.Module> {
  const cache = await openCache()
  const bytes = await cachedBytes(cache)
  if (bytes) {
    // Side by side, both on threads of the browser: every start waits for the longer of the two. Nothing is run before the check.
    const module = WebAssembly.compile(bytes)
    module.catch(() => undefined)
    if (await isOurs(bytes, cache)) return module
  }
  return WebAssembly.compile(await download(cache))
}

let compiled: Promise<WebAssembly.Module> | undefined

/** The compiled peer, compiled once per worker life. A failure is not remembered: the next call tries again. */
export function compiledPeer(): Promise<WebAssembly.Module> {
  compiled ??= compileVerified().catch((error: unknown) => {
    compiled = undefined
    throw error
  })
  return compiled
}

/** Removes the wasm of other releases. */
export async function forgetOtherPeers(): Promise<void> {
  const cache = await openCache()
  if (!cache) return
  for (const request of await cache.keys()) if (request.url !== key()) await cache.delete(request)
}
