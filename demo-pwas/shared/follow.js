// Follows a place for as long as the page lives. EventSource reconnects by itself when a stream ends, but gives up for good when an answer
// is an error, and does not say which. So then an ordinary request asks what is wrong: a passing trouble is waited for, a refusal is told.
import { ask } from '/assets/ask.js'

/** How long to wait before trying again, in milliseconds. */
const AGAIN_MS = 1500
/** No answer, too many requests, not ready: worth trying again. */
const PASSING = [0, 429, 503]

/**
 * @param {() => string} url where the stream is; asked anew for every attempt
 * @param {Record<string, (event: MessageEvent) => void>} listeners by event name; unnamed events are `message`
 * @param {(sentence: string) => void} onRefused gets the peer's sentence when it refuses; nothing follows
 */
export function follow(url, listeners, onRefused) {
  function open() {
    const live = new EventSource(url())
    for (const [name, listener] of Object.entries(listeners)) live.addEventListener(name, listener)
    live.onerror = () => {
      if (live.readyState === EventSource.CLOSED) findOut()
    }
  }
  async function findOut() {
    try {
      await ask(url())
    } catch (error) {
      if (!PASSING.includes(error.status)) {
        onRefused(error.message)
        return
      }
    }
    setTimeout(open, AGAIN_MS)
  }
  open()
}
