// How fast stored bytes go from one worker to another over WebRTC, signed, encrypted, stored on both sides, against a bare data channel
// between pages of the same two browsers, taking turns.
import { randomBytes } from 'node:crypto'
import { cleanup } from '../harness/index.mjs'
import { together } from '../e2e/peers-support.mjs'
import { connectPages } from './baseline/data-channel.mjs'
import { figure, publish, quantile, ratio, show, times } from './support/figures.mjs'
import { someone, startWorld } from './support/world.mjs'

const ROUNDS = times(3, 1)
const MIB = 1024 * 1024
const VALUES = times(32, 8)
const TARGET_SHARE = 0.8
const PATIENCE_MS = 180_000

/** Stores that many values of 1 MiB in a space; gives milliseconds. */
const store = async (space, count, size, seed) => {
  const bytes = new Uint8Array(size)
  for (let at = 0; at < size; at += 65_536) crypto.getRandomValues(bytes.subarray(at, at + 65_536))
  const began = performance.now()
  for (let n = 0; n < count; n++) {
    bytes[0] = n
    bytes[1] = seed
    const answer = await fetch(`/~/${space}/bytes/${n}`, { method: 'PUT', headers: { 'content-type': 'application/octet-stream' }, body: bytes })
    if (!answer.ok) throw new Error(`PUT gave ${answer.status}: ${await answer.text()}`)
  }
  return performance.now() - began
}

/** Joins a space and waits until all of its values can be read; samples what the link received meanwhile. */
const take = async (invite, space, count, patience) => {
  const began = performance.now()
  const samples = []
  let refused = 0
  const joining = (async () => {
    for (;;) {
      const answer = await fetch('/~/join', { method: 'POST', headers: { 'content-type': 'application/json' }, body: JSON.stringify({ invite }) })
      if (answer.ok) return
      // Nobody answered in time: the peer goes on by itself, and asking again tells how.
      if (answer.status !== 503 || ++refused === 20) throw new Error(`joining gave ${answer.status}: ${await answer.text()}`)
    }
  })()
  for (;;) {
    const { links } = await (await fetch('/~/peer')).json()
    samples.push([performance.now() - began, links.reduce((sum, link) => sum + link.bytesIn, 0), links.map((link) => link.path).join()])
    const list = await fetch(`/~/${space}/bytes/?limit=1000`)
    if (list.ok && (await list.json()).items.length === count) break
    if (performance.now() - began > patience) throw new Error(`not all values came: ${JSON.stringify(samples.at(-1))}`)
    await new Promise((resolve) => setTimeout(resolve, 20))
  }
  const all = performance.now() - began
  await joining
  return { all, samples, refused }
}

try {
  const relay = await startWorld()
  const [ada, ben] = [await someone(relay), await someone(relay)]
  for (const { page } of [ada, ben]) page.evaluateTimeout = PATIENCE_MS
  await together(ada, ben)
  await Promise.all([ada.linked('webrtc'), ben.linked('webrtc')])
  const bare = await connectPages(ada.page, ben.page)
  await bare(4 * MIB)
  const rates = { kith: [], flowing: [], put: [], channel: [] }
  const bytes = VALUES * MIB
  const rate = (ms) => bytes / 1000 / ms
  for (let round = 0; round < ROUNDS; round++) {
    const space = await ada.space(`Bytes ${round}`)
    rates.put.push(rate(await ada.page.evaluate(store, space, VALUES, MIB, randomBytes(1)[0])))
    const invite = await ada.invite(space)
    const { all, samples, refused } = await ben.page.evaluate(take, invite, space, VALUES, PATIENCE_MS)
    const paths = [...new Set(samples.map(([, , path]) => path))]
    if (paths.join() !== 'webrtc' || refused > 0) process.stdout.write(`round ${round}: links were ${paths.join(' then ')}, joining was put off ${refused} times\n`)
    rates.kith.push(rate(all))
    // From the first to the last byte, without joining and without the last value's storing.
    const moving = samples.filter(([, received], n) => n === 0 || received > samples[n - 1][1])
    if (moving.length > 2) rates.flowing.push((moving.at(-1)[1] - moving[1][1]) / 1000 / (moving.at(-1)[0] - moving[1][0]))
    rates.channel.push(rate(await bare(bytes)))
  }
  const middle = Object.fromEntries(Object.entries(rates).map(([name, list]) => [name, list.length > 0 ? quantile(list, 0.5) : undefined]))
  const row = (text, name) => [text, rates[name].length, figure(middle[name]), rates[name].map(figure).join(' '), name === 'channel' ? '' : ratio(middle[name], middle.channel)]
  show(`${VALUES} values of 1 MiB, MB/s (median, each)`, [
    ['', 'n', 'MB/s', 'rounds', 'to the channel'],
    row('Kith: joining until all can be read', 'kith'),
    row('Kith: while bytes flow', 'flowing'),
    row('Kith: PUT of the same values here', 'put'),
    row('data channel, page to page', 'channel'),
  ])
  const share = middle.kith / middle.channel
  process.stdout.write(`target: worker to worker >= ${TARGET_SHARE} of page to page: ${figure(share)}, ${share >= TARGET_SHARE ? 'met' : 'missed'}\n`)
  publish('webrtc', { rates, middle, share, target: { limit: TARGET_SHARE, met: share >= TARGET_SHARE } })
  await Promise.all([ada.close(), ben.close(), relay.kill()])
} finally {
  await cleanup()
}
