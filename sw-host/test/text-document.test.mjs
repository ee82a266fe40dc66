// Open texts against the reference server: many editors at once, a worker that dies, answers that are lost.
import assert from 'node:assert/strict'
import { afterEach, test } from 'node:test'
import { load } from './load.mjs'
import { random } from './text/random.mjs'
import { TextServer } from './text/server.mjs'

const { openSpace } = await load('page/space.ts')
const connection = { control: async () => undefined }
const space = openSpace('me', connection)
let server
let open = []
const realFetch = globalThis.fetch

function start() {
  server = new TextServer()
  globalThis.fetch = server.fetch
  return server
}
function text(path = 'plan', options) {
  const doc = space.text(path, options)
  open.push(doc)
  return doc
}
afterEach(async () => {
  server.fault = async () => undefined
  await Promise.all(open.map((doc) => doc.close()))
  open = []
  globalThis.fetch = realFetch
})
/** Resolves once something is so, looked at whenever the document tells something. */
const until = (doc, condition) =>
  new Promise((resolve) => {
    const look = () => condition() && (offs.forEach((off) => off()), resolve())
    const offs = ['change', 'saved', 'cursors', 'problem'].map((type) => doc.on(type, look))
    look()
  })
const settled = (docs) => Promise.all(docs.map((doc) => doc.saved())).then(() => Promise.all(docs.map((doc) => until(doc, () => doc.value === server.texts.get('/~/me/plan').value))))

test('the first edit makes the text, a second editor finds it', async () => {
  start()
  const one = text()
  await one.ready
  assert.deepEqual([one.value, one.exists, one.isSaved], ['', false, true])
  one.edit([{ from: 0, to: 0, insert: 'Hello 😀' }])
  assert.equal(one.value, 'Hello 😀')
  assert.equal(one.isSaved, false)
  await one.saved()
  const two = text()
  await two.ready
  assert.deepEqual([two.value, two.exists], ['Hello 😀', true])
  two.edit([{ from: 8, to: 8, insert: '!' }, { from: 0, to: 5, insert: 'Bye' }])
  await until(one, () => one.value === 'Bye 😀!')
  assert.deepEqual(one.version, two.version)
  assert.equal(server.texts.get('/~/me/plan').value, 'Bye 😀!')
})

test('what was typed before the text is here comes after it', async () => {
  start()
  const one = text()
  one.edit([{ from: 0, to: 0, insert: 'first' }])
  await one.saved()
  const two = text()
  two.edit([{ from: 0, to: 0, insert: ' second' }])
  assert.equal(two.value, ' second')
  await settled([one, two])
  assert.equal(one.value, 'first second')
})

test('replacing changes no more than what differs', async () => {
  start()
  const [one, two] = [text(), text()]
  one.edit([{ from: 0, to: 0, insert: 'one two three' }])
  await settled([one])
  await until(two, () => two.value === one.value)
  const seen = []
  two.on('change', (change) => seen.push(change))
  one.replace('One two three!', 'editor')
  await until(two, () => two.value === 'One two three!')
  assert.deepEqual(seen.flatMap(({ splices }) => splices), [{ from: 0, to: 1, insert: 'O' }, { from: 13, to: 13, insert: '!' }])
  assert.ok(seen.every(({ remote }) => remote))
})

test('an edit that does not fit changes nothing', async () => {
  start()
  const doc = text()
  doc.edit([{ from: 0, to: 0, insert: 'abc' }])
  assert.throws(() => doc.edit([{ from: 2, to: 9, insert: '' }]), RangeError)
  assert.equal(doc.value, 'abc')
  doc.edit([{ from: 1, to: 1, insert: '\ud83d' }])
  assert.equal(doc.value, 'a\ufffdbc', 'no half characters')
  await settled([doc])
})

