// A Service Worker the browser has killed, until it answers its first fetch from storage: with nothing stored, 1 000 and 100 000 records,
// against the plainest worker on IndexedDB, killed the same way in the same browser.
import { cleanup } from '../harness/index.mjs'
import { startPlain } from './baseline/plain-worker.mjs'
import { publish, QUICK, ratio, showSpreads, spread, target, times } from './support/figures.mjs'
import { keyOf, openFilled, someone, startWorld } from './support/world.mjs'

const KILLS = times(20, 3)
const STORED = QUICK ? [1_000] : [1_000, 100_000]
const TARGET_MS = 150
/** A killed worker that answers slower than this has hung. */
const ANSWER_MS = 30_000

const ask = async (path) => {
  const began = performance.now()
  const answer = await fetch(path)
  const text = await answer.text()
  if (!answer.ok) throw new Error(`GET gave ${answer.status}: ${text}`)
  return performance.now() - began
}

/** Kills the worker, then asks from a page that has no script of its own which might have woken it already. */
async function killed(browser, page, path) {
  const took = []
  for (let round = 0; round <= KILLS; round++) {
    const running = await browser.killWorker()
    if (running === 0) throw new Error('no worker was running, so none was killed')
    const ms = await page.evaluate(ask, path)
    // The first kill follows whatever the browser did before.
    if (round > 0) took.push(ms)
  }
  return took
}

const plain = await startPlain()
/** One browser: Kith's worker on a page of its own, then the plain one, never both at once. */
async function measure({ relay, one, path }) {
  one.page.evaluateTimeout = ANSWER_MS
  await one.page.goto(`${relay.url}bare.html`)
  await one.page.evaluate(ask, path)
  const ours = await killed(one.browser, one.page, path)
  const warm = []
  for (let n = 0; n < KILLS; n++) warm.push(await one.page.evaluate(ask, path))
  await one.page.goto(plain.url)
  await one.page.waitFor(() => globalThis.ready, { what: 'the plain worker' })
  await one.page.evaluate(async () => void (await fetch('/kv/value', { method: 'PUT', body: '{"n":1}' })))
  const theirs = await killed(one.browser, one.page, '/kv/value')
  await Promise.all([one.close(), relay.kill()])
  return { ours, warm, theirs }
}

try {
  const took = {}
  const baseline = []
  const empty = await startWorld()
  const fresh = await someone(empty)
  const space = await fresh.space('Empty')
  await fresh.put(`/~/${space}/value`, { n: 1 })
  const nothing = await measure({ relay: empty, one: fresh, path: `/~/${space}/value` })
  took['Kith, empty'] = spread(nothing.ours)
  took['Kith, empty, not killed'] = spread(nothing.warm)
  baseline.push(...nothing.theirs)
  for (const n of STORED) {
    const { relay, one, space: filled } = await openFilled(n)
    const { ours, theirs } = await measure({ relay, one, path: `/~/${filled}/records/${keyOf(n >> 1)}` })
    took[`Kith, ${n} records`] = spread(ours)
    baseline.push(...theirs)
  }
  took['plain worker'] = spread(baseline)
  showSpreads('killed worker until its first answer (GET of a stored value)', took, 'plain worker')
  const largest = took[`Kith, ${STORED.at(-1)} records`]
  const flat = ratio(largest.p50, took['Kith, empty'].p50)
  process.stdout.write(`${STORED.at(-1)} records against an empty worker: p50 ${flat}, p95 ${ratio(largest.p95, took['Kith, empty'].p95)}\n`)
  const held = target(`first answer of a killed worker with ${STORED.at(-1)} records, p95`, largest.p95, TARGET_MS)
  publish('cold', { took, target: held })
} finally {
  await plain.close()
  await cleanup()
}
