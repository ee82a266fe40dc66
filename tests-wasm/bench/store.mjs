// How fast the store writes and reads in a browser's Service Worker, against a bare rexie loop and against plain JavaScript
// on the same records in the same run. `node tests-wasm/bench/store.mjs [chromium|firefox …]`
import { availableBrowsers, cleanup, openBrowser } from '../harness/index.mjs'
import { openStorePage, serveStorePage } from '../store-page/site.mjs'

/** Measured this often each, taking turns; the median counts. */
const ROUNDS = 5
/** Records written per measurement, by records per batch. */
const ROWS = { 1: 300, 100: 6_000, 1000: 12_000 }
/** Records in the database that is read. */
const STORED = 10_000
const READS = 500
/** Places of a tree: order, how many, how many in a batch, whether they lie all over. */
const PLACES = [
  ['in order, 1500 a batch', 15_000, 1_500, false],
  ['all over, 1500 a batch', 15_000, 1_500, true],
  ['all over, 5 a batch', 1_500, 5, true],
]
/** Bytes of a page; 0 for a row each. */
const PAGES = [0, 4_096, 8_192, 16_384]

const median = (numbers) => [...numbers].sort((a, b) => a - b)[Math.floor(numbers.length / 2)]
const whole = (number) => String(Math.round(number)).padStart(8)
const ratio = (ours, theirs) => (ours / theirs).toFixed(2).padStart(6)

/** The ways to write the same records; each gives the function's name and its arguments after the database's name. */
const WAYS = {
  'store relaxed': (rows, size) => ['benchStore', rows, size, false],
  'store strict': (rows, size) => ['benchStore', rows, size, true],
  'rexie joined': (rows, size) => ['benchRexie', rows, size, true],
  'rexie awaited': (rows, size) => ['benchRexie', rows, size, false],
  'plain relaxed': (rows, size) => ['benchPlain', rows, size, 'relaxed'],
  'plain strict': (rows, size) => ['benchPlain', rows, size, 'strict'],
}

/** Measures one browser; gives records per second by way and batch size, and the rest. */
async function measure(kind, site) {
  const browser = await openBrowser(kind, { prefs: { 'privacy.reduceTimerPrecision': false } })
  try {
    const page = await openStorePage(browser, site)
    let serial = 0
    const time = (what, args, keep = false) => page.call('time', what, [`bench-${serial++}`, ...args], keep)
    const writes = {}
    for (const [text, rows] of Object.entries(ROWS)) {
      const size = Number(text)
      const taken = Object.fromEntries(Object.keys(WAYS).map((way) => [way, []]))
      for (let round = 0; round < ROUNDS; round++) {
        for (const [way, call] of Object.entries(WAYS)) {
          const [what, ...args] = call(rows, size)
          taken[way].push(await time(what, args))
        }
      }
      for (const way of Object.keys(WAYS)) (writes[way] ??= {})[size] = (rows * 1000) / median(taken[way])
    }
    const local = {}
    for (const [writers, strict] of [[1, true], [1, false], [50, true], [50, false]]) {
      const took = []
      for (let round = 0; round < ROUNDS; round++) took.push(await time('benchWrites', [writers === 1 ? 200 : 2000, writers, strict]))
      local[`${writers} at a time, ${strict ? 'strict' : 'relaxed'}`] = (writers === 1 ? 200_000 : 2_000_000) / median(took)
    }
    const places = {}
    for (const [order, rows, size, scattered] of PLACES) {
      const taken = Object.fromEntries(PAGES.map((bytes) => [bytes, []]))
      for (let round = 0; round < ROUNDS; round++) {
        for (const bytes of PAGES) taken[bytes].push(await time('benchPlaces', [rows, size, bytes, scattered]))
      }
      places[order] = Object.fromEntries(PAGES.map((bytes) => [bytes, (rows * 1000) / median(taken[bytes])]))
    }
    const stored = `bench-${serial}`
    await time('benchStore', [STORED, 1000, false], true)
    const [gets, pages] = [[], []]
    for (let round = 0; round < ROUNDS; round++) {
      gets.push(await page.call('time', 'benchReads', [stored, STORED, READS, false], true))
      pages.push(await page.call('time', 'benchReads', [stored, STORED, 0, true], true))
    }
    return { writes, local, places, get: median(gets) / READS, page: (STORED * 1000) / median(pages) }
  } finally {
    await browser.close()
  }
}

function show(kind, { writes, local, places, get, page }) {
  const sizes = Object.keys(ROWS)
  console.log(`\n${kind}: records of 300 bytes per second, by records per transaction (median of ${ROUNDS})`)
  console.log(`${''.padEnd(16)}${sizes.map((size) => size.padStart(8)).join('')}`)
  for (const [way, rates] of Object.entries(writes)) console.log(`${way.padEnd(16)}${sizes.map((size) => whole(rates[size])).join('')}`)
  for (const [ours, theirs] of [['store relaxed', 'rexie joined'], ['store relaxed', 'rexie awaited'], ['store relaxed', 'plain relaxed'], ['store strict', 'plain strict']]) {
    console.log(`${`${ours} / ${theirs}`.padEnd(32)}${sizes.map((size) => `${size}: ${ratio(writes[ours][size], writes[theirs][size])}`).join('   ')}`)
  }
  for (const [how, rate] of Object.entries(local)) console.log(`local writes (entry, place, head, arrival), ${how}: ${Math.round(rate)} per second`)
  console.log(`places of about 80 bytes per second, looked up and written, by bytes of a page (0: a row each)`)
  console.log(`${''.padEnd(32)}${PAGES.map(whole).join('')}`)
  for (const [order, rates] of Object.entries(places)) console.log(`${order.padEnd(32)}${PAGES.map((bytes) => whole(rates[bytes])).join('')}`)
  console.log(`one row by key: ${get.toFixed(2)} ms; in pages of 1000: ${Math.round(page)} rows per second`)
}

const wanted = process.argv.slice(2)
const kinds = availableBrowsers().filter((kind) => kind !== 'webkit' && (wanted.length === 0 || wanted.includes(kind)))
const site = await serveStorePage()
try {
  const results = {}
  for (const kind of kinds) {
    results[kind] = await measure(kind, site)
    show(kind, results[kind])
  }
  console.log(`\n${JSON.stringify({ store: results })}`)
} finally {
  await site.close()
  await cleanup()
}
