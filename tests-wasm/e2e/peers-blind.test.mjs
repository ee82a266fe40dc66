// The relay cannot read: what two people wrote to each other is looked for in everything it received, holds in memory or stored.
import assert from 'node:assert/strict'
import { closeSync, openSync, readdirSync, readFileSync, readSync, statSync } from 'node:fs'
import { join } from 'node:path'
import { describe, it } from 'node:test'
import { missing, startRelay } from '../harness/index.mjs'
import { person, together } from './peers-support.mjs'

/** Everything a process holds in memory that can be written to, in pieces. */
function* memoryOf(pid) {
  const regions = readFileSync(`/proc/${pid}/maps`, 'utf8').split('\n').map((line) => /^([0-9a-f]+)-([0-9a-f]+) rw/.exec(line))
  const memory = openSync(`/proc/${pid}/mem`, 'r')
  try {
    for (const [, from, to] of regions.filter(Boolean)) {
      const start = BigInt(`0x${from}`)
      const length = Number(BigInt(`0x${to}`) - start)
      const piece = Buffer.alloc(Math.min(length, 64 << 20))
      for (let done = 0; done < length; done += piece.length) {
        try {
          const read = readSync(memory, piece, 0, Math.min(piece.length, length - done), start + BigInt(done))
          yield piece.subarray(0, read)
        } catch {
          break // The region is gone, or may not be read.
        }
      }
    }
  } finally {
    closeSync(memory)
  }
}

function* filesBelow(folder) {
  for (const name of readdirSync(folder)) {
    const path = join(folder, name)
    if (statSync(path).isDirectory()) yield* filesBelow(path)
    else yield readFileSync(path)
  }
}

describe('a relay between two people without WebRTC', { skip: missing('chromium') || (process.platform !== 'linux' && 'reads /proc') }, () => {
  it('never holds a word of what they write', async () => {
    const relay = await startRelay()
    const ada = await person('chromium', relay.url, { webrtc: 'blocked' })
    const ben = await person('chromium', relay.url, { webrtc: 'blocked' })
    const secret = `marzipan-${Math.random().toString(36).slice(2)}`
    const space = await together(ada, ben, `name-${secret}`)
    await ada.put(`/~/${space}/path-${secret}`, { text: `value-${secret}`, long: `${secret} `.repeat(2000) })
    await ben.sees(`/~/${space}/path-${secret}/text`, `value-${secret}`)
    // The search itself works: what the relay does know is found.
    const finds = (needle) => [...memoryOf(relay.pid)].some((piece) => piece.includes(needle))
    assert.ok(finds(relay.peerId), 'the relay knows its own name')
    assert.ok(!finds(secret), 'the secret is in the memory of the relay')
    assert.ok(!finds(space), 'the id of the space is in the memory of the relay')
    for (const stored of filesBelow(relay.dataDir)) assert.ok(!stored.includes(secret))
    assert.ok(!relay.log.join('\n').includes(secret))
    await Promise.all([ada.close(), ben.close(), relay.kill()])
  })
})
