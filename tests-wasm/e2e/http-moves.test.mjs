// Moving values about: over plain HTTP in one browser, by the SDK, and by two people at once who cannot hear each other.
import assert from 'node:assert/strict'
import { after, before, describe, it, test } from 'node:test'
import { availableBrowsers, missing, startProxy, startRelay, waitFor } from '../harness/index.mjs'
import { inEachBrowser } from './http/plain-page.mjs'
import { NETWORK_MS, person, together } from './peers-support.mjs'

const moveTo = (to, from) => `${to}?move=${encodeURIComponent(from)}`

inEachBrowser((world) => {
  const { ask, put } = world
  const value = async (path) => (await ask('GET', path)).json

  test('a value and everything in it is moved', async () => {
    await put('/~/me/in/7', { title: 'Tea', tags: ['hot'] })
    const before = await ask('GET', '/~/me')
    const moved = await ask('PUT', moveTo('/~/me/out/seven', 'in/7'))
    assert.deepEqual([moved.status, moved.headers['sync-status']], [201, 'local'])
    assert.deepEqual(await value('/~/me/out'), { seven: { title: 'Tea', tags: ['hot'] } })
    assert.equal((await ask('GET', '/~/me/in/7')).status, 404)
    const after = await ask('GET', '/~/me', { 'If-None-Match': before.headers.etag })
    assert.equal(after.status, 200, 'what it is in is another value')
    const { items } = await value('/~/me/$changes')
    const { path, from, kind } = items.at(-1)
    assert.deepEqual({ path, from, kind }, { path: 'out/seven', from: 'in/7', kind: 'move' })
    await put('/~/me/in/7', 'new')
    assert.deepEqual(await value('/~/me/out/seven/title'), 'Tea')
  })

  test('what cannot be moved is refused', async () => {
    await put('/~/me/stay', { a: { b: 1 }, list: [1] })
    const refused = async (to, from) => (await ask('PUT', moveTo(to, from))).json?.type?.replace('urn:kith:problem:', '')
    assert.equal(await refused('/~/me/x', 'nothing/here'), 'not-found')
    assert.equal(await refused('/~/me/stay/list', 'stay/a'), 'conflict')
    assert.equal(await refused('/~/me/stay/a/b2', 'stay'), 'patch-does-not-fit')
    assert.equal(await refused('/~/me/x', 'stay/list/0'), 'wrong-kind')
    assert.equal(await refused('/~/me/x', '%zz'), 'malformed-query')
  })
})

const other = availableBrowsers().includes('firefox') ? 'firefox' : 'chromium'

describe(`moves at once in chromium and ${other}`, { skip: missing('chromium') }, () => {
  let relay
  let lines
  let people
  before(async () => {
    relay = await startRelay()
    // Each reaches the relay over a line of its own; WebRTC is off, so a cut line is no network at all.
    lines = [await startProxy(relay.url), await startProxy(relay.url)]
    people = [await person('chromium', lines[0].url, { webrtc: 'blocked' }), await person(other, lines[1].url, { webrtc: 'blocked' })]
  })
  after(() => Promise.all([...(people ?? []).map((who) => who.close()), relay?.kill()]))

  it('two folders moved into each other: one counts, and nothing is lost', async () => {
    const [ada, ben] = people
    const space = await together(ada, ben)
    const root = `/~/${space}`
    await ada.put(`${root}/plans`, { trip: 'Rome' })
    await ada.put(`${root}/notes`, { tea: 'hot' })
    await ben.sees(root, { notes: { tea: 'hot' }, plans: { trip: 'Rome' } })
    await Promise.all(lines.map((line) => line.cut()))
    await Promise.all(people.map((who) => who.alone()))
    assert.equal((await ada.ask('PUT', moveTo(`${root}/notes/plans`, 'plans'))).status, 201)
    assert.equal((await ben.ask('PUT', moveTo(`${root}/plans/notes`, 'notes'))).status, 201)
    // What is written in what moves meanwhile, by the old path.
    await ada.put(`${root}/notes/more`, 'ada')
    await ben.put(`${root}/plans/more`, 'ben')
    await Promise.all(lines.map((line) => line.restore()))
    const outcomes = [
      { notes: { tea: 'hot', more: 'ada', plans: { trip: 'Rome', more: 'ben' } } },
      { plans: { trip: 'Rome', more: 'ben', notes: { tea: 'hot', more: 'ada' } } },
    ]
    const same = (a, b) => {
      try {
        assert.deepEqual(a, b)
        return true
      } catch {
        return false
      }
    }
    await waitFor(
      async () => {
        const [one, two] = await Promise.all(people.map(async (who) => (await who.ask('GET', root)).json))
        return same(one, two) && outcomes.some((outcome) => same(one, outcome))
      },
      { what: 'both to show one of the two outcomes', timeout: 2 * NETWORK_MS },
    )
  })

  it('the SDK moves, and who follows sees it go and come', async () => {
    const [ada] = people
    const seen = await ada.page.evaluate(async () => {
      const { connect } = await import('/kith.js')
      const space = connect().space()
      await space.put('box/a', { n: 1 })
      const stop = new AbortController()
      const updates = space.subscribe('box/', { signal: stop.signal })[Symbol.asyncIterator]()
      await updates.next()
      const { created } = await space.move('box/a', 'box/é/b')
      await updates.next()
      const keys = (await space.list('box')).items.map((item) => item.key)
      stop.abort()
      return { created, keys, value: await space.get('box/é/b'), gone: (await space.get('box/a')) === undefined }
    })
    assert.deepEqual(seen, { created: true, keys: ['é'], value: { n: 1 }, gone: true })
  })
})
