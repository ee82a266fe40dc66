/**
 * Gets this page under the control of a worker that holds the peer: on a first visit, after a hard reload, and beside an
 * author's own worker. No visit needs a reload by hand.
 */
import { wire } from '../shared/messages.ts'
import { SHELL_PARAM } from '../shared/names.ts'
import { KithError, problem, sentence } from '../shared/problem.ts'
import type { ConnectOptions } from './api.ts'

/** The worker registered when a page names none. */
export const OWN_WORKER = '/kith-worker.js'
/** Its form for browsers without module workers. */
export const OWN_CLASSIC_WORKER = '/kith-worker-classic.js'
/** How long a worker may take to install: a slow phone fetching the peer for the first time, in milliseconds. */
const INSTALL_PATIENCE_MS = 60_000
/** How often an active worker is asked to take control, and how long one asking is waited for, in milliseconds. */
const CLAIM_TRIES = 5
const CLAIM_PATIENCE_MS = 2_000
/** Set in sessionStorage after the one reload tried as a last resort. */
const RELOADED = 'kith-reloaded'

const fail = (name: Parameters<typeof problem>[0], detail: string, cause?: unknown): KithError =>
  new KithError(problem(name, 0, detail), { cause })

/** The browser's Service Workers, or in plain words why there are none. */
export function serviceWorkers(): ServiceWorkerContainer {
  if (!isSecureContext) {
    throw fail(
      'insecure-page',
      'This page was opened over plain http. Browsers allow what Kith needs only over https, or on localhost. Open the https address of this page.',
    )
  }
  try {
    // A sandboxed frame throws on the mere mention.
    if (navigator.serviceWorker) return navigator.serviceWorker
  } catch (cause) {
    throw noWorkers(cause)
  }
  throw noWorkers()
}

const noWorkers = (cause?: unknown): KithError =>
  fail(
    'no-service-worker',
    'This window does not allow Service Workers, which Kith lives in. Private windows of some browsers are like that, and browsers that block site data. ' +
      'Open this page in an ordinary window, or in a recent Firefox, Chrome, Edge or Safari.',
    cause,
  )

const isOwn = (url: URL): boolean => url.pathname === OWN_WORKER || url.pathname === OWN_CLASSIC_WORKER

/** The script to register: an installed one of ours keeps its form, and keeps its page shell until another is named. */
function ownScript(installed: URL | undefined, shell: string | undefined): { url: URL; type: WorkerType } {
  const url = new URL(installed && isOwn(installed) ? installed : new URL(OWN_WORKER, location.origin))
  if (shell) url.searchParams.set(SHELL_PARAM, new URL(shell, location.href).pathname)
  return { url, type: url.pathname === OWN_CLASSIC_WORKER ? 'classic' : 'module' }
}

const scriptOf = (registration: ServiceWorkerRegistration | undefined): URL | undefined => {
  const worker = registration?.active ?? registration?.waiting ?? registration?.installing
  return worker ? new URL(worker.scriptURL) : undefined
}

async function register(workers: ServiceWorkerContainer, options: ConnectOptions): Promise<ServiceWorkerRegistration> {
  const scope = options.scope && new URL(options.scope, location.href).pathname
  const installed = await workers.getRegistration(scope ?? '/').catch(() => undefined)
  const script = options.worker
    ? { url: new URL(options.worker, location.href), type: options.type ?? ('module' as WorkerType) }
    : ownScript(scriptOf(installed), options.shell)
  const attempt = (url: URL, type: WorkerType): Promise<ServiceWorkerRegistration> =>
    workers.register(url, { type, updateViaCache: 'none', ...(scope ? { scope } : {}) })
  try {
    return await attempt(script.url, script.type)
  } catch (first) {
    const classic = new URL(script.url)
    if (isOwn(classic)) classic.pathname = OWN_CLASSIC_WORKER
    if (script.type === 'classic' || options.type) throw refused(script.url, first)
    // A browser without module workers; or the script itself is at fault, and then the first error says why.
    return attempt(classic, 'classic').catch(() => {
      throw refused(script.url, first)
    })
  }
}

function refused(script: URL, cause: unknown): KithError {
  const denied = cause instanceof DOMException && cause.name === 'SecurityError'
  if (denied && !sentence(cause).includes('scope')) return noWorkers(cause)
  return fail(
    'worker-script',
    `The browser did not accept the Service Worker ${script.pathname}: ${sentence(cause)} ` +
      'Check that this file is served from this origin, as JavaScript, and that its scope is allowed.',
    cause,
  )
}

