// What a person is told of a space, for every state it can be in.
import assert from 'node:assert/strict'
import { it } from 'node:test'
import { spaceWords } from '../shared/words.js'

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
