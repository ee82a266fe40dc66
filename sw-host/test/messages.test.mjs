// The message map: what we say is read back, what others say is left alone.
import assert from 'node:assert/strict'
import { test } from 'node:test'
import { load } from './load.mjs'

const { PROTOCOL, wire, protocolOf, readPageMessage, readAnnouncement, readWelcome } = await load('shared/messages.ts')

test('every message of a page is read back', () => {
  for (const message of [
    { type: 'hello', release: '1' },
    { type: 'claim' },
    { type: 'reconnect' },
    { type: 'relays', source: 'https://r.example', addrs: ['/dns/r.example/tcp/443/tls/ws/p2p/x'] },
    { type: 'carrier' },
    { type: 'carrier-gone' },
    { type: 'environment', persisted: true },
    { type: 'take-over' },
    { type: 'shutdown' },
  ]) {
    assert.deepEqual(readPageMessage(wire(message)), { ...message, kith: PROTOCOL })
  }
})

test("an author's own messages and malformed ones are none of ours", () => {
  for (const data of [undefined, null, 'hello', 7, {}, { type: 'hello' }, { type: 'SKIP_WAITING' }, { kith: '1', type: 'hello' }]) assert.equal(protocolOf(data), undefined)
  for (const message of [{ type: 'hello' }, { type: 'relays', source: 'x', addrs: [1] }, { type: 'environment' }, { type: 'unknown' }]) assert.equal(readPageMessage(wire(message)), undefined)
  assert.equal(readPageMessage({ kith: PROTOCOL + 1, type: 'claim' }), undefined)
})

test('announcements and welcomes are read back, also a welcome of another protocol', () => {
  assert.equal(readAnnouncement(wire({ type: 'yield', instance: 'x' })).type, 'yield')
  assert.equal(readAnnouncement(wire({ type: 'yield' })), undefined)
  for (const type of ['make-way', 'taking-over']) {
    const message = wire({ type, instance: 'x', scope: 'https://a.example/' })
    assert.deepEqual(readAnnouncement(message), message)
    assert.equal(readAnnouncement(wire({ type, instance: 'x' })), undefined)
  }
  const welcome = { type: 'welcome', instance: 'x', release: '2', embedded: false }
  assert.equal(readWelcome(wire(welcome)).release, '2')
  assert.equal(readWelcome({ ...welcome, kith: 99 }).release, '2')
  assert.equal(readWelcome({ kith: 1, type: 'closed' }), undefined)
})
