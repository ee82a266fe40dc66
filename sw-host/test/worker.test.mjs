// The worker's rules that need no browser: leaving together, body limits, the shell's list, relays.
import assert from 'node:assert/strict'
import { test } from 'node:test'
import { load } from './load.mjs'

const later = (ms, value) => new Promise((resolve) => setTimeout(resolve, ms, value))

test('answers leave as they come, unless the worker is to be replaced: then together', async () => {
  const { LeaveTogether, TOGETHER_MS } = await load('worker/leave-together.ts')
  let replaced = false
  let together = 0
  const gate = new LeaveTogether({ replaced: () => replaced, due: () => { together++; return false }, say: () => assert.fail('no word is due') })
  const order = []
  const pass = (name, ms) => gate.pass(later(ms)).then(() => order.push(name))
  await Promise.all([pass('slow', 30), pass('quick', 1)])
  assert.deepEqual(order, ['quick', 'slow'])
  assert.equal(together, 0)

  replaced = true
  order.length = 0
  const began = performance.now()
  await Promise.all([pass('quick', 1), pass('slow', 60), pass('failed', 1)])
  assert.equal(together, 1, 'one idle moment')
  assert.ok(performance.now() - began < TOGETHER_MS, 'nobody waited for the deadline')
  // Something that never ends holds the others up only for a while.
  void gate.pass(new Promise(() => undefined))
  await pass('patient', 1)
  assert.equal(order.at(-1), 'patient')
  await assert.rejects(gate.pass(Promise.reject(new Error('no'))), /no/)
})

test('when the word is due, answers are held back, so that all who wait for one are still, until it was heard', async (t) => {
  const { LeaveTogether, GATHER_MS, TOGETHER_MS } = await load('worker/leave-together.ts')
  t.mock.timers.enable({ apis: ['setTimeout'] })
  const settle = () => new Promise((resolve) => setImmediate(resolve))
  let due = true
  let heard
  let words = 0
  const say = () => { words++; due = false; return new Promise((resolve) => { heard = resolve }) }
  const gate = new LeaveTogether({ replaced: () => true, due: () => due, say })
  const left = []
  const pass = (name, work = Promise.resolve()) => void gate.pass(work).then(() => left.push(name))
  pass('first')
  await settle()
  t.mock.timers.tick(GATHER_MS - 1)
  let finish
  pass('late', new Promise((resolve) => { finish = resolve }))
  t.mock.timers.tick(1)
  await settle()
  assert.equal(words, 0, 'something is under way')
  finish()
  await settle()
  assert.equal(words, 1)
  pass('later')
  await settle()
  assert.deepEqual(left, [], 'the word was not heard yet')
  heard()
  await settle()
  assert.deepEqual(left, ['first', 'late', 'later'])
  pass('after')
  await settle()
  assert.equal(left.at(-1), 'after', 'no word is due any more')

  // One that is never heard, and work that never ends, hold nobody up for long.
  due = true
  pass('held')
  await settle()
  t.mock.timers.tick(GATHER_MS)
  assert.equal(words, 2)
  t.mock.timers.tick(TOGETHER_MS)
  await settle()
  assert.equal(left.at(-1), 'held')
  due = true
  pass('never', new Promise(() => undefined))
  pass('beside it')
  await settle()
  t.mock.timers.tick(TOGETHER_MS)
  await settle()
  assert.equal(left.at(-1), 'beside it')
  assert.equal(words, 2)
})

test('a body above the limit is refused before it is all read', async () => {
  const { requestBody, BODY_LIMIT } = await load('worker/request-body.ts')
  const ask = (body) => requestBody(new Request('https://a.example/~/me/x', { method: 'PUT', body, duplex: 'half' }))
  assert.equal((await ask(new Uint8Array(BODY_LIMIT))).byteLength, BODY_LIMIT)
  let given = 0
  const endless = new ReadableStream({ pull(controller) { given += 65_536; controller.enqueue(new Uint8Array(65_536)) } })
  await assert.rejects(ask(endless), ({ status, problem }) => status === 413 && problem.limit === BODY_LIMIT)
  assert.ok(given < 2 * BODY_LIMIT, `${given} bytes were taken`)
  assert.equal(await requestBody(new Request('https://a.example/', { method: 'GET' })), undefined)
})

