// What a person is told of a space, for every state it can be in.
import assert from 'node:assert/strict'
import { it } from 'node:test'
import { connectionWords, spaceWords } from '../shared/words.js'

const said = (space) => spaceWords({ id: 'x', state: 'ready', members: 2, peers: 1, pending: 0, arriving: 0, ...space }).text

it('says of a space where it stands, and never that it is in step while some of it is still to come', () => {
  assert.equal(said({}), 'In step with 1 other')
  assert.equal(said({ peers: 2, arriving: 143 }), 'Receiving from 2 others')
  assert.equal(said({ state: 'joining', peers: 0 }), 'Joining: waiting for who invited you')
  assert.equal(said({ state: 'joining', peers: 0, arriving: 156 }), 'Receiving')
  assert.equal(said({ peers: 0, pending: 3 }), '3 changes only on this device')
  assert.equal(said({ peers: 0, members: 1 }), 'Nobody else is in it yet')
  assert.equal(said({ peers: 0 }), 'Stored by others too')
  assert.equal(said({ me: true }), 'Only on this device')
})

it('counts the people it is connected to, not the links to them', () => {
  const connected = (...links) => connectionWords({ links: links.map(([peer, path]) => ({ peer, path, state: 'syncing' })) }).text
  assert.equal(connected(['a', 'webrtc']), 'Direct to 1 other')
  assert.equal(connected(['a', 'relay'], ['a', 'webrtc']), 'Direct to 1 other')
  assert.equal(connected(['a', 'relay'], ['b', 'webrtc'], ['a', 'relay']), '1 direct, 1 via relay')
  assert.equal(connected(['a', 'relay'], ['b', 'relay']), 'Via relay to 2 others')
})
