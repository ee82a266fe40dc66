/** Keeps the worker alive while this page is open, hidden or not: a timer in a worker thread, which browsers do not slow down. */
import { HEARTBEAT_SCRIPT } from '../shared/names.ts'

let beating = false

/** Starts the keep-alive thread, once. The script must lie inside the worker's scope, so the worker itself serves it. */
export function startHeartbeat(scope: string): void {
  if (beating) return
  beating = true
  const worker = new Worker(new URL(HEARTBEAT_SCRIPT, scope), { name: 'kith-heartbeat' })
  worker.onerror = () => {
    beating = false
    worker.terminate()
  }
}
