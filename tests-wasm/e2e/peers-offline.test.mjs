// Both sides without a network, editing the same and different fields, then together again. And a device that has a network again.
import assert from 'node:assert/strict'
import { describe, it } from 'node:test'
import { availableBrowsers, missing, startProxy, startRelay, startSite, waitFor } from '../harness/index.mjs'
import { NETWORK_MS, person, together } from './peers-support.mjs'

describe('edits on both sides of a cut', { skip: missing('chromium', 'firefox') }, () => {
  it('come together to one state everywhere, and nothing is lost', async () => {
    const relay = await startRelay()
    // Each reaches the relay over a line of its own; WebRTC is off, so a cut line is no network at all.
    const lines = [await startProxy(relay.url), await startProxy(relay.url)]
    const ada = await person('chromium', lines[0].url, { webrtc: 'blocked' })
    const ben = await person('firefox', lines[1].url, { webrtc: 'blocked' })
    const space = await together(ada, ben)
    const at = `/~/${space}/plan`
    await ada.put(at, { title: 'Trip', days: 3, tags: ['a'] })
    await ben.sees(at, { days: 3, tags: ['a'], title: 'Trip' })

    await Promise.all(lines.map((line) => line.cut()))
    await Promise.all([ada.alone(), ben.alone()])
    // The same field and different ones, new values and deletions.
    await ada.ask('PATCH', at, { title: 'From Ada', adas: 1 }, { 'Content-Type': 'application/merge-patch+json' })
    await ben.ask('PATCH', at, { title: 'From Ben', days: 5 }, { 'Content-Type': 'application/merge-patch+json' })
    for (let n = 0; n < 20; n++) {
      await ada.put(`/~/${space}/notes/ada${n}`, { n })
      await ben.put(`/~/${space}/notes/ben${n}`, { n })
    }
    assert.equal((await ada.ask('DELETE', `${at}/tags`)).status, 204)

    await Promise.all(lines.map((line) => line.restore()))
    const whole = async (who) => (await who.ask('GET', `/~/${space}`)).text
    await waitFor(
      async () => {
        const [one, two] = await Promise.all([whole(ada), whole(ben)])
        const notes = Object.keys(JSON.parse(one).notes ?? {})
        return one === two && notes.length === 40
      },
      { what: 'both to have one state', timeout: 2 * NETWORK_MS },
    )
    const plan = (await ada.ask('GET', at)).json
    assert.equal(plan.adas, 1)
    assert.equal(plan.days, 5)
    assert.ok(['From Ada', 'From Ben'].includes(plan.title))
    assert.equal(plan.tags, undefined)
    await Promise.all([ada.close(), ben.close(), relay.kill()])
  })
})

/** Tries in vain after which the next one is eight seconds away or more. */
const TRIES = 6
/** Much less than that. */
const AT_ONCE_MS = 5_000

describe('the network is back', () => {
  for (const kind of ['chromium', 'firefox']) {
    it(`in ${kind}: the relay is tried at once, not when its turn comes`, { skip: !availableBrowsers().includes(kind) }, async () => {
      const relay = await startRelay()
      const line = await startProxy(relay.url)
      const ada = await person(kind, line.url, { webrtc: 'blocked' })
      await ada.reachable()
      await ada.page.evaluate(() => {
        window.failures = 0
        let before
        new EventSource('/~/peer').onmessage = ({ data }) => {
          const now = JSON.parse(data).relays[0]?.state
          if (now !== before && now === 'failed') window.failures++
          before = now
        }
      })
      await ada.browser.setOffline(true)
      await line.cut()
      await ada.page.waitFor((tries) => window.failures >= tries, { args: [TRIES], what: `${TRIES} tries in vain`, timeout: NETWORK_MS })
      await line.restore()
      const restored = Date.now()
      await ada.browser.setOffline(false)
      await waitFor(() => line.connections > 0, { what: 'another try', timeout: NETWORK_MS })
      assert.ok(Date.now() - restored < AT_ONCE_MS, `tried after ${Date.now() - restored} ms`)
      await ada.reachable()
      await Promise.all([ada.close(), relay.kill()])
    })
  }
})

// Browsers hold WebSockets back after failures, Firefox for up to a minute: while a relay is gone it is asked by HTTP instead.
for (const kind of ['chromium', 'firefox']) {
  describe(`a relay that is gone for a while, in ${kind}`, { skip: missing(kind) }, () => {
    it('is asked by HTTP whether it is back, and WebSockets wait for that', async () => {
      const relay = await startRelay()
      const site = await startSite({ upstream: relay.url })
      const ada = await person(kind, site.url, { webrtc: 'blocked' })
      const reserved = () => waitFor(async () => (await ada.status())?.relays.some(({ state }) => state === 'reserved'), { what: 'the relay to be there', timeout: NETWORK_MS })
      const seen = (method, from) => site.requests.filter((one) => one.method === method && one.at >= from).length
      const asked = (times, from) => waitFor(() => seen('HEAD', from) >= times, { what: `${times} requests`, timeout: NETWORK_MS })
      await reserved()
      await asked(1, 0)
      for (let outage = 0; outage < 2; outage++) {
        const from = Date.now()
        site.down()
        await asked(5, from)
        assert.ok(seen('UPGRADE', from) <= 2, `${seen('UPGRADE', from)} WebSockets were tried beside ${seen('HEAD', from)} requests`)
        site.up()
        await reserved()
      }
      await Promise.all([ada.close(), relay.kill(), site.close()])
    })
  })
}
