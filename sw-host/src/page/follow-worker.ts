/**
 * Follows the worker through its deaths: greets it, waits for its life lock to come free, greets the next.
 * Browsers stop workers at will; greeting starts one again, so while a page is open the peer is up.
 */
import { aliveLock } from '../shared/names.ts'
import type { Welcome } from '../shared/messages.ts'
import { KithError, problem } from '../shared/problem.ts'
import { hello } from './ask-worker.ts'

/** Shortest and longest pause between greetings when workers die young, in milliseconds. */
const SHORTEST_PAUSE_MS = 50
const LONGEST_PAUSE_MS = 10_000
/** A worker that lived this long was healthy, in milliseconds. */
const HEALTHY_MS = 5_000

/** Resolves when the worker dies or another takes over. */
async function end(instance: string, workers: ServiceWorkerContainer): Promise<void> {
  const over = new AbortController()
  const replaced = new Promise<void>((resolve) => workers.addEventListener('controllerchange', () => resolve(), { signal: over.signal }))
  const died = navigator.locks.request(aliveLock(instance), { mode: 'shared', signal: over.signal }, () => undefined).catch(() => undefined)
  await Promise.race([replaced, died])
  over.abort()
}

/** The worker's answer, or undefined if another takes over first: what was asked of the old one may then never be answered. */
async function greeted(worker: ServiceWorker, workers: ServiceWorkerContainer, release: string): Promise<Welcome | undefined> {
  const over = new AbortController()
  const replaced = new Promise<undefined>((resolve) =>
    workers.addEventListener('controllerchange', () => resolve(undefined), { signal: over.signal }),
  )
  try {
    return await Promise.race([hello(worker, release), replaced])
  } finally {
    over.abort()
  }
}

/** What a page does with each worker it meets. */
export interface WorkerFollower {
  /** A worker answered: the first, or one after another died. */
  met(welcome: Welcome, worker: ServiceWorker): void
  /** No worker answers. It is tried again. */
  lost(error: unknown): void
}

/** Follows for as long as the page lives. */
export async function followWorker(workers: ServiceWorkerContainer, release: string, follower: WorkerFollower): Promise<never> {
  let pause = SHORTEST_PAUSE_MS
  for (;;) {
    const began = Date.now()
    try {
      const worker = workers.controller
      if (!worker) throw new KithError(problem('not-controlled', 0, 'No Service Worker controls this page any more. Reload it.'))
      const welcome = await greeted(worker, workers, release)
      // Another one took over before this one answered: it is the one to greet.
      if (!welcome) continue
      follower.met(welcome, worker)
      await end(welcome.instance, workers)
    } catch (error) {
      follower.lost(error)
    }
    pause = Date.now() - began > HEALTHY_MS ? SHORTEST_PAUSE_MS : Math.min(pause * 2, LONGEST_PAUSE_MS)
    await new Promise((resolve) => setTimeout(resolve, pause))
  }
}
