// The network alone, in Service Workers of real browsers: relay first, WebRTC as soon as it works, and back when it is lost.
import assert from 'node:assert/strict'
import { after, before, describe, test } from 'node:test'
import { missing, openBrowser, startRelay } from '../harness/index.mjs'
import { openPeer, serveNetPage } from '../net-page/site.mjs'

for (const [left, right] of [['chromium', 'chromium'], ['chromium', 'firefox'], ['firefox', 'firefox']]) {
  describe(`network between ${left} and ${right}`, { skip: missing(left, right) }, () => {
    let site
    let relay
    let browsers
    let a
    let b

    before(async () => {
      site = await serveNetPage()
      relay = await startRelay({ web: false })
      browsers = await Promise.all([openBrowser(left), openBrowser(right)])
    })
    after(async () => {
      for (const browser of browsers ?? []) await browser.close()
      await relay?.kill('SIGKILL')
      await site?.close()
    })

    test('a relayed link comes first and WebRTC takes over', async () => {
      ;[a, b] = await Promise.all([openPeer(browsers[0], site, 1, relay.addrs), openPeer(browsers[1], site, 2, relay.addrs)])
      await a.call('dial', b.key, [])
      await Promise.all([a.path('webrtc'), b.path('webrtc')])
      for (const peer of [a, b]) {
        const ups = (await peer.call('log')).filter(({ type }) => type === 'up').map(({ path }) => path)
        assert.deepEqual(ups, ['relay', 'webrtc'])
      }
    })

    test('frames of all sizes travel both ways over WebRTC', async (t) => {
      for (const peer of [a, b]) {
        for (const size of [5, 20_000, 1_500_000]) await peer.call('echo', 3, size)
      }
      const took = await a.call('echo', 50, 100)
      const bytes = 8 * 1024 * 1024
      const began = Date.now()
      await a.call('blast', bytes, 64 * 1024)
      await b.until(({ received }) => received >= bytes, 'all bytes')
      t.diagnostic(`round trip p50 ${took[25].toFixed(1)} ms; ${((bytes / 1e3) / (Date.now() - began)).toFixed(1)} MB/s`)
      assert.deepEqual((await a.state()).links.map(({ path }) => path), ['webrtc'], 'it held')
    })

    test('the relay may go: WebRTC goes on', async () => {
      await relay.kill('SIGKILL')
      await a.until((state) => state.relay === 'failed' || state.relay === 'connecting', 'the relay to be missed')
      await a.call('echo', 5, 1000)
      assert.deepEqual((await b.state()).links.map(({ path }) => path), ['webrtc'])
      relay = await relay.restart()
      await Promise.all([a, b].map((peer) => peer.until((state) => state.relay === 'reserved', 'the relay again', 60_000)))
    })

    test('a carrier that stops falls back to the relay, and a new one brings WebRTC back', async () => {
      await b.page.evaluate(() => globalThis.carrier.stop())
      await Promise.all([a.path('relay'), b.path('relay')])
      await a.call('echo', 5, 1000)
      await b.carry()
      await Promise.all([a.path('webrtc'), b.path('webrtc')])
      await a.call('echo', 5, 1000)
    })

    /** Opens another tab beside the one that carries. */
    async function secondTab() {
      const other = await browsers[1].newPage(site.url)
      await other.waitFor(() => globalThis.ready, { what: 'the second tab' })
      return other
    }

    test('a carrying page that is closed is missed', async () => {
      const other = await secondTab()
      await b.page.close()
      b.moveTo(other)
      await Promise.all([a.path('relay'), b.path('relay')])
      await b.carry()
      await Promise.all([a.path('webrtc'), b.path('webrtc')])
    })

    test('a worker that is killed and starts again is linked again', async (t) => {
      for (let round = 0; round < 3; round += 1) {
        const began = Date.now()
        await browsers[1].killWorker()
        await b.start()
        await Promise.all([a.path('webrtc'), b.path('webrtc')])
        t.diagnostic(`on WebRTC again after ${Date.now() - began} ms`)
        await a.call('echo', 5, 1000)
      }
    })

    test('a carrying page that crashes is missed within seconds', { skip: right !== 'chromium' && 'a crash on demand of one tab alone is Chromium’s' }, async (t) => {
      const [{ link: lost }] = (await a.state()).links
      const began = Date.now()
      await b.page.crash()
      await a.until(({ links }) => !links.some(({ link }) => link === lost), 'the loss to be noticed', 15_000)
      t.diagnostic(`missed after ${Date.now() - began} ms`)
      b.moveTo(await secondTab())
      // The worker may have lived in the same process.
      await ((await b.state()).relay === 'none' ? b.start() : b.carry())
      await Promise.all([a.path('webrtc'), b.path('webrtc')])
      await a.call('echo', 5, 1000)
    })
  })
}

describe('network without WebRTC', { skip: missing('chromium') }, () => {
  test('blocked candidates: data goes through the relay and that is said in plain words', async () => {
    const site = await serveNetPage()
    const relay = await startRelay({ web: false })
    const browsers = await Promise.all([openBrowser('chromium', { webrtc: 'blocked' }), openBrowser('chromium')])
    const [a, b] = await Promise.all([openPeer(browsers[0], site, 1, relay.addrs), openPeer(browsers[1], site, 2, relay.addrs)])
    await a.call('dial', b.key, [])
    const { notes } = await a.until((state) => state.notes.some((note) => note.includes('could not be made')), 'the explanation')
    assert.match(notes.join('\n'), /no candidates.*data goes through the relay/)
    await Promise.all([a.path('relay'), b.path('relay')])
    await a.call('echo', 5, 1000)
    for (const browser of browsers) await browser.close()
    await relay.kill('SIGKILL')
    await site.close()
  })
})
