import assert from 'node:assert/strict'
import { test } from 'node:test'
import { hopeless, stays, waitFor, within } from './wait.mjs'

test('waitFor gives the first truthy value', async () => {
  let calls = 0
  assert.equal(await waitFor(() => (++calls === 3 ? 'there' : undefined), { every: 1 }), 'there')
})

test('waitFor says what did not come, and why', async () => {
  const probe = () => {
    throw new Error('no such row')
  }
  await assert.rejects(waitFor(probe, { what: 'the row', timeout: 20, every: 1 }), /waited 20 ms for the row, in vain; last error: no such row/)
})

test('waitFor gives up at once on what is hopeless', async () => {
  const began = Date.now()
  const probe = () => {
    throw hopeless('the relay is gone')
  }
  await assert.rejects(waitFor(probe, { timeout: 5000 }), /the relay is gone/)
  assert.ok(Date.now() - began < 1000)
})

test('waitFor keeps its deadline when the probe itself hangs', async () => {
  await assert.rejects(waitFor(() => new Promise(() => {}), { what: 'an answer', timeout: 30 }), /waited 30 ms for an answer/)
})

test('within and stays end in errors that name what was late or lost', async () => {
  await assert.rejects(within(new Promise(() => {}), 10, 'the load event'), /no load event within 10 ms/)
  let calls = 0
  await assert.rejects(stays(() => ++calls < 3, { what: 'the link', ms: 500, every: 1 }), /the link was no longer true/)
})
