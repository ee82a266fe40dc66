// Writes random values at a chosen rate, a chosen number of times, until it is done or stopped.
import { ask, json, keys } from '/assets/ask.js'

/** Where generated values go, below the space. */
export const PLACE = ['explorer', 'random']
/** Limits of the form. */
export const MAX_RATE = 1000
export const MAX_COUNT = 100_000
/** Writes waiting for their answer at most; beyond it the generator waits, so a slow device is never buried. */
const MAX_OPEN = 64
const TICK_MS = 25

const WORDS =
  'amber birch cedar delta ember fjord grove heath inlet jetty kelp lagoon moor north oasis pine quay reef shore tide upland vale willow yarrow zephyr'.split(
    ' ',
  )
const pick = () => WORDS[Math.floor(Math.random() * WORDS.length)]
const randomValue = (n) => ({
  n,
  title: `${pick()} ${pick()}`,
  size: Math.round(Math.random() * 1000) / 10,
  tags: [pick(), pick()],
  done: Math.random() < 0.5,
})

/**
 * Starts a run. `hooks.writing(path, at)` is called just before a PUT is sent, `hooks.written(ms, path, version)` when it is answered,
 * `hooks.progress(state)` often enough to be shown, `hooks.failed(error)` when the peer refuses one, which ends the run.
 * Returns a function that stops it.
 */
export function generate(space, { rate, count }, hooks) {
  const run = Date.now().toString(36) // Sorts by time.
  const started = performance.now()
  const state = { sent: 0, answered: 0, count, running: true, behind: false, perSecond: 0 }

  async function write(n) {
    const path = [...PLACE, run, String(n).padStart(6, '0')]
    const at = performance.now()
    hooks.writing(path.join('/'), at)
    try {
      const response = await ask(`/~/${keys(space, ...path)}`, json('PUT', randomValue(n)))
      hooks.written(performance.now() - at, path.join('/'), response.headers.get('version'))
      state.answered += 1
    } catch (error) {
      if (state.running) hooks.failed(error)
      stop()
    }
    if (state.answered === count) stop()
  }

  /** Sends whatever is due by now: so the rate holds even where timers are slow. */
  function tick() {
    const seconds = (performance.now() - started) / 1000
    const due = Math.min(count, Math.ceil(seconds * rate))
    state.behind = due - state.sent > rate && state.sent - state.answered >= MAX_OPEN
    while (state.running && state.sent < due && state.sent - state.answered < MAX_OPEN) {
      state.sent += 1
      write(state.sent)
    }
    state.perSecond = seconds > 0 ? state.answered / seconds : 0
    hooks.progress(state)
  }

  const timer = setInterval(tick, TICK_MS)
  function stop() {
    clearInterval(timer)
    if (!state.running) return
    state.running = false
    hooks.progress(state)
  }
  tick()
  return stop
}
