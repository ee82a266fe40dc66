/** Says when a connection may succeed that did not a moment ago. */
import { wire } from '../shared/messages.ts'

/**
 * Asks the worker to try its relays now: when the device has a network again, and when somebody looks at this page again. Otherwise it
 * waits up to half a minute between tries, and a phone may have been asleep for hours.
 */
export function watchNetwork(worker: ServiceWorker, signal: AbortSignal): void {
  const tell = (): void => worker.postMessage(wire({ type: 'reconnect' }))
  addEventListener('online', tell, { signal })
  // A page that comes out of the back-forward cache.
  addEventListener('pageshow', (event) => event.persisted && tell(), { signal })
  document.addEventListener('visibilitychange', () => document.visibilityState === 'visible' && tell(), { signal })
}
