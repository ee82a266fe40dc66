// Erasing values of every kind through a real worker: what was purged is in no row of the browser's database, and the past says that it is gone.
import assert from 'node:assert/strict'
import { test } from 'node:test'
import { waitFor } from '../harness/index.mjs'
import { inEachBrowser } from './http/plain-page.mjs'
import { rowsWith } from './http/stored-rows.mjs'
import { NETWORK_MS } from './peers-support.mjs'

const JSON_TYPE = { 'Content-Type': 'application/json' }
const as = (kind) => ({ ...JSON_TYPE, 'Merge-Type': kind })
const TEXT = { 'Content-Type': 'text/plain', 'Merge-Type': 'simpleton' }
const SECRET = 'the-combination-is-7351-9920'
/** Much of it, so that it is seen whether the sealed entries, which cannot be read here, have lost it. */
const LONG = `${SECRET} `.repeat(1500)

inEachBrowser((world) => {
  const { ask, put } = world
  const look = () => world.page.evaluate(rowsWith, SECRET)

  test('texts, lists, sets, values that stand beside each other, and what stands above them', async () => {
    const top = '/~/me/purged'
    const { bytes: empty } = await look()
    const made = [
      await ask('PUT', `${top}/text`, TEXT, LONG),
      await ask('PUT', `${top}/list`, as('list'), JSON.stringify([LONG, 'b'])),
      await ask('PUT', `${top}/set`, as('set'), JSON.stringify([SECRET, 'b'])),
      await ask('PUT', `${top}/mv`, as('mv'), JSON.stringify({ secret: LONG })),
      await ask('PUT', `${top}/count`, as('counter'), '7'),
    ]
    assert.deepEqual(made.map(({ status }) => status), [201, 201, 201, 201, 201])
    // Edits that build on each other.
    assert.equal((await ask('PUT', `${top}/text`, { ...TEXT, 'Content-Range': 'text [0:0]' }, `${SECRET}!`)).status, 200)
    assert.equal((await put(`${top}/list/1`, SECRET)).status, 200)
    const before = await look()
    assert.ok(before.found > 0 && before.bytes > empty + 3 * LONG.length, `there to begin with: ${JSON.stringify(before)} and ${empty} before`)

    assert.equal((await ask('DELETE', `${top}?purge=1`)).status, 204)
    const left = async () => (await ask('GET', '/~/peer')).json.spaces.reduce((sum, { collecting }) => sum + collecting, 0)
    await waitFor(async () => (await left()) === 0, { what: 'all of it to be erased', timeout: NETWORK_MS })
    const after = await look()
    assert.equal(after.found, 0)
    assert.ok(after.bytes < empty + LONG.length, `the sealed entries have lost it too: ${after.bytes} bytes, ${empty} before`)
    for (const [at, name] of ['text', 'list', 'set', 'mv', 'count'].entries()) {
      const version = made[at].headers.version.replaceAll('"', '')
      const gone = await ask('GET', `${top}/${name}?version=${version}`)
      assert.deepEqual([name, gone.status, gone.json?.type], [name, 410, 'urn:kith:problem:history-dropped'])
    }
  })

  test('a new value in place of what is purged, of the kind that was there', async () => {
    const path = '/~/me/anew'
    await ask('PUT', path, TEXT, `${SECRET} and more`)
    const patch = await ask('PUT', `${path}?purge=1`, { ...TEXT, 'Content-Range': 'text [0:0]' }, 'x')
    assert.deepEqual([patch.status, (await ask('GET', path)).text], [422, `${SECRET} and more`], 'a patch builds on what is to be erased')
    const anew = await ask('PUT', `${path}?purge=1`, { 'Content-Type': 'text/plain' }, 'begun anew')
    assert.deepEqual([anew.status, anew.headers['merge-type']], [201, 'simpleton'])
    assert.equal((await ask('PUT', path, { ...TEXT, 'Content-Range': 'text [0:0]' }, 'all ')).status, 200)
    assert.equal((await ask('GET', path)).text, 'all begun anew')
    assert.equal((await ask('PUT', `${path}?purge=1`, { ...TEXT, 'If-Match': '"other"' }, 'x')).status, 412)
    assert.equal((await ask('GET', path)).text, 'all begun anew', 'a purge that was refused erases nothing')
  })
})
