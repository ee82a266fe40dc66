// Which requests the worker takes, and as what.
import assert from 'node:assert/strict'
import { test } from 'node:test'
import { load } from './load.mjs'

const { parseRequest } = await load('worker/parse-request.ts')
const place = { origin: 'https://a.example', scope: 'https://a.example/', shell: false }
const kind = (method, path, mode = 'cors', where = place) => parseRequest({ method, url: new URL(path, place.origin).href, mode }, where).kind

test('only /~/ of the own origin is taken', () => {
  for (const path of ['/', '/index.html', '/~', '/~me', '/a/~/me', 'https://b.example/~/me/x', '/kith.js']) assert.equal(kind('GET', path), 'foreign', path)
  for (const path of ['/~/', '/~/peer', '/~/me/a/b', '/~/me/a?x=1']) assert.equal(kind('GET', path), 'peer', path)
  for (const method of ['PUT', 'PATCH', 'DELETE', 'POST', 'OPTIONS', 'HEAD', 'QUERY']) assert.equal(kind(method, '/~/me/x'), 'peer', method)
})

test('a ping is answered by the worker itself, other methods there by the peer', () => {
  assert.equal(kind('POST', '/~/peer/ping'), 'ping')
  assert.equal(kind('GET', '/~/peer/ping'), 'peer')
})

test('multiplexing probes are answered anywhere', () => {
  assert.equal(kind('MULTIPLEX', '/.well-known/multiplexer/x'), 'multiplex')
  assert.equal(kind('MULTIPLEX', 'https://b.example/x'), 'foreign')
})

test('forms cannot write, links can read', () => {
  assert.equal(kind('POST', '/~/spaces', 'navigate'), 'form')
  assert.equal(kind('GET', '/~/me/photo', 'navigate'), 'peer')
})

test('the kill switch works on any page, but only as a page', () => {
  assert.deepEqual(parseRequest({ method: 'GET', url: 'https://a.example/any?kith=unregister', mode: 'navigate' }, place), { kind: 'kill', wipe: false })
  assert.deepEqual(parseRequest({ method: 'POST', url: 'https://a.example/?kith=unregister&wipe=1', mode: 'navigate' }, place), { kind: 'kill', wipe: true })
  assert.equal(kind('GET', '/any?kith=unregister'), 'foreign')
})

test('the keep-alive script lies inside the scope', () => {
  assert.equal(kind('GET', '/~/heartbeat.js', 'same-origin'), 'heartbeat')
  const part = { ...place, scope: 'https://a.example/app/' }
  assert.equal(kind('GET', '/app/~/heartbeat.js', 'same-origin', part), 'heartbeat')
  assert.equal(kind('GET', '/app/~/other.js', 'same-origin', part), 'foreign')
})

test('with a page shell, other reads are looked up in it', () => {
  const own = { ...place, shell: true }
  assert.equal(kind('GET', '/board/', 'navigate', own), 'shell')
  assert.equal(kind('POST', '/form', 'navigate', own), 'foreign')
  assert.equal(kind('GET', 'https://b.example/x', 'cors', own), 'foreign')
})
