// limit: 15 min
// The past through a real worker, by plain `fetch`: reads at a version or time, lists of versions, restore, undo and redo,
// strong links, and a space as a file that another browser takes in.
import assert from 'node:assert/strict'
import { readFile } from 'node:fs/promises'
import { test } from 'node:test'
import { openBrowser } from '../harness/index.mjs'
import { cannotStopWorkers, controlled, inEachBrowser } from './http/plain-page.mjs'

const JSON_TYPE = { 'Content-Type': 'application/json' }
const id = (answer) => answer.headers.version.replaceAll('"', '')

inEachBrowser((world) => {
  const { ask, put } = world

  test('values, listings and prefixes can be read as they were', async () => {
    const first = await put('/~/me/past/1', { title: 'Tea', tags: ['hot'] })
    const between = await world.page.evaluate(async () => {
      const wait = (ms) => new Promise((resolve) => setTimeout(resolve, ms))
      await wait(5)
      const now = Date.now()
      await wait(5)
      return now
    })
    await put('/~/me/past/1/title', 'Green tea')
    await put('/~/me/past/2', 'new')
    const last = await ask('DELETE', '/~/me/past/1/tags')
    const old = { title: 'Tea', tags: ['hot'] }
    for (const [path, headers] of [
      [`/~/me/past/1?version=${id(first)}`],
      ['/~/me/past/1', { Version: first.headers.version }],
      [`/~/me/past/1?at=${between}`],
      [`/~/me/past/1?at=${new Date(between).toISOString()}`],
    ]) {
      const answer = await ask('GET', path, headers)
      assert.deepEqual([answer.status, answer.json, answer.headers.version], [200, old, first.headers.version], path)
      assert.ok(answer.headers['current-version'].includes(id(last)), answer.headers['current-version'])
    }
    assert.deepEqual((await ask('GET', `/~/me/past?version=${id(first)}`)).json, { 1: old })
    const listing = (await ask('GET', `/~/me/past/?version=${id(first)}&values=1`)).json
    assert.deepEqual(listing.items.map(({ key, value }) => [key, value]), [['1', old]])
    assert.equal((await ask('GET', `/~/me/past/1/tags/0?version=${id(first)}`)).text, '"hot"')
    assert.equal((await ask('GET', `/~/me/past/2?version=${id(first)}`)).status, 404)
    assert.deepEqual((await ask('GET', `/~/me/past/1?version=${id(last)}`)).json, { title: 'Green tea' })
    const head = await ask('HEAD', `/~/me/past/1?version=${id(first)}`)
    assert.deepEqual([head.status, head.text, head.headers.version], [200, '', first.headers.version])
    const same = await ask('GET', `/~/me/past/1?version=${id(first)}`, { 'If-None-Match': head.headers.etag })
    assert.equal(same.status, 304)
    const unknown = await ask('GET', `/~/me/past/1?version=${id(first).replace(/\d+$/, '999999')}`)
    assert.deepEqual([unknown.status, unknown.json.type], [432, 'urn:kith:problem:version-unknown'])
  })

  test('the versions of a path, newest first, in pages and as lines', async () => {
    const versions = []
    for (const title of ['a', 'b', 'c']) versions.unshift(id(await put('/~/me/listed/title', title)))
    versions.unshift(id(await ask('DELETE', '/~/me/listed/title')))
    const all = (await ask('GET', '/~/me/listed/title?history=1')).json
    assert.deepEqual(all.items.map(({ version, kind, size }) => [version, kind, size]), versions.map((version, n) => [version, n === 0 ? 'delete' : 'put', n === 0 ? 0 : 3]))
    assert.match(all.items[0].author, /^did:key:z/)
    assert.ok(Math.abs(all.items[0].time - Date.now()) < 600_000)
    assert.equal(all.next, undefined)
    const page = await ask('GET', '/~/me/listed/?history=1&limit=2')
    assert.deepEqual(page.json.items.map(({ version, paths }) => [version, paths]), versions.slice(0, 2).map((version) => [version, ['listed/title']]))
    const next = /<([^>]+)>; rel="next"/.exec(page.headers.link)[1]
    const rest = await ask('GET', next, { Accept: 'application/x-ndjson' })
    assert.deepEqual(rest.text.trim().split('\n').map((line) => JSON.parse(line).version), versions.slice(2))
  })

  test('a path is made what it was, as a write like any other', async () => {
    const first = await put('/~/me/restored', { a: 1, deep: { b: [2] } })
    await ask('PUT', '/~/me/restored/image', { 'Content-Type': 'image/png' }, 'bytes')
    const second = await put('/~/me/restored', { c: 3 })
    const restored = await ask('PUT', `/~/me/restored?from=${id(first)}`)
    assert.equal(restored.status, 200)
    assert.deepEqual((await ask('GET', '/~/me/restored')).json, { a: 1, deep: { b: [2] } })
    await ask('PUT', `/~/me/restored/c?from=${id(second)}`)
    assert.deepEqual((await ask('GET', '/~/me/restored')).json, { a: 1, c: 3, deep: { b: [2] } })
    const late = await ask('PUT', `/~/me/restored?from=${id(second)}`, { 'If-Match': restored.headers.etag })
    assert.equal(late.status, 412)
    const before = await world.page.evaluate(() => Date.now() - 86_400_000)
    assert.equal((await ask('PUT', `/~/me/restored?from=${before}`)).status, 204, 'nothing was there yesterday')
    assert.equal((await ask('GET', '/~/me/restored')).status, 404)
  })

  test('undo and redo go on after the worker was stopped', { skip: cannotStopWorkers(world.kind) }, async () => {
    const step = (name, headers = {}) => ask('POST', `/~/me/$${name}`, { ...JSON_TYPE, ...headers }, '{"path":"edited"}')
    const first = await put('/~/me/edited/text', 'one')
    const second = await put('/~/me/edited/text', 'two')
    const undone = await step('undo', { Version: '"undo-1"' })
    assert.deepEqual([undone.status, undone.json.undone, undone.json.restored, undone.json.skipped], [200, id(second), ['edited/text'], []])
    assert.equal((await step('undo', { Version: '"undo-1"' })).json.version, undone.json.version, 'the same id undoes once')
    assert.equal((await ask('GET', '/~/me/edited/text')).text, '"one"')
    await world.browser.killWorker()
    assert.equal((await step('undo')).json.undone, id(first))
    assert.equal((await ask('GET', '/~/me/edited')).status, 404)
    assert.equal((await step('undo')).json.undone, null)
    await step('redo')
    await step('redo')
    assert.equal((await ask('GET', '/~/me/edited/text')).text, '"two"')
    await put('/~/me/edited/text', 'three')
    assert.deepEqual((await step('redo')).json, { redone: null, version: null, restored: [], skipped: [] })
  })

  test('a strong link reads what it was made for, and says when that is no longer so', async () => {
    await put('/~/me/linked', { text: 'as it was' })
    const link = (await ask('GET', '/~/me/linked?link=1')).json
    assert.deepEqual([link.path, /^[\w-]{43}$/.test(link.hash)], ['linked', true])
    await put('/~/me/linked', { text: 'changed' })
    assert.deepEqual((await ask('GET', link.url)).json, { text: 'as it was' })
    const other = await ask('GET', link.url.replace(link.hash, `${'A'.repeat(42)}E`))
    assert.deepEqual([other.status, other.json.type, other.json.version], [409, 'urn:kith:problem:history-rewritten', link.version])
  })

  test('a space goes into a file, and out of it in another browser', async () => {
    const { id: space } = (await ask('POST', '/~/spaces', JSON_TYPE, '{"name":"Carried"}')).json
    const first = await put(`/~/${space}/notes/1`, { title: 'first' })
    await put(`/~/${space}/notes/1/title`, 'second')
    await world.page.evaluate(async (id) => {
      for (let n = 0; n < 8; n++) {
        const body = Uint8Array.from({ length: 300_000 }, (_, at) => (at * 31 + n) % 251)
        await fetch(`/~/${id}/files/${n}`, { method: 'PUT', body, headers: { 'Content-Type': 'image/png' } })
      }
    }, space)
    const file = await exported(world.page, space)
    assert.deepEqual([file.status, file.type], [200, 'application/vnd.kith.space'])
    assert.ok(file.length > 2_400_000, 'larger than any other body may be')
    assert.match(file.name, /attachment; filename="\w+\.kith"/)
    const other = await openBrowser(world.kind)
    try {
      const page = await other.newPage(`${world.url}plain`)
      await controlled(page)
      const send = (cut) => takeIn(page, file.base64, cut)
      const elsewhere = (...args) => page.evaluate((...all) => window.ask(...all.map((arg) => arg ?? undefined)), ...args)
      const half = await send(Math.floor(file.length / 2))
      assert.deepEqual([half.status, half.json.why, half.json.new > 0], [400, 'cut', true])
      const whole = await send(file.length)
      assert.deepEqual([whole.status, whole.json.space, whole.json.refused], [200, space, {}])
      assert.equal(whole.json.known, half.json.new, 'what came before the cut was kept')
      assert.equal((await send(file.length)).json.new, 0)
      assert.deepEqual((await elsewhere('GET', `/~/${space}/notes/1`)).json, { title: 'second' })
      assert.deepEqual((await elsewhere('GET', `/~/${space}/notes/1?version=${id(first)}`)).json, { title: 'first' })
      const picture = await page.evaluate(async (id) => new Uint8Array(await (await fetch(`/~/${id}/files/7`)).arrayBuffer())[99_999], space)
      assert.equal(picture, (99_999 * 31 + 7) % 251)
      assert.equal((await elsewhere('PUT', `/~/${space}/notes/2`, JSON_TYPE, '1')).status, 403)
      const spaces = (await elsewhere('GET', '/~/spaces')).json
      const shown = (spaces.items ?? spaces.spaces ?? spaces).find((item) => item.id === space)
      assert.deepEqual([shown.name, shown.state, shown.role], ['Carried', 'archive', 'reader'])
      const none = await page.evaluate(async () => {
        const answer = await fetch('/~/import', { method: 'POST', body: 'no such file' })
        return { status: answer.status, json: await answer.json() }
      })
      assert.deepEqual([none.status, none.json.type], [415, 'urn:kith:problem:unsupported-media-type'])
    } finally {
      await other.close()
    }
  })

  test('a space that has dropped entries is taken in, told of and passed on', async () => {
    const hex = await readFile(new URL('../vectors/v1/space-pruned.txt', import.meta.url), 'utf8')
    const first = await takeIn(world.page, Buffer.from(hex.trim(), 'hex').toString('base64'))
    assert.deepEqual([first.status, first.json.refused, first.json.known], [200, {}, 0])
    const space = first.json.space
    const shown = (await ask('GET', `/~/${space}/meter`)).json
    assert.deepEqual(Object.keys(shown), ['0', '1', '2', 'any'])
    // Ninety readings were written in each log; those in between are gone.
    const version = id(await ask('GET', `/~/${space}/meter/1`))
    const dropped = await ask('GET', `/~/${space}/meter/1?version=${version.replace(/\d+$/, '20')}`)
    assert.deepEqual([dropped.status, dropped.json.type], [410, 'urn:kith:problem:history-dropped'])
    const again = await exported(world.page, space)
    const other = await openBrowser(world.kind)
    try {
      const page = await other.newPage(`${world.url}plain`)
      await controlled(page)
      const second = await takeIn(page, again.base64)
      assert.deepEqual([second.status, second.json], [200, first.json])
      const there = await page.evaluate(async (id) => (await fetch(`/~/${id}/meter`)).json(), space)
      assert.deepEqual(there, shown)
    } finally {
      await other.close()
    }
  })
})

/** A space as a file, with its keys. */
async function exported(page, space) {
  return page.evaluate(async (id) => {
    const answer = await fetch(`/~/${id}/$export?keys=1`)
    const bytes = new Uint8Array(await answer.arrayBuffer())
    let text = ''
    for (let at = 0; at < bytes.length; at += 8192) text += String.fromCharCode(...bytes.subarray(at, at + 8192))
    return { status: answer.status, type: answer.headers.get('content-type'), name: answer.headers.get('content-disposition'), length: bytes.length, base64: btoa(text) }
  }, space)
}

/** Gives a file, or what comes before a cut, to the peer of a page. */
async function takeIn(page, base64, cut) {
  return page.evaluate(
    async (text, keep) => {
      const bytes = Uint8Array.from(atob(text), (c) => c.charCodeAt(0)).subarray(0, keep ?? undefined)
      const answer = await fetch('/~/import', { method: 'POST', body: new Blob([bytes]), headers: { 'Content-Type': 'application/vnd.kith.space' } })
      return { status: answer.status, json: await answer.json() }
    },
    base64,
    cut,
  )
}
