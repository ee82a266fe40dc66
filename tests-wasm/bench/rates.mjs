// How many values, pages of a listing and subscriptions a page gets in a second out of 10 000 stored records, one asked after the other and
// many at once; and Replicache's reactive loop (a write until each of its subscribers has read it, among 100 subscriptions). Against the
// plainest worker, RxDB in the page (Dexie storage) and bare rexie in a worker, in one browser, taking turns. Chromium only.
import { cleanup } from '../harness/index.mjs'
import { openStorePage, serveStorePage } from '../store-page/site.mjs'
import { startPlain } from './baseline/plain-worker.mjs'
import { figure, publish, quantile, ratio, show, showSpreads, spread, times } from './support/figures.mjs'
import { serveRxdb } from './support/rxdb.mjs'
import { fill, keyOf, openFilled, record, tab } from './support/world.mjs'

const STORED = times(10_000, 1_000)
const ROUNDS = times(5, 1)
/** Asked in each round. */
const COUNTS = { read: times(1_000, 50), list: times(200, 20), follow: times(400, 20) }
const TITLES = { read: 'values', list: 'pages of 100 of a listing, with values', follow: 'subscriptions, each until its first update' }
/** How many are on their way at once. */
const OPEN = [1, 32]
const LIMIT = 100
/** Replicache's loop: so many subscriptions, of which so many are to what is written, this large. */
const LOOP = { subscriptions: 100, dirty: 5, bytes: 10_000, writes: times(100, 10), warm: 10 }
/** What Replicache publishes for it, with 16 MB in its cache (doc.replicache.dev/concepts/performance). */
const REPLICACHE = { p50: 3, p95: 7 }

/** Asks a worker over HTTP; gives milliseconds for all. */
const overHttp = async (what, base, { count, from, open, stored, limit }) => {
  const key = (n) => String((n * 7919) % stored).padStart(6, '0')
  const answered = async (path, init) => {
    const answer = await fetch(path, init)
    if (!answer.ok) throw new Error(`GET ${path} gave ${answer.status}: ${await answer.text()}`)
    return answer
  }
  const ways = {
    read: async (n) => (await (await answered(base + key(n))).json()).n,
    list: async (n) => (await (await answered(`${base}?values=1&limit=${limit}&start=${key(n)}`)).json()).length,
    follow: async (n) => {
      const stop = new AbortController()
      const answer = await answered(base + key(n), { headers: { Subscribe: 'true' }, signal: stop.signal })
      const reader = answer.body.pipeThrough(new TextDecoderStream()).getReader()
      for (let text = ''; !text.includes('"n":'); ) {
        const { value, done } = await reader.read()
        if (done) throw new Error('a subscription ended before its first update')
        text += value
      }
      stop.abort()
    },
  }
  let next = from
  const began = performance.now()
  const work = async () => {
    while (next < from + count) await ways[what](next++)
  }
  await Promise.all(Array.from({ length: open }, work))
  return performance.now() - began
}

/** Replicache's loop by HTTP; gives the milliseconds of each turn. */
const loopOverHttp = async (base, { subscriptions, dirty, bytes, writes, warm }) => {
  const put = async (path, value) => {
    const answer = await fetch(path, { method: 'PUT', headers: { 'content-type': 'application/json' }, body: JSON.stringify(value) })
    if (!answer.ok) throw new Error(`PUT gave ${answer.status}`)
  }
  const hot = `${base}hot`
  const text = 'x'.repeat(bytes)
  await put(hot, `${text}!-1!`)
  await Promise.all(Array.from({ length: subscriptions - dirty }, (_, n) => put(`${base}calm-${n}`, n)))
  const stop = new AbortController()
  let heard
  const follow = async (path) => {
    const answer = await fetch(path, { headers: { Subscribe: 'true' }, signal: stop.signal })
    if (answer.status !== 209) throw new Error(`a subscription gave ${answer.status}`)
    if (path !== hot) return
    const reader = answer.body.pipeThrough(new TextDecoderStream()).getReader()
    const read = async () => {
      for (let kept = ''; ; ) {
        const { value, done } = await reader.read()
        if (done) return
        kept += value
        for (const [, n] of kept.matchAll(/!(-?\d+)!/g)) heard?.(Number(n))
        kept = kept.slice(-20).replace(/.*!/, '')
      }
    }
    read().catch(() => {})
  }
  await Promise.all(Array.from({ length: subscriptions }, (_, n) => follow(n < dirty ? hot : `${base}calm-${n - dirty}`)))
  const took = []
  for (let n = 0; n < writes + warm; n++) {
    let left = dirty
    const all = new Promise((resolve) => {
      heard = (seen) => seen === n && --left === 0 && resolve()
    })
    const began = performance.now()
    await Promise.all([all, put(hot, `${text}!${n}!`)])
    if (n >= warm) took.push(performance.now() - began)
  }
  stop.abort()
  return took
}

