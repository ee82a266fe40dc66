// Values of every kind through a real worker, by plain `fetch`; and between two browsers that write at the same time.
import assert from 'node:assert/strict'
import { after, before, describe, it, test } from 'node:test'
import { missing, startRelay, waitFor } from '../harness/index.mjs'
import { inEachBrowser } from './http/plain-page.mjs'
import { NETWORK_MS, person, together } from './peers-support.mjs'

const JSON_TYPE = { 'Content-Type': 'application/json' }
const COUNTER = { 'Content-Type': 'application/vnd.kith.counter+json' }
const SET = { 'Content-Type': 'application/vnd.kith.set+json' }
const PATCH = { 'Content-Type': 'application/json-patch+json' }
const as = (kind) => ({ ...JSON_TYPE, 'Merge-Type': kind })

inEachBrowser((world) => {
  const { ask, put } = world
  const value = async (path) => (await ask('GET', path)).json

  test('a counter', async () => {
    const path = '/~/me/kinds/count'
    const made = await ask('PUT', path, as('counter'), '10')
    assert.deepEqual([made.status, made.headers['merge-type']], [201, 'counter'])
    const more = await ask('PATCH', path, COUNTER, '-3')
    assert.deepEqual([more.status, more.headers['merge-type'], await value(path)], [200, 'counter', 7])
    assert.equal((await put(path, 20)).headers['merge-type'], 'counter', 'a plain PUT keeps the kind')
    const read = await ask('GET', path)
    assert.deepEqual([read.text, read.headers['merge-type'], read.headers.etag !== more.headers.etag], ['20', 'counter', true])
    assert.equal((await put(path, 'many')).json.type, 'urn:kith:problem:wrong-kind')
    assert.equal((await ask('PATCH', '/~/me/kinds/fresh', COUNTER, '2')).status, 201)
    const options = await ask('OPTIONS', path)
    assert.equal(options.headers['merge-type'], 'counter')
    assert.match(options.headers['accept-patch'], /^application\/vnd\.kith\.counter\+json, /)
    assert.equal((await ask('DELETE', path)).status, 204)
    assert.equal((await ask('GET', path)).status, 404)
  })

  test('a set', async () => {
    const path = '/~/me/kinds/tags'
    assert.equal((await ask('PUT', path, as('set'), '["b","a","b"]')).status, 201)
    assert.equal((await ask('PATCH', path, SET, '{"add":["c",{"x":1}],"remove":["a"]}')).status, 200)
    assert.deepEqual(await value(path), ['b', 'c', { x: 1 }])
    assert.deepEqual(await value(`${path}/${encodeURIComponent('"b"')}`), 'b')
    assert.equal((await ask('DELETE', `${path}/${encodeURIComponent('"b"')}`)).status, 204)
    assert.equal((await put(`${path}/7`, 7)).status, 201)
    assert.deepEqual(await value(path), ['c', 7, { x: 1 }])
    const page = await value(`${path}/?limit=2&values=1`)
    assert.deepEqual([page.items.map((item) => item.value), page.next], [['c', 7], '{"x":1}'])
  })

  test('a list', async () => {
    const path = '/~/me/kinds/steps'
    assert.equal((await ask('PUT', path, as('list'), '["boil","pour"]')).status, 201)
    const edits = [{ op: 'add', path: '/1', value: 'wait' }, { op: 'move', from: '/0', path: '/2' }, { op: 'add', path: '/-', value: 'drink' }]
    const patched = await ask('PATCH', path, PATCH, JSON.stringify(edits))
    assert.deepEqual([patched.status, patched.headers['merge-type']], [200, 'list'])
    assert.deepEqual(await value(path), ['wait', 'pour', 'boil', 'drink'])
    assert.equal((await put(`${path}/0`, 'breathe')).status, 200)
    assert.equal((await ask('DELETE', `${path}/2`)).status, 204)
    assert.equal(await value(`${path}/1`), 'pour')
    assert.deepEqual((await value(`${path}/?values=1`)).items.map((item) => [item.key, item.value]), [['0', 'breathe'], ['1', 'pour'], ['2', 'drink']])
    const wrong = await ask('PATCH', path, PATCH, '[{"op":"remove","path":"/9"}]')
    assert.equal(wrong.status, 422)
  })

  test('every kind inside one object, told apart by listings and the feed', async () => {
    const folder = '/~/me/kinds-together'
    await ask('PUT', `${folder}/n`, as('counter'), '1')
    await ask('PUT', `${folder}/s`, as('set'), '[1]')
    await ask('PUT', `${folder}/m`, as('mv'), '{"whole":1}')
    await put(`${folder}/p`, 'plain')
    assert.deepEqual(await value(folder), { n: 1, s: [1], m: { whole: 1 }, p: 'plain' })
    await put(folder, { n: 4, s: [1, 2], m: { whole: 2 }, p: 'plain' })
    assert.deepEqual((await value(`${folder}/`)).items.map(({ key, kind }) => [key, kind]), [['m', 'mv'], ['n', 'counter'], ['p', undefined], ['s', 'set']])
    assert.deepEqual(await value(folder), { n: 4, s: [1, 2], m: { whole: 2 }, p: 'plain' })
    const changes = (await value('/~/me/$changes')).items.filter(({ path }) => path.startsWith('kinds-together/'))
    assert.deepEqual([...new Set(changes.map(({ path, merge }) => `${path} ${merge}`))].filter((line) => !line.includes('/s')).sort(), ['kinds-together/m mv', 'kinds-together/n counter', 'kinds-together/p undefined'])
  })

  test('subscribers follow every kind', async () => {
    const path = '/~/me/kinds-live/n'
    await ask('PUT', path, as('counter'), '1')
    await world.page.evaluate((at) => {
      window.counted = window.follow(at)
    }, path)
    await world.page.waitFor(() => window.counted.text.includes('Merge-Type: counter'), { what: 'the first frame' })
    await ask('PATCH', path, COUNTER, '41')
    await world.page.waitFor(() => window.counted.text.includes('\r\n\r\n42'), { what: 'the sum to arrive' })
    await world.page.evaluate(() => window.counted.close())
  })

  test('policies say how new values are merged', async () => {
    const set = await ask('PUT', '/~/me/$policy/votes', JSON_TYPE, '{"kind":"counter","retention":{"history":"30d"}}')
    assert.equal(set.status, 201)
    assert.equal((await put('/~/me/votes/tea', 3)).headers['merge-type'], 'counter')
    assert.equal((await put('/~/me/votes', { tea: 3, coffee: 2 })).status, 200)
    assert.equal((await ask('GET', '/~/me/votes/coffee')).headers['merge-type'], 'counter')
    assert.equal((await put('/~/me/votes/words', 'many')).status, 422)
    assert.equal((await ask('PUT', '/~/me/votes/words', as('lww'), '"many"')).status, 201)
    const { items } = await value('/~/me/$policy')
    assert.deepEqual(items.map(({ prefix, kind, tie, retention }) => ({ prefix, kind, tie, retention })), [{ prefix: 'votes', kind: 'counter', tie: 'latest', retention: { history: '30d' } }])
    assert.equal((await value('/~/me/$policy/votes')).kind, 'counter')
    assert.equal((await ask('DELETE', '/~/me/$policy/votes')).status, 204)
    assert.equal((await ask('GET', '/~/me/$policy/votes')).status, 404)
    assert.equal((await put('/~/me/votes/new', 1)).headers['merge-type'], 'lww')
  })

  test('the SDK reaches every kind', async () => {
    const seen = await world.page.evaluate(async () => {
      await window.kith.ready
      const space = window.kith.space()
      await space.put('sdk/m', { a: 1 }, { kind: 'mv' })
      await space.increment('sdk/n')
      await space.increment('sdk/n', 4)
      await space.add('sdk/s', 'x', 'y')
      await space.remove('sdk/s', 'x')
      await space.put('sdk/l', ['one'], { kind: 'list' })
      await space.patch('sdk/l', [{ op: 'add', path: '/0', value: 'zero' }])
      return { value: await space.get('sdk'), conflicts: await space.conflicts() }
    })
    assert.deepEqual(seen, { value: { m: { a: 1 }, n: 5, s: ['y'], l: ['zero', 'one'] }, conflicts: [] })
  })
})