for (const [name, faults] of [
  ['on a calm day', {}],
  ['while requests overtake each other', { slow: true }],
  ['while the worker dies and answers are lost', { slow: true, lose: 0.08, kill: 0.03 }],
]) {
  test(`five editors typing at once end with the same text ${name}`, async (t) => {
    const had = { killed: 0, lost: 0, crossed: 0 }
    for (let seed = 1; seed <= 6; seed++) {
      start()
      const dice = random(seed)
      // A clock that leaps: now and then a change is sent at once, behind another that has no answer yet.
      let clock = 0
      t.mock.method(performance, 'now', () => (clock += dice.below(400)))
      server.fault = async (stage, { method, headers }) => {
        if (faults.slow) for (let turns = dice.below(4); turns > 0; turns--) await new Promise((resolve) => setImmediate(resolve))
        if (faults.kill && dice.next() < faults.kill) {
          had.killed++
          server.kill()
        }
        if (stage === 'arrive' && method === 'PUT' && docs.some((doc) => headers.get('peer') === doc.client && doc.version.join() !== headers.get('version')?.replaceAll('"', ''))) had.crossed++
        // Before it is stored, or after: the editor cannot tell.
        if (faults.lose && dice.next() < faults.lose && (method === 'PUT' || stage === 'arrive') && !String(headers.get('accept')).includes('cursors')) {
          had.lost++
          throw new TypeError('network error')
        }
      }
      const docs = Array.from({ length: 5 }, () => text())
      const typed = docs.map(() => 0)
      for (let round = 0; round < 60; round++) {
        for (const [n, doc] of docs.entries()) {
          if (dice.below(3) > 0) continue
          const change = dice.change(doc.value)
          typed[n] += change.length
          doc.edit(change)
        }
        for (let turns = dice.below(6); turns > 0; turns--) await new Promise((resolve) => setImmediate(resolve))
        if (dice.below(6) === 0) await new Promise((resolve) => setTimeout(resolve, dice.below(20)))
      }
      server.fault = async () => undefined
      await settled(docs)
      for (const doc of docs) {
        assert.equal(doc.value, docs[0].value, `seed ${seed}`)
        assert.equal(doc.problem, undefined)
      }
      await Promise.all(docs.map((doc) => doc.close()))
      open = []
      t.mock.restoreAll()
    }
    t.diagnostic(JSON.stringify(had))
    if (faults.kill) assert.ok(had.killed >= 6 && had.lost >= 6, 'the faults happened')
    if (faults.slow) assert.ok(had.crossed >= 20, 'changes crossed')
  })
}

test('each change arrives as what it did: applying them gives the text', async () => {
  start()
  const dice = random(9)
  const [writer, reader, other] = [text(), text(), text()]
  let copy = ''
  reader.on('change', ({ splices }) => {
    for (const { from, to, insert } of [...splices].reverse()) copy = copy.slice(0, from) + insert + copy.slice(to)
  })
  for (let round = 0; round < 60; round++) {
    for (const doc of [writer, reader, other]) if (dice.below(2)) doc.edit(dice.change(doc.value))
    for (let turns = dice.below(6); turns > 0; turns--) await new Promise((resolve) => setImmediate(resolve))
    assert.equal(copy, reader.value)
  }
  await settled([writer, reader, other])
  assert.equal(copy, reader.value)
})

test('sends gather: never more than ten on their way, and not one for each key', async () => {
  start()
  let under = 0
  let most = 0
  let puts = 0
  const doc = text()
  doc.edit([{ from: 0, to: 0, insert: '.' }])
  await doc.saved()
  server.fault = async (stage, { method }) => {
    if (method !== 'PUT') return
    if (stage === 'arrive') puts++
    most = Math.max(most, (under += stage === 'arrive' ? 1 : -1))
    await new Promise((resolve) => setImmediate(resolve))
  }
  for (let n = 0; n < 300; n++) {
    doc.edit([{ from: n, to: n, insert: 'x' }])
    await new Promise((resolve) => setImmediate(resolve))
  }
  await doc.saved()
  assert.equal(server.texts.get('/~/me/plan').value, `${'x'.repeat(300)}.`)
  assert.ok(most <= 10 && puts < 100, `${most} at once, ${puts} in all`)
})

test('a peer that lost the history is met with what is here', async () => {
  start()
  const [one, two] = [text(), text()]
  one.edit([{ from: 0, to: 0, insert: 'kept by the peer. ' }])
  await settled([one])
  await until(two, () => two.value === one.value)
  // The text stays, its versions are forgotten, as after history was dropped.
  const stored = server.texts.get('/~/me/plan')
  server.kill()
  server.fault = async (_, { method }) => {
    if (method === 'PUT') throw new TypeError('network error')
  }
  one.edit([{ from: one.value.length, to: one.value.length, insert: 'typed meanwhile' }])
  server.texts.clear()
  const fresh = { method: 'PUT', headers: { 'content-type': 'text/plain', 'merge-type': 'simpleton' }, body: `${stored.value}and more. ` }
  server.handle({ url: '/~/me/plan', query: new URLSearchParams(), method: 'PUT', headers: new Headers(fresh.headers), body: new TextEncoder().encode(fresh.body) })
  server.fault = async () => undefined
  await settled([one, two])
  assert.equal(one.value, 'kept by the peer. and more. typed meanwhile')
  assert.equal(two.value, one.value)
})

