/**
 * The Kith worker. Registered as it is (`/kith-worker.js`), or imported into an author's own Service Worker, where it answers
 * only `/~/…` and leaves every other event to the author's listeners.
 *
 * All listeners are added right here, while the script runs for the first time: the browser ignores later ones.
 */
import { SHELL_PARAM, WORKER_HEADER } from '../shared/names.ts'
import { asKithError, problemResponse } from '../shared/problem.ts'
import { holdAliveLock } from './alive-lock.ts'
import { announce } from './announce.ts'
import { tellEnvironment } from './environment.ts'
import { answer } from './handlers.ts'
import { LeaveTogether } from './leave-together.ts'
import { hearWorkers, takePageMessage } from './page-messages.ts'
import type { Identity } from './page-messages.ts'
import { PageShell } from './page-shell.ts'
import { parseRequest } from './parse-request.ts'
import { PeerHost } from './peer-host.ts'
import { forgetOtherPeers, precachePeer } from './peer-wasm.ts'
import { Replacement } from './replacement.ts'
import { scope } from './scope.ts'
import { urge } from './take-over.ts'

const script = new URL(scope.location.href)
const embedded = !/^\/(.*\/)?kith-worker(-classic)?\.js$/.test(script.pathname)
const instance = crypto.randomUUID()
const identity: Identity = { instance, embedded, alive: holdAliveLock(instance) }
const list = embedded ? null : script.searchParams.get(SHELL_PARAM)
const shell = list ? new PageShell(new URL(list, script).href) : undefined
const host = new PeerHost({
  askToYield: () => announce({ type: 'yield', instance }),
  opened: (again) => {
    if (again) announce({ type: 'carrier-wanted', instance })
    void tellEnvironment(host)
  },
  outdated: () => void scope.registration.update().catch(() => undefined),
  replacementWaits,
})
const replacement = new Replacement(
  () => replacementWaits() && host.streams.draining,
  () => urge(instance),
)
const together = new LeaveTogether({
  replaced: () => host.streams.draining,
  due: () => replacement.due(),
  say: () => replacement.say(),
})
hearWorkers(identity, host)

/** Our own workers never wait by choice. An author's worker decides itself when it is replaced. The one that waits may be this one. */
function replacementWaits(): boolean {
  const replaceable = scope.serviceWorker?.state !== 'installed'
  return !embedded && replaceable && scope.registration.waiting !== null
}

// Replaced workers may live on for a moment; they must not open the peer again.
scope.serviceWorker?.addEventListener('statechange', () => {
  if (scope.serviceWorker.state === 'redundant') host.retire()
})

scope.addEventListener('install', (event) => {
  // An author's own worker must install even when our file cannot be had; ours is of no use without it.
  if (embedded) return event.waitUntil(precachePeer().catch(() => undefined))
  event.waitUntil(
    precachePeer().then(() => {
      announce({ type: 'drain', instance })
      return scope.skipWaiting()
    }),
  )
})

scope.addEventListener('activate', (event) => {
  void host.open().catch(() => undefined)
  if (embedded) return
  event.waitUntil(Promise.all([scope.clients.claim(), forgetOtherPeers()]))
})

scope.addEventListener('message', (event) => {
  const work = takePageMessage(event, identity, host)
  replacement.came(work)
  if (work) event.waitUntil(shell ? Promise.all([work, shell.refresh()]) : work)
})

scope.addEventListener('fetch', (event) => {
  const { request } = event
  const place = { origin: script.origin, scope: scope.registration.scope, shell: shell !== undefined }
  const parsed = parseRequest(request, place)
  if (parsed.kind === 'foreign') return replacement.came()
  const tools = { host, shell, later: (work: Promise<unknown>) => event.waitUntil(work) }
  const passed = together.pass(answer(request, parsed, tools))
  replacement.came(passed)
  event.respondWith(
    passed
      .catch((error: unknown) => {
        const { problem } = asKithError(error, 'peer-start', 503)
        return problemResponse(problem, problem.status === 503 ? { 'retry-after': '1' } : {})
      })
      .then((response) => (parsed.kind === 'shell' ? response : stamped(response, request))),
  )
})

/** Adds what every answer of ours carries. What people stored must not run as a page of this origin. */
function stamped(response: Response, request: Request): Response {
  response.headers.set(WORKER_HEADER, KITH_RELEASE)
  response.headers.set('x-content-type-options', 'nosniff')
  if (request.destination !== '' && DOCUMENTS.has(request.destination) && !response.headers.has('content-security-policy')) {
    response.headers.set('content-security-policy', 'sandbox')
  }
  return response
}

const DOCUMENTS = new Set<RequestDestination>(['document', 'iframe', 'frame', 'object', 'embed'])
