// Messages of a data channel on their way to the worker: order, batches, limits.
import assert from 'node:assert/strict'
import { test } from 'node:test'
import { load } from './load.mjs'

const message = (first, length = 4) => new Uint8Array(length).fill(first).buffer
const turn = () => new Promise((resolve) => setTimeout(resolve, 0))

test('the first message goes at once, those behind it together, all in order', async () => {
  const { Arrivals } = await load('page/arrivals.ts')
  const handed = []
  const arrivals = new Arrivals((bytes) => handed.push([...new Uint8Array(bytes)]))
  arrivals.add(message(1, 2))
  assert.deepEqual(handed, [[1, 1]])
  arrivals.add(message(2, 1))
  arrivals.add(message(3, 2))
  assert.equal(handed.length, 1)
  while (handed.length === 1) await turn()
  assert.deepEqual(handed, [[1, 1], [2, 3, 3]])
  arrivals.add(message(4, 1))
  arrivals.end()
  assert.deepEqual(handed.at(-1), [4], 'nothing is held back at the end')
})

test('no batch is longer than the worker takes, and no message is cut', async () => {
  const { Arrivals } = await load('page/arrivals.ts')
  const { BATCH_BYTES } = await load('shared/carrier-messages.ts')
  const handed = []
  const arrivals = new Arrivals((bytes) => handed.push(bytes.byteLength))
  const piece = 16_000
  for (let n = 0; n < 30; n++) arrivals.add(message(n, piece))
  arrivals.end()
  assert.equal(handed.reduce((sum, bytes) => sum + bytes, 0), 30 * piece)
  assert.ok(handed.length < 8, String(handed))
  for (const bytes of handed) assert.ok(bytes <= BATCH_BYTES && bytes % piece === 0, String(handed))
})
