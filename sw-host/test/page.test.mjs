// The page's side where no browser is needed: paths, landings, relays, the shell's list, problems.
import assert from 'node:assert/strict'
import { test } from 'node:test'
import { load } from './load.mjs'

test('paths become URLs, keys stay keys', async () => {
  const { encodePath } = await load('page/space.ts')
  assert.equal(encodePath('notes/1/title'), 'notes/1/title')
  assert.equal(encodePath('/notes/'), 'notes/')
  assert.equal(encodePath('caf\u00e9 & co/50%'), 'caf%C3%A9%20%26%20co/50%25')
  assert.equal(encodePath(['a/b', 'c']), 'a%2Fb/c')
})

test('an invite lands in its app with the space, and never on another origin', async () => {
  const { landing } = await load('page/invite.ts')
  const here = 'https://a.example/'
  const to = (app, from = here) => landing({ space: 's1', role: 'writer', app }, from)
  assert.equal(to('/board/'), 'https://a.example/board/?space=s1')
  assert.equal(to('/board/?view=list'), 'https://a.example/board/?view=list&space=s1')
  assert.equal(to('/board/', 'https://a.example/board/?space=s1'), undefined)
  assert.equal(to('/board/', 'https://a.example/board/'), 'https://a.example/board/?space=s1')
  for (const app of ['//evil.example/', 'https://evil.example/', 'javascript:alert(1)', '/\\evil.example']) assert.equal(to(app), undefined, app)
})

test('a relay is taken at its word only where the word is an address', async () => {
  const { relayAddrs } = await load('page/relays.ts')
  assert.deepEqual(relayAddrs({ addrs: ['/dns/r/tcp/1/ws/p2p/x', '/dns/r/tcp/1/ws', 7] }), ['/dns/r/tcp/1/ws/p2p/x'])
  for (const bad of [null, 'x', {}, { addrs: 'x' }]) assert.deepEqual(relayAddrs(bad), [])
})

test('a problem survives the trip', async () => {
  const { KithError, problem, problemOf, problemResponse } = await load('shared/problem.ts')
  const sent = problem('too-large', 413, 'Smaller, please.', { limit: 5 })
  const read = await problemOf(problemResponse(sent))
  assert.deepEqual(read, sent)
  const error = new KithError(read)
  assert.equal(error.message, 'Smaller, please.')
  assert.equal(error.problem.limit, 5)
  assert.equal((await problemOf(new Response('<html>', { status: 502, statusText: 'Bad Gateway' }))).status, 502)
  assert.equal((await problemOf(new Response('[', { status: 500, headers: { 'content-type': 'application/json' } }))).status, 500)
})

test('kill switch: only its exact word', async () => {
  const { killSwitch } = await load('page/uninstall.ts')
  assert.deepEqual(killSwitch('?kith=unregister'), { wipe: false })
  assert.deepEqual(killSwitch('?x=1&kith=unregister&wipe=1'), { wipe: true })
  for (const other of ['', '?kith', '?kith=on', '?unregister']) assert.equal(killSwitch(other), undefined)
})
