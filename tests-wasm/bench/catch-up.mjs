// A fresh peer joins a space of 10 000 and 100 000 small records by one writer, until it has stored them all: time and bytes. Against Yjs
// (one Y.Map, plain WebSocket server, y-indexeddb), automerge-repo (one document, 100 records in a change, WebSocket server, IndexedDB) and RxDB (Dexie storage,
// its replication from an HTTP server) on the same records. `KITH_BENCH_SIZES=1000000` measures other sizes.
import { existsSync, mkdirSync, readFileSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { cleanup } from '../harness/index.mjs'
import { makeAutomerge, startAutomergeServer } from './baseline/automerge-server.mjs'
import { serveBaseline } from './baseline/pages.mjs'
import { startYjsServer } from './baseline/yjs-server.mjs'
import { figure, megabytes, publish, QUICK, quantile, ratio, show, target, times } from './support/figures.mjs'
import { serveRxdb } from './support/rxdb.mjs'
import { FILL_OPEN, KEPT, keyOf, openBrowser, openFilled, record, someone } from './support/world.mjs'

const SIZES = process.env.KITH_BENCH_SIZES?.split(',').map(Number) ?? (QUICK ? [1_000] : [10_000, 100_000])
/** Up to this size everything is measured three times and the median counts; the large one once, and over WebRTC only. */
const REPEATED = 10_000
const rounds = (size) => (size > REPEATED ? 1 : times(3, 1))
/** Whoever has not all by then is given up, and the table says so. */
const GIVE_UP_MS = Number(process.env.KITH_BENCH_GIVE_UP ?? 120) * 1000
const TARGET_PER_SECOND = 50_000
/** Records RxDB asks for at once. */
const RXDB_BATCH = 1_000

/** Joins and watches the peer's own status until all is there or the time is up. */
const joinAndWatch = async (invite, space, wanted, last, giveUp) => {
  const began = performance.now()
  const seen = { there: undefined, counted: undefined, joined: undefined, entries: 0, bytes: 0, path: '' }
  const received = {}
  const joining = (async () => {
    for (;;) {
      const answer = await fetch('/~/join', { method: 'POST', headers: { 'content-type': 'application/json' }, body: JSON.stringify({ invite }) })
      if (answer.ok) return (seen.joined = performance.now() - began)
      if (answer.status !== 503) throw new Error(`joining gave ${answer.status}: ${await answer.text()}`)
      if (performance.now() - began > giveUp) return undefined
    }
  })()
  while (performance.now() - began < giveUp) {
    const status = await (await fetch('/~/peer')).json()
    const now = performance.now() - began
    for (const link of status.links) {
      received[link.path] = Math.max(received[link.path] ?? 0, link.bytesIn)
      seen.path = link.path
    }
    seen.entries = status.spaces.find(({ id }) => id === space)?.entries ?? 0
    if (seen.entries >= wanted) {
      seen.counted ??= now
      // Entries count as soon as they have arrived: there is what can be read. The last ones written were on their way together.
      const answers = await Promise.all(last.map((key) => fetch(`/~/${space}/records/${key}`)))
      if (answers.every((answer) => answer.ok)) {
        seen.there = performance.now() - began
        break
      }
    }
    await new Promise((resolve) => setTimeout(resolve, 50))
  }
  await joining
  seen.bytes = Object.values(received).reduce((sum, bytes) => sum + bytes, 0)
  return seen
}

/** How many records the peer lists. */
const countRecords = async (space) => {
  let count = 0
  let start = ''
  do {
    const { items, next } = await (await fetch(`/~/${space}/records/?limit=1000&start=${encodeURIComponent(start)}`)).json()
    count += items.length
    start = next
  } while (start)
  return count
}

async function kith(size, webrtc) {
  const { relay, one, space } = await openFilled(size, { browser: { webrtc } })
  try {
    const wanted = (await one.status()).spaces.find(({ id }) => id === space).entries
    const invite = await one.invite(space)
    const fresh = await someone(relay, { webrtc })
    fresh.page.evaluateTimeout = 2 * GIVE_UP_MS
    await fresh.reachable()
    const last = Array.from({ length: FILL_OPEN }, (_, n) => keyOf(size - 1 - n))
    const seen = await fresh.page.evaluate(joinAndWatch, invite, space, wanted, last, GIVE_UP_MS)
    if (seen.there) {
      const records = await fresh.page.evaluate(countRecords, space)
      if (records !== size) throw new Error(`${records} records can be listed instead of ${size}`)
    }
    await fresh.close()
    return seen
  } finally {
    await Promise.all([one.close(), relay.kill()])
  }
}

/** A fresh browser on a baseline's page. */
async function onPage(site, ready, work) {
  const browser = await openBrowser('chromium')
  const page = await browser.newPage(site.url)
  page.evaluateTimeout = 2 * GIVE_UP_MS
  await page.waitFor(ready, { what: "the baseline's page" })
  try {
    return await work(page)
  } finally {
    await browser.close()
  }
}

async function yjs(size, site) {
  const server = await startYjsServer()
  const map = server.doc.getMap('records')
  for (let n = 0; n < size; n++) map.set(keyOf(n), record(n))
  const inPage = async (url, wanted) => {
    const began = performance.now()
    const { size, received } = await yjs.start(url, { persist: true })
    const there = performance.now() - began
    if (size !== wanted) throw new Error(`${size} records of ${wanted}`)
    await yjs.kept()
    return { there, stored: performance.now() - began, bytes: received() }
  }
  const result = await onPage(site, () => globalThis.yjs, (page) => page.evaluate(inPage, server.url, size))
  await server.close()
  return result
}

/** The document automerge-repo serves, made once and kept like the filled profiles; an empty file says that making it took too long. */
function savedAutomerge(size) {
  const file = join(KEPT, `automerge-${size}.bin`)
  if (!existsSync(file)) {
    mkdirSync(KEPT, { recursive: true })
    writeFileSync(file, makeAutomerge(size, record, keyOf, GIVE_UP_MS) ?? '')
  }
  const saved = readFileSync(file)
  return saved.length > 0 ? saved : undefined
}

async function automerge(size, site, saved) {
  if (!saved) return undefined
  const server = await startAutomergeServer(saved)
  const inPage = (url, document, count, last, giveUp) =>
    Promise.race([automerge.catchUp(url, document, count, last), new Promise((resolve) => setTimeout(() => resolve(null), giveUp))])
  const result = await onPage(site, () => globalThis.automerge, (page) => page.evaluate(inPage, server.url, server.document, size, keyOf(size - 1), GIVE_UP_MS))
  const bytes = server.sent()
  await server.close()
  return result ? { ...result, bytes } : undefined
}

async function rxdb(size, site) {
  site.serve(size, keyOf, record)
  const inPage = (batch, giveUp) => Promise.race([rxdb.catchUp(batch), new Promise((resolve) => setTimeout(() => resolve(null), giveUp))])
  const result = await onPage(site, () => globalThis.rxdb, (page) => page.evaluate(inPage, RXDB_BATCH, GIVE_UP_MS))
  if (result && result.count !== size) throw new Error(`RxDB has ${result.count} records of ${size}`)
  return result ? { ...result, bytes: site.sent() } : undefined
}

const middle = (results, what) => {
  const values = results.map((result) => result?.[what]).filter((value) => value !== undefined)
  return values.length === results.length && values.length > 0 ? quantile(values, 0.5) : undefined
}

const [yjsSite, automergeSite, rxdbSite] = await Promise.all([serveBaseline('yjs-page.mjs'), serveBaseline('automerge-page.mjs'), serveRxdb()])
try {
  const found = {}
  for (const size of SIZES) {
    const saved = savedAutomerge(size)
    const ways = {
      'Kith over WebRTC': async () => {
        const seen = await kith(size, 'open')
        return { ...seen, stored: seen.there }
      },
      ...(size > REPEATED ? {} : {
        'Kith over the relay': async () => {
          const seen = await kith(size, 'blocked')
          return { ...seen, stored: seen.there }
        },
      }),
      Yjs: () => yjs(size, yjsSite),
      'automerge-repo': () => automerge(size, automergeSite, saved),
      RxDB: () => rxdb(size, rxdbSite),
    }
    const all = Object.fromEntries(Object.keys(ways).map((way) => [way, []]))
    for (let round = 0; round < rounds(size); round++) {
      for (const [way, run] of Object.entries(ways)) {
        all[way].push(await run())
        process.stdout.write(`${size} records, ${way}: ${all[way].at(-1)?.stored ? `${figure(all[way].at(-1).stored / 1000)} s` : 'gave up'}\n`)
      }
    }
    const one = Object.fromEntries(
      Object.entries(all).map(([way, results]) => [
        way,
        { n: results.length, counted: middle(results, 'counted'), stored: middle(results, 'stored'), joined: middle(results, 'joined'), bytes: middle(results, 'bytes'), entries: middle(results, 'entries') },
      ]),
    )
    found[size] = one
    const rows = Object.entries(one).map(([way, { n, stored, bytes, entries }]) => [
      way,
      n,
      stored ? figure(stored / 1000) : `gave up at ${GIVE_UP_MS / 1000}${entries ? `, ${entries} announced` : ''}`,
      stored ? Math.round((size / stored) * 1000) : '',
      megabytes(bytes),
      bytes ? figure(bytes / size) : '',
      way === 'Yjs' ? '' : ratio(stored, one.Yjs.stored),
    ])
    // What takes longest comes last: what was found before is not lost with it.
    publish('catch-up', { found })
    show(`a fresh peer until it has stored ${size} records of about ${JSON.stringify(record(size - 1)).length} bytes`, [
      ['', 'n', 'seconds', 'records/s', 'received', 'bytes each', 'time to Yjs'],
      ...rows,
    ])
  }
  const largest = SIZES.at(-1)
  const rate = found[largest]['Kith over WebRTC'].stored ? (largest / found[largest]['Kith over WebRTC'].stored) * 1000 : 0
  const held = rate && target(`microseconds for each of ${largest} records (${TARGET_PER_SECOND} per second)`, 1e6 / rate, 1e6 / TARGET_PER_SECOND, 'us')
  publish('catch-up', { found, target: held || 'missed: it never had them all' })
} finally {
  await Promise.all([yjsSite.close(), automergeSite.close(), rxdbSite.close()])
  await cleanup()
}
