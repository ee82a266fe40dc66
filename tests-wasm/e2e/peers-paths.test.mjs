// What happens to two connected peers when the relay dies, when WebRTC cannot work, and when either comes back.
import assert from 'node:assert/strict'
import { after, before, describe, it } from 'node:test'
import { missing, startRelay, waitFor } from '../harness/index.mjs'
import { NETWORK_MS, person, together } from './peers-support.mjs'

describe('the relay process is killed', { skip: missing('chromium', 'firefox') }, () => {
  let relay
  let ada
  let ben
  let space
  before(async () => {
    relay = await startRelay()
    ada = await person('chromium', relay.url)
    ben = await person('firefox', relay.url)
    space = await together(ada, ben)
    await Promise.all([ada.linked('webrtc'), ben.linked('webrtc')])
  })
  after(async () => {
    await ada?.close()
    await ben?.close()
    await relay?.kill()
  })

  it('both go on over WebRTC', async () => {
    await relay.kill('SIGKILL')
    await waitFor(async () => (await ada.status()).relays.every(({ state }) => state !== 'reserved'), {
      what: 'ada to notice that the relay is gone',
      timeout: NETWORK_MS,
    })
    await ada.put(`/~/${space}/without/relay/ada`, 1)
    await ben.put(`/~/${space}/without/relay/ben`, 2)
    await ben.sees(`/~/${space}/without/relay/ada`, 1)
    await ada.sees(`/~/${space}/without/relay/ben`, 2)
    assert.ok((await ada.status()).links.some(({ path }) => path === 'webrtc'))
    const failed = (await ada.status()).relays.find(({ state }) => state === 'failed' || state === 'connecting')
    assert.ok(failed, 'the status says that the relay is not there')
  })

  it('when the relay is back, both reconnect by themselves', async () => {
    relay = await relay.restart()
    await Promise.all([ada.reachable(), ben.reachable()])
    await ada.put(`/~/${space}/relay/back`, true)
    await ben.sees(`/~/${space}/relay/back`, true)
  })
})

describe('WebRTC finds no way', { skip: missing('chromium') }, () => {
  it('both go on over the relay, and the status says so in plain words', async () => {
    const relay = await startRelay()
    const ada = await person('chromium', relay.url, { webrtc: 'blocked' })
    const ben = await person('chromium', relay.url, { webrtc: 'blocked' })
    const space = await together(ada, ben)
    await ada.put(`/~/${space}/a`, 1)
    await ben.sees(`/~/${space}/a`, 1)
    await ben.put(`/~/${space}/b`, 2)
    await ada.sees(`/~/${space}/b`, 2)
    await ada.linked('relay')
    const note = await waitFor(
      async () => [...(await ada.status()).notes, ...(await ben.status()).notes].find((text) => /relay/i.test(text)),
      { what: 'a note about the direct connection', timeout: NETWORK_MS },
    )
    assert.match(note, /direct/i)
    await Promise.all([ada.close(), ben.close(), relay.kill()])
  })
})
