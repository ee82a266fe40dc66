// A write here until the other browser's page hears of it: over WebRTC, over the relay, and for the same page without Kith, with Yjs on a
// central plain WebSocket server. Two Chromium processes on one machine; every write of Kith is durable before it is sent on.
import { cleanup } from '../harness/index.mjs'
import { together } from '../e2e/peers-support.mjs'
import { serveBaseline } from './baseline/pages.mjs'
import { startYjsServer } from './baseline/yjs-server.mjs'
import { makeWall } from './support/clock.mjs'
import { publish, showSpreads, spread, target, times } from './support/figures.mjs'
import { someone, startWorld, tab } from './support/world.mjs'

const ROUNDS = times(3, 2)
const WRITES = times(80, 15)
const WARM = 5
/** Between two writes: each is alone on its way. */
const APART_MS = 40
const TARGET_MS = 50
const TARGET_RATIO = 2

/** Notes when each number is heard of, until the last one. */
const hearKith = (path, last) => {
  const heard = {}
  globalThis.heard = new Promise((resolve) => {
    const source = new EventSource(path)
    source.onmessage = ({ data }) => {
      const { n } = JSON.parse(data)
      heard[n] ??= wall()
      if (n === last) {
        source.close()
        resolve(heard)
      }
    }
    globalThis.listening = new Promise((open) => (source.onopen = open))
  })
  return globalThis.listening
}
const hearYjs = (last) => {
  const heard = {}
  globalThis.heard = new Promise((resolve) => {
    const look = () => {
      const { n } = yjs.map.get('value')
      heard[n] ??= wall()
      if (n === last) {
        yjs.map.unobserve(look)
        resolve(heard)
      }
    }
    yjs.map.observe(look)
  })
}

/** Writes numbers, apart from each other; gives when each was begun. */
const writeKith = async (path, from, to, apart) => {
  const began = {}
  for (let n = from; n <= to; n++) {
    began[n] = wall()
    const answer = await fetch(path, { method: 'PUT', headers: { 'content-type': 'application/json' }, body: JSON.stringify({ n, text: 'hello' }) })
    if (!answer.ok) throw new Error(`PUT gave ${answer.status}`)
    await new Promise((resolve) => setTimeout(resolve, apart))
  }
  return began
}
const writeYjs = async (from, to, apart) => {
  const began = {}
  for (let n = from; n <= to; n++) {
    began[n] = wall()
    yjs.map.set('value', { n, text: 'hello' })
    await new Promise((resolve) => setTimeout(resolve, apart))
  }
  return began
}

let next = 1
/** One round: `listen(last)` on the far page, `write(from, to)` on the near one. */
async function round(far, near, listen, write) {
  const [from, to] = [next, next + WRITES + WARM - 1]
  next = to + 1
  await far.evaluate(...listen(to))
  const began = await near.evaluate(...write(from, to))
  const heard = await far.evaluate(() => globalThis.heard)
  const took = []
  // One that the next overtook was coalesced into it: it is left out rather than counted as fast.
  for (let n = from + WARM; n <= to; n++) if (heard[n]) took.push(heard[n] - began[n])
  return took
}

async function measure(way) {
  const relay = await startWorld()
  const options = way === 'relay' ? { webrtc: 'blocked' } : {}
  const [ada, ben] = [await someone(relay, options), await someone(relay, options)]
  const space = await together(ada, ben)
  await Promise.all([ada.linked(way), ben.linked(way)])
  const path = `/~/${space}/remote/value`
  await ada.put(path, { n: 0 })
  await ben.sees(path, { n: 0 })
  const server = await startYjsServer()
  const pages = [await tab(ada, site.url), await tab(ben, site.url)]
  for (const page of pages) {
    await page.waitFor(() => globalThis.yjs, { what: 'the Yjs page' })
    await page.evaluate(async (url) => void (await yjs.start(url)), server.url)
  }
  for (const page of [ada.page, ben.page, ...pages]) await page.evaluate(makeWall)
  const [kith, central] = [[], []]
  for (let n = 0; n < ROUNDS; n++) {
    kith.push(...(await round(ben.page, ada.page, (last) => [hearKith, path, last], (from, to) => [writeKith, path, from, to, APART_MS])))
    central.push(...(await round(pages[1], pages[0], (last) => [hearYjs, last], (from, to) => [writeYjs, from, to, APART_MS])))
  }
  const links = (await ben.status()).links.map((link) => link.path)
  await Promise.all([ada.close(), ben.close(), relay.kill(), server.close()])
  return { kith: spread(kith), yjs: spread(central), links }
}

const site = await serveBaseline('yjs-page.mjs')
try {
  const results = {}
  for (const way of ['webrtc', 'relay']) {
    const { kith, yjs, links } = await measure(way)
    results[way] = { kith, yjs, links, ratio: { p50: kith.p50 / yjs.p50, p95: kith.p95 / yjs.p95 } }
    showSpreads(`PUT here until the other page hears, over ${way}`, { [`Kith, ${way}`]: kith, 'Yjs, central server': yjs }, 'Yjs, central server')
  }
  const targets = [
    target('write to a page of another peer over WebRTC, p95', results.webrtc.kith.p95, TARGET_MS),
    target('the same against Yjs on a central server, p95', results.webrtc.ratio.p95, TARGET_RATIO, 'times'),
  ]
  publish('remote', { ...results, targets })
} finally {
  await site.close()
  await cleanup()
}