test('a file is handed on in small pieces, whatever pieces it comes in, and no further than it is wanted', async () => {
  const { comesInPieces, pieces, takeIn, PIECE } = await load('worker/upload-body.ts')
  const post = (body) => new Request('https://a.example/~/import', { method: 'POST', body, duplex: 'half' })
  assert.ok(comesInPieces(post('x')))
  assert.ok(!comesInPieces(new Request('https://a.example/~/me/import', { method: 'POST', body: 'x' })))
  const sizes = []
  for await (const piece of pieces(post(new Uint8Array(2 * PIECE + 5)))) sizes.push(piece.byteLength)
  assert.equal(sizes.reduce((sum, size) => sum + size, 0), 2 * PIECE + 5)
  assert.ok(Math.max(...sizes) <= PIECE)
  let given = 0
  let cancelled = false
  const endless = new ReadableStream({
    pull(controller) {
      given += 1
      controller.enqueue(new Uint8Array(3 * PIECE))
    },
    cancel() {
      cancelled = true
    },
  })
  const handed = []
  const peer = {
    openUpload: () => 7,
    upload: async (upload, bytes) => handed.push([upload, bytes.byteLength]) < 4,
    finishUpload: () => ({ status: 200, statusText: 'OK', headers: [], body: new TextEncoder().encode('done') }),
    cancelUpload: () => assert.fail('nothing went wrong'),
  }
  const host = { openSoon: async () => ({ peer, dead: false, unlessDead: (promise) => promise }) }
  const answer = await takeIn(post(endless), host)
  assert.deepEqual([answer.status, await answer.text(), cancelled], [200, 'done', true])
  assert.deepEqual(handed, Array.from({ length: 4 }, () => [7, PIECE]))
  assert.ok(given < 6, `${given} chunks were read`)
  const refusing = { ...peer, openUpload: () => ({ status: 403, statusText: 'no', headers: [] }) }
  const refused = await takeIn(post('x'), { openSoon: async () => ({ peer: refusing, dead: false, unlessDead: (promise) => promise }) })
  assert.equal(refused.status, 403)
})

test('a shell list names files of this origin, and nothing of ours', async () => {
  const { parseShellList, SHELL_FILES } = await load('worker/page-shell.ts')
  const parse = (value) => parseShellList(value, 'https://a.example/app/shell.json')
  const list = parse({ release: '1.2', files: { '/': 'aa', 'part.js': 'bb', 'https://b.example/x': 'cc', '/~/me/x': 'dd' } })
  assert.deepEqual([...list.files], [['https://a.example/', 'aa'], ['https://a.example/app/part.js', 'bb']])
  assert.deepEqual([...parse({ release: '1', files: ['/a'] }).files], [['https://a.example/a', undefined]])
  assert.equal(parse({ release: '1', files: Array.from({ length: SHELL_FILES + 9 }, (_, n) => `/${n}`) }).files.size, SHELL_FILES)
  for (const bad of [null, [], {}, { release: 1, files: [] }, { release: '../x', files: [] }, { release: '1' }]) assert.equal(parse(bad), undefined)
})

test('the word to take over is given once, after a moment in which nothing came; among events without pause it is due for answers held back', async (t) => {
  const { Replacement, QUIET_MS, RESTLESS_MS, AGAIN_MS } = await load('worker/replacement.ts')
  t.mock.timers.enable({ apis: ['setTimeout', 'Date'], now: 1_000_000 })
  let waits = false
  let words = 0
  const make = () => new Replacement(() => waits, () => Promise.resolve(words++))
  const calm = make()
  calm.came()
  t.mock.timers.tick(QUIET_MS)
  assert.equal(words, 0, 'nobody waits')
  waits = true
  let finish
  calm.came(new Promise((resolve) => { finish = resolve }))
  t.mock.timers.tick(QUIET_MS * 4)
  assert.equal(words, 0, 'something is under way')
  finish()
  await new Promise((resolve) => setImmediate(resolve))
  t.mock.timers.tick(QUIET_MS - 1)
  calm.came()
  t.mock.timers.tick(QUIET_MS - 1)
  assert.equal(words, 0, 'something came meanwhile')
  t.mock.timers.tick(1)
  assert.equal(words, 1)
  calm.came()
  t.mock.timers.tick(QUIET_MS)
  assert.equal(words, 1, 'not again so soon')
  t.mock.timers.tick(AGAIN_MS)
  calm.came()
  t.mock.timers.tick(QUIET_MS)
  assert.equal(words, 2)

  const restless = make()
  for (let ms = 0; ms < RESTLESS_MS; ms += 100) {
    restless.came()
    assert.ok(!restless.due(), `after ${ms} ms`)
    t.mock.timers.tick(100)
  }
  assert.equal(words, 2)
  assert.ok(restless.due())
  void restless.say()
  assert.equal(words, 3)
  t.mock.timers.tick(QUIET_MS)
  assert.equal(words, 3, 'the quiet moment is too soon after it')
  assert.ok(!restless.due(), 'not again so soon')
  t.mock.timers.tick(AGAIN_MS)
  assert.ok(restless.due())
  waits = false
  assert.ok(!restless.due(), 'nobody waits any more')
  restless.came()
  waits = true
  restless.came()
  assert.ok(!restless.due(), 'for the next one, anew')
})