describe('two people write at the same time', { skip: missing('chromium', 'firefox') }, () => {
  let relay, ada, ben, space
  before(async () => {
    relay = await startRelay()
    ada = await person('chromium', relay.url)
    ben = await person('firefox', relay.url)
    space = await together(ada, ben)
  })
  after(async () => {
    await ada?.close()
    await ben?.close()
    await relay?.kill()
  })

  const alike = (path, expected) =>
    waitFor(
      async () => {
        const [one, two] = await Promise.all([ada, ben].map(async (who) => (await who.ask('GET', path)).text))
        return one === two && (expected === undefined || one === JSON.stringify(expected)) && one
      },
      { what: `both to show ${JSON.stringify(expected) ?? 'the same'} at ${path}`, timeout: NETWORK_MS },
    )

  it('counts, sets and lists keep what both did', async () => {
    const at = (name) => `/~/${space}/shared/${name}`
    await ada.ask('PUT', at('count'), 10, { 'Merge-Type': 'counter' })
    await ada.ask('PUT', at('tags'), ['a', 'b'], { 'Merge-Type': 'set' })
    await ada.ask('PUT', at('list'), ['<', '>'], { 'Merge-Type': 'list' })
    for (const name of ['count', 'tags', 'list']) await alike(at(name))
    await Promise.all(
      [ada, ben].map(async (who, n) => {
        for (let round = 0; round < 5; round++) {
          await who.ask('PATCH', at('count'), n + 1, COUNTER)
          await who.ask('PATCH', at('list'), [{ op: 'add', path: `/${round + 1}`, value: `${n}${round}` }], PATCH)
        }
        await who.ask('PATCH', at('tags'), n === 0 ? { remove: ['a'] } : { add: ['c'] }, SET)
      }),
    )
    await alike(at('count'), 25)
    await alike(at('tags'), ['b', 'c'])
    const list = JSON.parse(await alike(at('list')))
    assert.equal(new Set(list).size, 12)
    assert.deepEqual([list[0], list[11]], ['<', '>'])
  })

  it('a conflict is seen by both and settled by a write that has seen it', async () => {
    const path = `/~/${space}/plan`
    await ada.ask('PUT', path, 'first', { 'Merge-Type': 'mv' })
    const seen = await waitFor(
      async () => {
        const answer = await ben.ask('GET', path)
        return answer.status === 200 && answer.headers.version
      },
      { what: 'ben to see the plan', timeout: NETWORK_MS },
    )
    // Both say that the first one is what they had seen, so neither replaces the other's.
    await ada.ask('PUT', path, 'by ada', { Parents: seen })
    await ben.ask('PUT', path, 'by ben', { Parents: seen })
    const conflict = await waitFor(
      async () => {
        const lists = await Promise.all([ada, ben].map(async (who) => (await who.ask('GET', `/~/${space}/$conflicts`)).json.items))
        return lists.every(({ length }) => length === 1) && JSON.stringify(lists[0]) === JSON.stringify(lists[1]) && lists[0][0]
      },
      { what: 'both to list the conflict', timeout: NETWORK_MS },
    )
    assert.equal(conflict.path, 'plan')
    assert.deepEqual(conflict.values.map(({ value }) => value).sort(), ['by ada', 'by ben'])
    assert.equal(conflict.winner, conflict.values[0].version)
    const shown = await ada.ask('GET', path)
    assert.deepEqual([shown.json, shown.headers['merge-type']], [conflict.values[0].value, 'mv'])
    const other = await ada.ask('GET', `${path}?version=${shown.headers.conflicts.replaceAll('"', '')}`)
    assert.equal(other.json, conflict.values[1].value)
    await ada.ask('PUT', path, 'settled', { Parents: shown.headers.version })
    await alike(path, 'settled')
    for (const who of [ada, ben]) assert.deepEqual((await who.ask('GET', `/~/${space}/$conflicts`)).json.items, [])
  })

  it('only owners set policies', async () => {
    const set = (who) => who.ask('PUT', `/~/${space}/$policy/notes`, { kind: 'mv', tie: 'first' })
    assert.equal((await set(ben)).status, 403)
    assert.equal((await set(ada)).status, 201)
    await waitFor(async () => (await ben.ask('GET', `/~/${space}/$policy/notes`)).json?.tie === 'first', { what: 'ben to have the policy', timeout: NETWORK_MS })
    assert.equal((await ben.ask('PUT', `/~/${space}/notes/1`, 'x')).headers['merge-type'], 'mv')
  })
})