/** Resolves with the active worker, once there is one. */
function activated(registration: ServiceWorkerRegistration): Promise<ServiceWorker> {
  if (registration.active) return Promise.resolve(registration.active)
  const coming = registration.installing ?? registration.waiting
  return new Promise((resolve, reject) => {
    const late = setTimeout(
      () => reject(fail('worker-script', 'Installing Kith takes very long. Check the connection and reload this page.')),
      INSTALL_PATIENCE_MS,
    )
    const look = (): void => {
      if (registration.active) {
        clearTimeout(late)
        resolve(registration.active)
      } else if (coming?.state === 'redundant') {
        clearTimeout(late)
        reject(
          fail(
            'worker-script',
            'Kith could not be installed: its program could not be fetched whole. Check the connection and reload this page.',
          ),
        )
      }
    }
    coming?.addEventListener('statechange', look)
    look()
  })
}

/** Resolves with the worker that controls this page, or undefined after the given time. */
function controlled(workers: ServiceWorkerContainer, patience: number): Promise<ServiceWorker | undefined> {
  if (workers.controller) return Promise.resolve(workers.controller)
  return new Promise((resolve) => {
    const settle = (): void => {
      clearTimeout(timer)
      workers.removeEventListener('controllerchange', settle)
      resolve(workers.controller ?? undefined)
    }
    const timer = setTimeout(settle, patience)
    workers.addEventListener('controllerchange', settle)
  })
}

/** Asks the active worker to take control. A page loaded by a hard reload has no controller until it is claimed. */
async function claimed(workers: ServiceWorkerContainer, registration: ServiceWorkerRegistration): Promise<ServiceWorker> {
  for (let attempt = 0; attempt < CLAIM_TRIES; attempt++) {
    const active = registration.active ?? (await activated(registration))
    active.postMessage(wire({ type: 'claim' }))
    const worker = await controlled(workers, CLAIM_PATIENCE_MS)
    if (worker) return worker
  }
  if (!sessionStorage.getItem(RELOADED)) {
    sessionStorage.setItem(RELOADED, '1')
    location.reload()
    return new Promise(() => undefined)
  }
  throw fail(
    'not-controlled',
    `This page lies outside the Service Worker's scope (${registration.scope}), or the worker does not take control. ` +
      'Open a page inside the scope, or register the worker for a wider one.',
  )
}

/** Registers what the options ask for and resolves with the worker that controls this page. */
export async function takeControl(options: ConnectOptions): Promise<ServiceWorker> {
  const workers = serviceWorkers()
  const registration = options.worker === 'none' ? await registeredByAuthor(workers) : await register(workers, options)
  const worker = workers.controller ?? (await controlledAfter(workers, registration))
  sessionStorage.removeItem(RELOADED)
  keepFresh(registration)
  return worker
}

/** Waits for the worker that the page registers itself. */
async function registeredByAuthor(workers: ServiceWorkerContainer): Promise<ServiceWorkerRegistration> {
  const late = new Promise<undefined>((resolve) => setTimeout(resolve, INSTALL_PATIENCE_MS))
  const registration = await Promise.race([workers.ready, late])
  if (registration) return registration
  throw fail(
    'worker-script',
    'This page says (data-worker="none") that it registers its own Service Worker, but none came. Register it, or leave that attribute out.',
  )
}

async function controlledAfter(workers: ServiceWorkerContainer, registration: ServiceWorkerRegistration): Promise<ServiceWorker> {
  await activated(registration)
  return claimed(workers, registration)
}

/** Least time between two looks for a new release, in milliseconds. */
const UPDATE_EVERY_MS = 60 * 60 * 1000
let freshSince = 0

/** Pages stay open for weeks: look for a new release when one comes back into view. */
function keepFresh(registration: ServiceWorkerRegistration): void {
  if (freshSince) return
  freshSince = Date.now()
  document.addEventListener('visibilitychange', () => {
    if (document.visibilityState !== 'visible' || Date.now() - freshSince < UPDATE_EVERY_MS) return
    freshSince = Date.now()
    void registration.update().catch(() => undefined)
  })
}
