// Strangers: js-libp2p from npm with our relay and with our peer, in both directions.
import './polyfill.mjs'
import assert from 'node:assert/strict'
import { readFile } from 'node:fs/promises'
import { join } from 'node:path'
import { after, before, describe, test } from 'node:test'
import { missing, openBrowser, startRelay, startSite, waitFor } from '../harness/index.mjs'
import { openPeer, publicKey, serveNetPage } from '../net-page/site.mjs'
import { bundleJsPage, installJsLibp2p } from './setup.mjs'

/** Of two peers the one with the smaller key opens links and starts WebRTC: a seed for each case, beside ours. */
const OURS = 1
const smaller = [...Array(50).keys()].map((n) => n + 100).find((seed) => Buffer.compare(Buffer.from(publicKey(seed)), Buffer.from(publicKey(OURS))) < 0)
const greater = [...Array(50).keys()].map((n) => n + 100).find((seed) => Buffer.compare(Buffer.from(publicKey(seed)), Buffer.from(publicKey(OURS))) > 0)

let startJsPeer
let relay

before(async () => {
  await installJsLibp2p()
  ;({ startJsPeer } = await import('./js-peer.mjs'))
  relay = await startRelay({ web: false })
})
after(() => relay?.kill('SIGKILL'))

/** A js-libp2p node that ends with its test, whatever happens. */
async function start(t, options) {
  const peer = await startJsPeer(options)
  t.after(() => peer.stop())
  return peer
}
const reserved = (peer) => waitFor(() => peer.addresses().some((address) => address.includes('/p2p-circuit')), { what: 'a reservation at our relay' })

describe('js-libp2p nodes at our relay', () => {
  test('reserve, meet through a circuit, and ping', async (t) => {
    const listening = await start(t, { seed: 201, relay: relay.addrs[0] })
    await reserved(listening)
    const dialling = await start(t, { seed: 202 })
    const address = `${relay.addrs[0]}/p2p-circuit/p2p/${listening.id}`
    const connection = await dialling.dial(address)
    assert.ok((await dialling.ping(address)) >= 0)
    const link = await dialling.link(connection)
    for (const size of [10, 100_000, 1_000_000]) assert.equal((await link.echo(size)).length, size)
    link.stop()
  })
})

describe('js-libp2p and our peer', { skip: missing('chromium') }, () => {
  let browser
  let site
  let ours
  let oursAddress

  before(async () => {
    site = await serveNetPage()
    browser = await openBrowser('chromium')
    ours = await openPeer(browser, site, OURS, relay.addrs)
    oursAddress = `${relay.addrs[0]}/p2p-circuit/p2p/${await ours.call('peerId')}`
  })
  after(async () => {
    await browser?.close()
    await site?.close()
  })

  test('a Node program dials our browser peer through the relay: ping, and a link', async (t) => {
    const js = await start(t, { seed: smaller })
    const connection = await js.dial(oursAddress)
    assert.ok((await js.ping(oursAddress)) >= 0)
    const link = await js.link(connection)
    // Our page answers frames that start with 1.
    for (const size of [10, 100_000]) assert.equal((await link.echo(size))[0], 2)
    assert.equal((await ours.state()).links.at(-1).path, 'relay')
    const id = await ours.call('peerId')
    await waitFor(async () => (await js.known(id)).some((address) => address.endsWith('/p2p-circuit/webrtc')), { what: 'identify to tell our /webrtc address' })
    link.stop()
    await js.stop()
    await ours.until(({ links }) => links.length === 0, 'the link to be gone')
  })

  test('our browser peer dials a Node program: it opens the link', async (t) => {
    const js = await start(t, { seed: greater, relay: relay.addrs[0] })
    await reserved(js)
    await ours.call('dial', js.key, [])
    await ours.path('relay')
    assert.equal((await ours.call('echo', 3, 50_000)).length, 3)
    js.links.forEach((link) => link.stop())
    await js.stop()
    await ours.until(({ links }) => links.length === 0, 'the link to be gone')
  })
})

for (const kind of ['chromium', 'firefox']) {
  describe(`a js-libp2p page in ${kind} and our peer, over /webrtc`, { skip: missing('chromium', kind) }, () => {
    let browsers
    let site
    let jsSite
    let ours
    let oursId

    before(async () => {
      site = await serveNetPage()
      const dir = await bundleJsPage()
      const files = { '/': '<!doctype html><title>js-libp2p</title><script type="module" src="page.js"></script>', '/page.js': await readFile(join(dir, 'page.js')) }
      jsSite = await startSite({ files })
      browsers = await Promise.all([openBrowser('chromium'), openBrowser(kind)])
      ours = await openPeer(browsers[0], site, OURS, relay.addrs)
      oursId = await ours.call('peerId')
    })
    after(async () => {
      for (const browser of browsers ?? []) await browser.close()
      await site?.close()
      await jsSite?.close()
    })

    async function openJs(seed) {
      const page = await browsers[1].newPage(jsSite.url)
      await page.waitFor(() => globalThis.ready, { what: 'js-libp2p' })
      const js = (name, ...args) => page.evaluate((name, args) => globalThis.js[name](...args), name, args)
      const about = await js('start', seed, relay.addrs[0])
      await waitFor(async () => (await js('addresses')).some((address) => address.includes('/p2p-circuit/webrtc')), { what: 'the page to be reachable over /webrtc' })
      return { js, page, ...about }
    }

    test('the page dials us', async () => {
      const { js, page } = await openJs(smaller)
      const dialled = await js('dial', `${relay.addrs[0]}/p2p-circuit/webrtc/p2p/${oursId}`)
      assert.equal(dialled.limited, false)
      assert.match(dialled.address, /webrtc/)
      assert.equal(dialled.multiplexer, '/webrtc')
      for (const size of [10, 20_000, 1_000_000]) assert.deepEqual(await js('echo', size), { first: 2, length: size })
      await ours.path('webrtc')
      for (let round = 0; round < 5; round += 1) assert.ok((await js('ping', `${relay.addrs[0]}/p2p-circuit/webrtc/p2p/${oursId}`)) >= 0)
      // Leaving instead of closing: Firefox keeps its last tab.
      await page.goto('about:blank')
      await ours.until(({ links }) => links.length === 0, 'the page to be missed')
    })

    test('we dial the page', async () => {
      const { js, key, page } = await openJs(greater)
      await ours.call('dial', key, [])
      await ours.path('webrtc')
      for (const size of [10, 20_000, 1_000_000]) assert.equal((await ours.call('echo', 2, size)).length, 2)
      assert.ok((await js('links')).some((address) => address.includes('/webrtc')), 'it saw our link over WebRTC')
      await page.goto('about:blank')
      await ours.until(({ links }) => links.length === 0, 'the page to be missed')
    })
  })
}
