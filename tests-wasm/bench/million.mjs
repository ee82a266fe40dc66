// A space of 1 000 000 values against one of 1 000: a killed worker's first answer to a read, a page of a listing and a subscription; memory;
// and how soon a newcomer reads the one that was written last. Chromium only.
import { cleanup } from '../harness/index.mjs'
import { megabytes, publish, QUICK, ratio, show, showSpreads, spread, target, times } from './support/figures.mjs'
import { heap } from './support/memory.mjs'
import { someone, startWorld } from './support/world.mjs'

/** Values are written in objects of this many, each one `PUT` and one signed entry; each value is a place of its own. */
const EACH = 1_000
const SMALL = EACH
const LARGE = QUICK ? 20_000 : 1_000_000
const KILLS = times(15, 3)
/** A killed worker that answers slower than this has hung. */
const ANSWER_MS = 30_000
const FILL_MS = 600_000
const JOIN_MS = 600_000
const FIRST_SCREEN_MS = 2_000
/** Being as fast as with 1 000 values: within the noise of two such measurements. */
const AS_FAST = 1.5

const fillInPage = async (space, from, to, each) => {
  for (let n = from; n < to; n++) {
    const folder = String(n).padStart(6, '0')
    const values = Object.fromEntries(Array.from({ length: each }, (_, at) => [String(at).padStart(4, '0'), `value ${at} of ${n}`]))
    const answer = await fetch(`/~/${space}/many/${folder}`, { method: 'PUT', headers: { 'content-type': 'application/json' }, body: JSON.stringify(values) })
    if (!answer.ok) throw new Error(`PUT gave ${answer.status}: ${await answer.text()}`)
  }
}

const ask = async (path) => {
  const began = performance.now()
  const answer = await fetch(path)
  const text = await answer.text()
  if (!answer.ok) throw new Error(`GET gave ${answer.status}: ${text}`)
  return performance.now() - began
}

const follow = async (path) => {
  const began = performance.now()
  const stop = new AbortController()
  const answer = await fetch(path, { headers: { Subscribe: 'true' }, signal: stop.signal })
  if (answer.status !== 209) throw new Error(`the subscription gave ${answer.status}`)
  const reader = answer.body.getReader()
  const decoder = new TextDecoder()
  for (let text = ''; !text.includes('value '); ) {
    const { value, done } = await reader.read()
    if (done) throw new Error('the subscription ended before its first update')
    text += decoder.decode(value, { stream: true })
  }
  const took = performance.now() - began
  stop.abort()
  return took
}

/** Kills the worker before each question. */
async function killed({ browser, page }, question, path) {
  const took = []
  for (let round = 0; round <= KILLS; round++) {
    if ((await browser.killWorker()) === 0) throw new Error('no worker was running, so none was killed')
    const ms = await page.evaluate(question, path)
    if (round > 0) took.push(ms)
  }
  return spread(took)
}

/** Joins, and waits until a value can be read: how long each took, in milliseconds. */
const joinAndRead = async (invite, path) => {
  const began = performance.now()
  const answer = await fetch('/~/join', { method: 'POST', headers: { 'content-type': 'application/json' }, body: JSON.stringify({ invite }) })
  if (!answer.ok) throw new Error(`joining gave ${answer.status}: ${await answer.text()}`)
  const joined = performance.now() - began
  for (;;) {
    const value = await fetch(path)
    if (value.ok) return { joined, read: performance.now() - began }
    await value.body?.cancel()
    // Its arrival is what is measured, and a value that is not there yet cannot tell.
    await new Promise((resolve) => setTimeout(resolve, 20))
  }
}

async function measure(count) {
  const relay = await startWorld()
  const one = await someone(relay)
  const space = await one.space(`${count} values`)
  one.page.evaluateTimeout = FILL_MS
  const began = Date.now()
  for (let n = 0; n < count / EACH; n += 50) await one.page.evaluate(fillInPage, space, n, Math.min(n + 50, count / EACH), EACH)
  const filled = (Date.now() - began) / 1000
  const bare = await one.browser.newPage(`${relay.url}bare.html`)
  bare.evaluateTimeout = ANSWER_MS
  const place = `/~/${space}/many/${String(Math.floor(count / EACH / 2)).padStart(6, '0')}`
  const it = { browser: one.browser, page: bare }
  await one.page.goto(`${relay.url}bare.html`)
  const found = {
    read: await killed(it, ask, `${place}/0500`),
    list: await killed(it, ask, `${place}/?values=1&limit=100`),
    follow: await killed(it, follow, `${place}/0500`),
  }
  const memory = await heap(one.browser, 'service_worker', relay.url)
  await one.page.goto(`${relay.url}bench.html`)
  const url = await one.invite(space)
  const late = await someone(relay)
  late.page.evaluateTimeout = JOIN_MS
  const last = String(count / EACH - 1).padStart(6, '0')
  const newcomer = await late.page.evaluate(joinAndRead, url, `/~/${space}/many/${last}/0000`)
  await Promise.all([one.close(), late.close()])
  await relay.kill()
  return { filled, memory, newcomer, ...found }
}

try {
  const small = await measure(SMALL)
  const large = await measure(LARGE)
  for (const [name, title] of [['read', 'GET of one value'], ['list', 'a page of 100 of a listing, with values'], ['follow', 'a subscription, until its first update']]) {
    showSpreads(`killed worker until its first answer: ${title}`, { [`${LARGE} values`]: large[name], [`${SMALL} values`]: small[name] }, `${SMALL} values`)
  }
  const row = (name, one) => [name, one.filled.toFixed(1), megabytes(one.memory.js), megabytes(one.memory.wasm), Math.round(one.newcomer.joined), Math.round(one.newcomer.read)]
  show('filling, memory after the reads, and a newcomer', [['', 'filled in s', 'JS heap', 'wasm', 'joined, ms', 'reads the last value, ms'], row(`${SMALL} values`, small), row(`${LARGE} values`, large)])
  process.stdout.write(`wasm memory ${ratio(large.memory.wasm, small.memory.wasm)}\n`)
  const targets = [
    target(`read with ${LARGE} values against ${SMALL}, p50`, large.read.p50 / small.read.p50, AS_FAST, 'times'),
    target(`listing with ${LARGE} values against ${SMALL}, p50`, large.list.p50 / small.list.p50, AS_FAST, 'times'),
    target(`subscription with ${LARGE} values against ${SMALL}, p50`, large.follow.p50 / small.follow.p50, AS_FAST, 'times'),
    target(`a newcomer to ${LARGE} values reads the last`, large.newcomer.read, FIRST_SCREEN_MS),
  ]
  publish('million', { small, large, targets })
} finally {
  await cleanup()
}
