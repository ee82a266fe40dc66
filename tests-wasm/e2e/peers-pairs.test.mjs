// Two people in any two browsers: one invites, the other opens the link, both write, each sees the other's change without reloading.
import assert from 'node:assert/strict'
import { after, before, describe, it } from 'node:test'
import { missing, openBrowser, startRelay, waitFor } from '../harness/index.mjs'
import { meet, NETWORK_MS, person } from './peers-support.mjs'

const PAIRS = [
  ['chromium', 'chromium'],
  ['chromium', 'firefox'],
  ['firefox', 'firefox'],
  ['webkit', 'chromium'],
]

for (const [kind, other] of PAIRS) {
  describe(`${kind} and ${other}`, { skip: missing(kind, other) }, () => {
    let relay
    let ada
    let ben
    let space
    before(async () => {
      relay = await startRelay()
      ada = await person(kind, relay.url)
      const browser = await openBrowser(other)
      ben = { browser }
    })
    after(async () => {
      await ada?.close()
      await ben?.browser?.close()
      await relay?.kill()
    })

    it('an invite link joins its space and lands in the app it names', async () => {
      space = await ada.space('Trip')
      await ada.put(`/~/${space}/from/ada`, { hello: 'from ada' })
      const url = await ada.invite(space)
      assert.match(url, /\/board\/#kith=/)
      const page = await ben.browser.newPage(url)
      await page.waitFor((id) => location.pathname === '/board/' && new URLSearchParams(location.search).get('space') === id, {
        args: [space],
        what: 'the board of the space',
        timeout: 2 * NETWORK_MS,
      })
      assert.equal(await page.evaluate(() => location.hash), '')
      ben = await meet(ben.browser, page)
      await ben.sees(`/~/${space}/from/ada`, { hello: 'from ada' })
    })

    it('each hears of what the other writes, without reloading', async () => {
      await ada.follow(`/~/${space}/live/ben`)
      await ben.follow(`/~/${space}/live/ada`)
      await ben.put(`/~/${space}/live/ben`, { n: 1 })
      await ada.put(`/~/${space}/live/ada`, { n: 2 })
      await waitFor(async () => (await ada.heard()).events.includes('{"n":1}'), { what: 'ada to hear of ben', timeout: NETWORK_MS })
      await waitFor(async () => (await ben.heard()).events.includes('{"n":2}'), { what: 'ben to hear of ada', timeout: NETWORK_MS })
    })

    const direct = kind !== 'webkit' && other !== 'webkit'
    it(direct ? 'the link is WebRTC' : 'the link goes over the relay: this WebKit has no WebRTC', async () => {
      const path = direct ? 'webrtc' : 'relay'
      await Promise.all([ada.linked(path), ben.linked(path)])
    })

    it('a write says how far it has travelled', async () => {
      const first = await ada.put(`/~/${space}/travel`, 1)
      assert.match(first.headers['sync-status'], /^local$|^peers=1$/)
      await waitFor(async () => (await ada.ask('GET', `/~/${space}/travel`)).headers['sync-status'] === 'peers=1', {
        what: 'the write to be stored by the other peer',
        timeout: NETWORK_MS,
      })
      const status = await ada.status()
      assert.equal(status.spaces.find(({ id }) => id === space).pending, 0)
      // By name, and since when; in the space, and of one version.
      const { id } = await ben.status()
      const all = (await ada.ask('GET', `/~/${space}/$sync`)).json
      const [peer] = all.peers
      assert.deepEqual([all.state, all.pending, all.peers.length, peer.peer, peer.linked, peer.stored], ['peers=1', 0, 1, id, true, all.entries])
      const version = JSON.parse(first.headers.version)
      const { items } = (await ada.ask('GET', `/~/${space}/$sync?version=${version}`)).json
      assert.deepEqual(items.map(({ version, state, peers }) => [version, state, peers.map(({ peer }) => peer)]), [[version, 'peers=1', [id]]])
      const since = items[0].peers[0].since
      assert.ok(since > Date.now() - NETWORK_MS && since <= Date.now() && since <= peer.since, `since ${since}, ${peer.since}`)
    })

    it('joining again gives the same answer', async () => {
      const url = await ada.invite(space)
      const again = await ben.join(url)
      assert.equal(again.space, space)
      assert.equal(again.role, 'writer')
    })
  })
}

describe('a reader', { skip: missing('chromium') }, () => {
  it('sees everything and may write nothing', async () => {
    const relay = await startRelay()
    const ada = await person('chromium', relay.url)
    const eve = await person('chromium', relay.url)
    const space = await ada.space('Notice board')
    await ada.put(`/~/${space}/notice`, 'read me')
    await eve.join(await ada.invite(space, 'reader'))
    await eve.sees(`/~/${space}/notice`, 'read me')
    const answer = await eve.ask('PUT', `/~/${space}/notice`, 'mine')
    assert.equal(answer.status, 403)
    assert.equal(answer.headers['content-type'], 'application/problem+json')
    await eve.sees(`/~/${space}/notice`, 'read me')
    await Promise.all([ada.close(), eve.close(), relay.kill()])
  })
})
