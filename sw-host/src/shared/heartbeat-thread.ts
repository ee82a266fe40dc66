/**
 * The keep-alive thread: asks the worker for a sign of life every few seconds. Browsers stop a worker 30 seconds after its last
 * event; page timers are slowed down to one a minute in hidden tabs, timers in a worker thread are not.
 */

/** Well below the 30 seconds, in milliseconds. */
const EVERY_MS = 12_000

const beat = (): void => {
  void fetch('/~/peer/ping', { method: 'POST' }).catch(() => undefined)
}
setInterval(beat, EVERY_MS)
beat()
