// One device: a durable PUT until a subscriber in the page hears of it, and the round trips of PUT and GET, against the plainest worker
// that stores in IndexedDB (strict, too) and tells its subscribers. Both in one browser, taking turns.
import { cleanup } from '../harness/index.mjs'
import { startPlain } from './baseline/plain-worker.mjs'
import { publish, showSpreads, spread, target, times } from './support/figures.mjs'
import { someone, startWorld, tab } from './support/world.mjs'

const ROUNDS = times(5, 2)
const WRITES = times(100, 20)
const WARM = 10
const TARGET_MS = 7

/** Writes again and again and waits for the subscriber each time; gives milliseconds. */
const measure = async (path, how, writes, warm) => {
  const waiting = new Map()
  const hear = (n) => waiting.get(n)?.(performance.now())
  let stop
  if (how === '209') {
    const controller = new AbortController()
    stop = () => controller.abort()
    const answer = await fetch(path, { headers: { Subscribe: 'true' }, signal: controller.signal })
    const reader = answer.body.pipeThrough(new TextDecoderStream()).getReader()
    ;(async () => {
      for (;;) {
        const { value, done } = await reader.read()
        if (done) return
        for (const [, n] of value.matchAll(/"n":(\d+)/g)) hear(Number(n))
      }
    })().catch(() => {})
  } else {
    const source = new EventSource(path)
    stop = () => source.close()
    source.onmessage = ({ data }) => hear(JSON.parse(data).n)
    await new Promise((resolve) => (source.onopen = resolve))
  }
  const took = { heard: [], put: [], get: [] }
  const base = Math.floor(Math.random() * 1e9)
  for (let n = base; n < base + writes + warm; n++) {
    const heard = new Promise((resolve) => waiting.set(n, resolve))
    const began = performance.now()
    const answered = fetch(path, { method: 'PUT', headers: { 'content-type': 'application/json' }, body: JSON.stringify({ n, text: 'hello' }) }).then((answer) => {
      if (!answer.ok) throw new Error(`PUT gave ${answer.status}`)
      return performance.now()
    })
    const [atHeard, atAnswered] = await Promise.all([heard, answered])
    const read = performance.now()
    await (await fetch(path)).json()
    const atRead = performance.now()
    if (n < base + warm) continue
    took.heard.push(atHeard - began)
    took.put.push(atAnswered - began)
    took.get.push(atRead - read)
  }
  stop()
  return took
}

const relay = await startWorld()
const plain = await startPlain()
try {
  const one = await someone(relay)
  const space = await one.space('Local')
  const other = await tab(one, plain.url)
  await other.waitFor(() => globalThis.ready, { what: 'the plain worker' })
  const ways = {
    'Kith, EventSource': [one.page, `/~/${space}/local/events`, 'events'],
    'Kith, 209': [one.page, `/~/${space}/local/braid`, '209'],
    'plain worker, EventSource': [other, '/kv/value', 'events'],
  }
  await one.put(`/~/${space}/local/events`, { n: 0 })
  await one.put(`/~/${space}/local/braid`, { n: 0 })
  const all = Object.fromEntries(Object.keys(ways).map((name) => [name, { heard: [], put: [], get: [] }]))
  for (let round = 0; round < ROUNDS; round++) {
    for (const [name, [page, path, how]] of Object.entries(ways)) {
      const took = await page.evaluate(measure, path, how, WRITES, WARM)
      for (const what of Object.keys(took)) all[name][what].push(...took[what])
    }
  }
  const results = {}
  const titles = { heard: 'PUT (durable) until the subscriber hears', put: 'PUT, round trip', get: 'GET, round trip' }
  for (const [what, title] of Object.entries(titles)) {
    results[what] = Object.fromEntries(Object.entries(all).map(([name, took]) => [name, spread(took[what])]))
    showSpreads(title, results[what], 'plain worker, EventSource')
  }
  results.target = target('local write (durable) to local subscriber, p95', results.heard['Kith, EventSource'].p95, TARGET_MS)
  publish('local', results)
  await one.close()
} finally {
  await plain.close()
  await cleanup()
}