test('a refusal is told, and what was typed stays on screen', async () => {
  start()
  const doc = text()
  await doc.ready
  doc.edit([{ from: 0, to: 0, insert: 'a' }])
  await doc.saved()
  const handle = server.handle.bind(server)
  server.handle = (request) =>
    request.method === 'PUT' ? new Response('{"type":"urn:kith:problem:forbidden","title":"You have no right to do this","status":403,"detail":"You may only read here."}', { status: 403, headers: { 'kith-worker': 'test', 'content-type': 'application/problem+json' } }) : handle(request)
  const told = new Promise((resolve) => doc.on('problem', resolve))
  doc.edit([{ from: 1, to: 1, insert: 'b' }])
  assert.equal((await told).message, 'You may only read here.')
  assert.equal(doc.value, 'ab')
  assert.equal(doc.problem.status, 403)
  await doc.close()
})

test('what is no text is said to be none', async () => {
  start()
  server.subscribe = () => {
    const stream = server.open('/~/me/plan')
    stream.send({ version: ['a-1'], parents: [], body: '{}', media: 'application/json' })
    return stream.response
  }
  await assert.rejects(text().ready, { name: 'KithError', type: 'urn:kith:problem:not-a-text' })
})

test('cursors appear, move with the text, carry names, and go with their owner', async () => {
  start()
  const [ada, ben] = [text('plan', { name: 'Ada' }), text('plan', { name: 'Ben' })]
  ada.edit([{ from: 0, to: 0, insert: 'a😀b' }])
  await settled([ada])
  await until(ben, () => ben.value === 'a😀b')
  ben.on('cursors', () => undefined)
  ada.cursor(3, 4)
  await until(ben, () => ben.cursors.length === 1)
  assert.deepEqual(ben.cursors, [{ client: ada.client, name: 'Ada', from: 3, to: 4 }])
  assert.deepEqual([...server.cursors.get('/~/me/plan').values()], [[{ from: 2, to: 3, name: 'Ada' }]], 'code points on the wire')
  ben.edit([{ from: 0, to: 0, insert: '👋' }])
  assert.deepEqual(ben.cursors.map(({ from, to }) => [from, to]), [[5, 6]])
  ada.rename('Ada L.')
  await until(ben, () => ben.cursors[0]?.name === 'Ada L.')
  // The worker dies: everybody tells again.
  server.kill()
  await until(ben, () => ben.cursors[0]?.name === 'Ada L.' && server.cursors.get('/~/me/plan')?.size === 1)
  ada.cursor(undefined)
  await until(ben, () => ben.cursors.length === 0)
  ada.cursor(1)
  await until(ben, () => ben.cursors.length === 1)
  await ada.close()
  await until(ben, () => ben.cursors.length === 0)
})

test('remote changes can be read one by one', async () => {
  start()
  const [one, two] = [text(), text()]
  const seen = (async () => {
    for await (const { splices } of two) if (two.value.endsWith('.')) return splices
  })()
  one.edit([{ from: 0, to: 0, insert: 'Done.' }])
  assert.deepEqual(await seen, [{ from: 0, to: 0, insert: 'Done.' }])
})

test('a closed text has stored everything and holds nothing open', async () => {
  start()
  const doc = text()
  doc.edit([{ from: 0, to: 0, insert: 'kept' }])
  await doc.close()
  assert.equal(server.texts.get('/~/me/plan').value, 'kept')
  assert.equal(server.streams.size, 0)
})

test('frames of a text: whole, in ranges, without a change, gone, and none of its own', async () => {
  const { readFrame } = await load('page/text/wire.ts')
  const { FrameReader } = await load('shared/multiresponse.ts')
  const read = (text) => new FrameReader().push(new TextEncoder().encode(text)).map(readFrame)[0]
  const whole = read('HTTP 200 OK\r\nVersion: "b-1", "a-2"\r\nParents: \r\nContent-Type: text/plain\r\nContent-Length: 4\r\n\r\n\ufeffx\r\n\r\n')
  assert.deepEqual([whole.text, whole.patches, whole.version, whole.parents], ['\ufeffx', undefined, ['b-1', 'a-2'], []])
  assert.deepEqual(read('Version: "a-3"\r\nParents: "a-2"\r\nContent-Range: text [1:2]\r\nContent-Length: 2\r\n\r\né').patches, [{ from: 1, to: 2, insert: 'é' }])
  assert.deepEqual(read('Version: "a-3"\r\nParents: "a-2"\r\nPatches: 0\r\n\r\n').patches, [], 'the text stays as it is')
  assert.equal(read('HTTP 404 Not Found\r\nVersion: "a-3"\r\nContent-Length: 0\r\n\r\n').gone, true)
  assert.equal(read('HTTP 200 OK\r\nContent-Length: 0\r\n\r\n').empty, true)
  assert.throws(() => read('Version: "a-3"\r\nContent-Range: json .a\r\nContent-Length: 1\r\n\r\n1'), RangeError)
})
