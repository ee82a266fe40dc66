// Memory of the worker, empty and with 100 000 records stored, against the plainest worker and against a page that holds the same records in
// Yjs; memory of the relay, idle and with reservations and circuits, against a js-libp2p relay. Linux and Chromium only.
import { join } from 'node:path'
import { cleanup, ROOT, startProcess, startRelay, waitFor } from '../harness/index.mjs'
import { serveBaseline } from './baseline/pages.mjs'
import { startPlain } from './baseline/plain-worker.mjs'
import { startYjsServer } from './baseline/yjs-server.mjs'
import { megabytes, publish, QUICK, ratio, show, times } from './support/figures.mjs'
import { browserMemory, heap, resident } from './support/memory.mjs'
import { fill, keyOf, openBrowser, openFilled, record, someone, startWorld } from './support/world.mjs'

const STORED = QUICK ? 1_000 : 100_000
const WRITTEN = times(3_000, 300)
const PEERS = times(100, 10)
/** Nothing happens for this long before memory is looked at, so that timers and collectors have had their turn. */
const SETTLE_MS = times(4_000, 1_000)
const PATIENCE_MS = 120_000

const settle = () => new Promise((resolve) => setTimeout(resolve, SETTLE_MS))

async function look(browser, kind, url) {
  await settle()
  return { ...(await heap(browser, kind, url)), ...(await browserMemory(browser)) }
}

/** Reads every record through the listing, page by page. */
const readAll = async (space) => {
  let start = ''
  let count = 0
  do {
    const { items, next } = await (await fetch(`/~/${space}/records/?values=1&limit=1000&start=${encodeURIComponent(start)}`)).json()
    count += items.length
    start = next
  } while (start)
  return count
}

async function workers() {
  const found = {}
  const relay = await startWorld()
  const fresh = await someone(relay)
  found['Kith, empty'] = await look(fresh.browser, 'service_worker', relay.url)
  const space = await fresh.space('Memory')
  await fill(fresh.page, `/~/${space}/records/`, 0, WRITTEN)
  found[`Kith, after ${WRITTEN} PUTs`] = await look(fresh.browser, 'service_worker', relay.url)
  await Promise.all([fresh.close(), relay.kill()])

  const filled = await openFilled(STORED)
  found[`Kith, ${STORED} records stored`] = await look(filled.one.browser, 'service_worker', filled.relay.url)
  const read = await filled.one.page.evaluate(readAll, filled.space)
  if (read !== STORED) throw new Error(`${read} records were listed instead of ${STORED}`)
  found[`Kith, ${STORED} records, all read`] = await look(filled.one.browser, 'service_worker', filled.relay.url)
  await Promise.all([filled.one.close(), filled.relay.kill()])

  const plain = await startPlain()
  const bare = await openBrowser('chromium')
  const page = await bare.newPage(plain.url)
  await page.waitFor(() => globalThis.ready, { what: 'the plain worker' })
  found['plain worker, empty'] = await look(bare, 'service_worker', plain.url)
  await Promise.all([bare.close(), plain.close()])

  const [server, site] = [await startYjsServer(), await serveBaseline('yjs-page.mjs')]
  const map = server.doc.getMap('records')
  for (let n = 0; n < STORED; n++) map.set(keyOf(n), record(n))
  const other = await openBrowser('chromium')
  const holder = await other.newPage(site.url)
  await holder.waitFor(() => globalThis.yjs, { what: 'the Yjs page' })
  await holder.evaluate(async (url) => void (await yjs.start(url)), server.url)
  found[`Yjs page, ${STORED} records`] = await look(other, 'page', site.url)
  await Promise.all([other.close(), site.close(), server.close()])
  return found
}

/** Memory of one relay as peers come: `address` is where they dial. */
async function watchRelay(pid, address, startJsPeer) {
  const peers = []
  try {
    const idle = resident(pid)
    for (let seed = 1; seed <= PEERS; seed++) peers.push(await startJsPeer({ seed, relay: address }))
    const there = (peer) => peer.addresses().some((one) => one.includes('/p2p-circuit'))
    await waitFor(() => peers.every(there), { what: 'all reservations', timeout: PATIENCE_MS })
    await settle()
    const reserved = resident(pid)
    const half = PEERS / 2
    const links = []
    for (let n = 0; n < half; n++) links.push(await peers[n].link(await peers[n].dial(`${address}/p2p-circuit/p2p/${peers[n + half].id}`)))
    await settle()
    const circuits = resident(pid)
    for (const link of links) link.stop()
    return { idle, reserved, circuits }
  } finally {
    await Promise.all(peers.map((peer) => peer.stop()))
  }
}

async function relays() {
  await import('../interop/polyfill.mjs')
  const { installJsLibp2p } = await import('../interop/setup.mjs')
  await installJsLibp2p()
  const { startJsPeer } = await import('../interop/js-peer.mjs')
  const ours = await startRelay({ web: false })
  const kith = await watchRelay(ours.pid, ours.addrs[0], startJsPeer)
  await ours.kill()
  const theirs = startProcess(process.execPath, [join(ROOT, 'tests-wasm', 'interop', 'js-relay.mjs')], { name: 'js-libp2p relay' })
  const address = await waitFor(() => theirs.lines.map((line) => /^ready (\S+)/.exec(line)?.[1]).find(Boolean), 'the js-libp2p relay')
  const js = await watchRelay(theirs.pid, address, startJsPeer)
  await theirs.kill()
  return { kith, 'js-libp2p': js }
}

try {
  const found = await workers()
  const base = found['plain worker, empty']
  show('Chromium: heap of the worker (or page) after collecting garbage; its wasm memory; private memory of all renderers and of the whole browser', [
    ['', 'JS heap', 'wasm', 'renderers', 'browser', 'browser to plain'],
    ...Object.entries(found).map(([name, one]) => [name, megabytes(one.js), megabytes(one.wasm), megabytes(one.renderers), megabytes(one.browser), ratio(one.browser, base.browser)]),
  ])
  const relay = await relays()
  const row = (name, one) => [name, megabytes(one.idle), megabytes(one.reserved), megabytes(one.circuits), `${((one.circuits - one.idle) / 1000 / PEERS).toFixed(1)} KB`]
  show(`relay: resident memory, idle, with ${PEERS} js-libp2p peers connected and reserved, with ${PEERS / 2} circuits between them`, [
    ['', 'idle', 'reserved', 'circuits', 'for each peer'],
    row('Kith', relay.kith),
    row('js-libp2p', relay['js-libp2p']),
    ['ratio', ...['idle', 'reserved', 'circuits'].map((what) => ratio(relay.kith[what], relay['js-libp2p'][what])), ratio(relay.kith.circuits - relay.kith.idle, relay['js-libp2p'].circuits - relay['js-libp2p'].idle)],
  ])
  publish('memory', { workers: found, relay, peers: PEERS })
} finally {
  await cleanup()
}
