/** Takes Kith off this browser. */
import { CONFIG_CACHE, DATABASE, KILL_PARAM, KILL_VALUE, SHELL_CACHE_PREFIX, WASM_CACHE, WIPE_PARAM } from '../shared/names.ts'
import { askWorker } from './ask-worker.ts'
import { forgetKept } from './kept.ts'

/** How long the worker may take to close the peer, in milliseconds. */
const CLOSE_PATIENCE_MS = 8_000
/** How long deleting one database may take before it is left to the browser, in milliseconds. */
const DELETE_PATIENCE_MS = 8_000

function deleteDatabase(name: string): Promise<void> {
  return new Promise((resolve) => {
    const request = indexedDB.deleteDatabase(name)
    request.onsuccess = request.onerror = () => resolve()
    setTimeout(resolve, DELETE_PATIENCE_MS)
  })
}

/** Whether the page's address asks for this page to be taken off Kith, and whether with its data. */
export function killSwitch(search: string): { wipe: boolean } | undefined {
  const query = new URLSearchParams(search)
  return query.get(KILL_PARAM) === KILL_VALUE ? { wipe: query.has(WIPE_PARAM) } : undefined
}

/** Closes the peer, unregisters the workers that hold it, and with `wipe` deletes what it stored. */
export async function uninstall({ wipe = false } = {}): Promise<void> {
  const registrations = (await navigator.serviceWorker?.getRegistrations().catch(() => [])) ?? []
  await Promise.all(
    registrations.map(async (registration) => {
      const worker = registration.active
      const closed = worker && (await askWorker(worker, { type: 'shutdown' }, CLOSE_PATIENCE_MS))
      // A worker that does not answer for Kith is somebody else's, unless it is ours and broken.
      if (closed || (worker && /\/kith-worker(-classic)?\.js$/.test(new URL(worker.scriptURL).pathname))) {
        await registration.unregister()
      }
    }),
  )
  const ours = (name: string): boolean => name === WASM_CACHE || name === CONFIG_CACHE || name.startsWith(SHELL_CACHE_PREFIX)
  if ('caches' in globalThis) await Promise.all((await caches.keys()).filter(ours).map((name) => caches.delete(name)))
  if (!wipe) return
  forgetKept()
  const known = (await indexedDB.databases?.().catch(() => [])) ?? []
  const names = known.map(({ name }) => name ?? '').filter((name) => name === DATABASE || name.startsWith(`${DATABASE}-`))
  await Promise.all([...new Set([DATABASE, ...names])].map(deleteDatabase))
}