const { relay, one, space } = await openFilled(STORED)
const [plain, rxdbSite, storeSite] = await Promise.all([startPlain(), serveRxdb(), serveStorePage()])
try {
  const plainPage = await tab(one, plain.url)
  await plainPage.waitFor(() => globalThis.ready, { what: 'the plain worker' })
  await fill(plainPage, '/kv/', 0, STORED)
  const rxdbPage = await tab(one, rxdbSite.url)
  rxdbSite.serve(STORED, keyOf, record)
  await rxdbPage.waitFor(() => globalThis.rxdb, { what: 'the page with RxDB' })
  await rxdbPage.evaluate(() => rxdb.catchUp(1_000))
  const storePage = await openStorePage(one.browser, storeSite)
  await storePage.call('time', 'benchRexie', ['rates', STORED, 1_000, true], true)

  const ways = {
    Kith: (what, options) => one.page.evaluate(overHttp, what, `/~/${space}/records/`, options),
    'plain worker': (what, options) => (what === 'follow' ? undefined : plainPage.evaluate(overHttp, what, '/kv/', options)),
    RxDB: (what, options) => rxdbPage.evaluate((what, options) => rxdb.rate(what, options), what, options),
    'rexie, in a worker': (what, { count, from, open, stored, limit }) =>
      what === 'follow' ? undefined : storePage.call('time', 'benchRexieReads', ['rates', stored, from, count, open, what === 'list' ? limit : 0], true),
  }
  const results = {}
  for (const [what, count] of Object.entries(COUNTS)) {
    const found = Object.fromEntries(Object.keys(ways).map((way) => [way, OPEN.map(() => [])]))
    for (let round = 0; round < ROUNDS; round++) {
      for (const [way, run] of Object.entries(ways)) {
        for (const [at, open] of OPEN.entries()) {
          // Each is asked for once: what was read before may be at hand.
          const from = (round * OPEN.length + at) * count
          const took = await run(what, { count, from, open, stored: STORED, limit: LIMIT })
          if (took) found[way][at].push((count * 1000) / took)
        }
      }
    }
    const rates = Object.fromEntries(Object.entries(found).filter(([, [taken]]) => taken.length > 0).map(([way, taken]) => [way, taken.map((all) => quantile(all, 0.5))]))
    results[what] = rates
    show(`${TITLES[what]} a second, of ${STORED} records; asked at once (median of ${ROUNDS})`, [
      ['', ...OPEN, ...OPEN.map((open) => `Kith to it, ${open}`)],
      ...Object.entries(rates).map(([way, each]) => [way, ...each.map(figure), ...each.map((rate, at) => (way === 'Kith' ? '' : ratio(rates.Kith[at], rate)))]),
    ])
  }
  const loops = { Kith: [], RxDB: [] }
  for (let round = 0; round < ROUNDS; round++) {
    loops.Kith.push(...(await one.page.evaluate(loopOverHttp, `/~/${space}/loop-${round}/`, LOOP)))
    loops.RxDB.push(...(await rxdbPage.evaluate((options) => rxdb.loop(options), LOOP)))
  }
  results.loop = Object.fromEntries(Object.entries(loops).map(([way, took]) => [way, spread(took)]))
  showSpreads(`a write until ${LOOP.dirty} subscribers have read it (${LOOP.bytes} bytes), among ${LOOP.subscriptions} subscriptions`, { ...results.loop, 'Replicache, as published': { n: '', ...REPLICACHE } }, 'Replicache, as published')
  publish('rates', results)
  await one.close()
} finally {
  await Promise.all([plain.close(), rxdbSite.close(), storeSite.close(), relay.kill()])
  await cleanup()
}
