// Values, patches, conditions, versions and listings through a real worker, by plain `fetch`.
import assert from 'node:assert/strict'
import { test } from 'node:test'
import { inEachBrowser } from './http/plain-page.mjs'

const VERSION = /^"[a-z2-7]{16}-\d+"$/
const MERGE = { 'Content-Type': 'application/merge-patch+json' }

inEachBrowser((world) => {
  const { ask, put } = world

  test('JSON is a tree that can be read and written at any depth', async () => {
    const created = await put('/~/me/tree/1', { title: 'Tea', tags: ['a', 'b'], place: { 'a/b': { ü: 1 } } })
    assert.equal(created.status, 201)
    assert.match(created.headers.version, VERSION)
    assert.match(created.headers.etag, /^"[\w-]+"$/)
    assert.equal(created.headers['sync-status'], 'local')
    assert.equal((await ask('GET', '/~/me/tree/1/title')).text, '"Tea"')
    assert.equal((await ask('GET', '/~/me/tree/1/tags/1')).text, '"b"')
    assert.equal((await ask('GET', '/~/me/tree/1/place/a%2Fb/%C3%BC')).text, '1')
    assert.equal((await put('/~/me/tree/1/title', 'Coffee')).status, 200)
    assert.equal((await put('/~/me/tree/1/place/new', null)).status, 201)
    assert.deepEqual((await ask('GET', '/~/me/tree')).json, { 1: { title: 'Coffee', tags: ['a', 'b'], place: { 'a/b': { ü: 1 }, new: null } } })
    assert.equal((await put('/~/me/tree/1', { title: 'Only' })).status, 200)
    assert.deepEqual((await ask('GET', '/~/me/tree/1')).json, { title: 'Only' })
    const gone = await ask('DELETE', '/~/me/tree')
    assert.deepEqual([gone.status, gone.text], [204, ''])
    assert.match(gone.headers.version, VERSION)
    assert.equal((await ask('GET', '/~/me/tree/1/title')).status, 404)
  })

  test('numbers and texts come back as they were sent', async () => {
    const value = { big: 9007199254740993, small: 5e-324, odd: 0.1 + 0.2, edge: 1.7976931348623157e308, text: '\u0000\u2028😀"\\', empty: '', nothing: {}, list: [[]] }
    assert.equal((await put('/~/me/exact', value)).status, 201)
    assert.deepEqual((await ask('GET', '/~/me/exact')).json, value)
    const exact = await ask('PUT', '/~/me/exact', { 'Content-Type': 'application/json' }, '18446744073709551615')
    assert.equal(exact.status, 200)
    assert.equal((await ask('GET', '/~/me/exact')).text, '18446744073709551615')
  })

  test('bytes of any type keep their type and can be read in parts', async () => {
    const path = '/~/me/files/a'
    assert.equal((await ask('PUT', path, { 'Content-Type': 'Text/CSV; charset=utf-8' }, '0123456789')).status, 201)
    const whole = await ask('GET', path)
    assert.deepEqual([whole.status, whole.text, whole.headers['content-type'], whole.headers['accept-ranges']], [200, '0123456789', 'text/csv; charset=utf-8', 'bytes'])
    const part = await ask('GET', path, { Range: 'bytes=2-4' })
    assert.deepEqual([part.status, part.text, part.headers['content-range']], [206, '234', 'bytes 2-4/10'])
    assert.equal((await ask('GET', path, { Range: 'bytes=-3' })).text, '789')
    const head = await ask('HEAD', path)
    assert.deepEqual([head.status, head.text, head.headers['content-length'], head.headers.etag], [200, '', '10', whole.headers.etag])
    assert.deepEqual((await ask('GET', '/~/me/files')).json, { a: { $media: 'text/csv; charset=utf-8', $length: 10 } })
    const binary = await world.page.evaluate(async () => {
      const bytes = Uint8Array.from({ length: 1024 * 1024 }, (_, at) => (at * 7) % 256)
      const put = await fetch('/~/me/files/big', { method: 'PUT', body: bytes })
      const answer = await fetch('/~/me/files/big')
      const back = new Uint8Array(await answer.arrayBuffer())
      return { status: put.status, type: answer.headers.get('content-type'), same: back.length === bytes.length && back.every((byte, at) => byte === bytes[at]) }
    })
    assert.deepEqual(binary, { status: 201, type: 'application/octet-stream', same: true }, 'exactly 1 MiB fits')
  })

  test('a stored document opened by itself cannot run', async () => {
    await ask('PUT', '/~/me/evil', { 'Content-Type': 'text/html' }, '<script>parent.ran = true</script><svg onload="parent.ran = true">')
    const ran = await world.page.evaluate(async () => {
      const frame = document.createElement('iframe')
      frame.src = '/~/me/evil'
      const loaded = new Promise((resolve) => frame.addEventListener('load', resolve, { once: true }))
      document.body.append(frame)
      await loaded
      let reachable = true
      try {
        reachable = frame.contentDocument !== null
      } catch {
        reachable = false
      }
      frame.remove()
      return { ran: window.ran === true, reachable }
    })
    assert.deepEqual(ran, { ran: false, reachable: false })
  })

  test('patches of every kind', async () => {
    await put('/~/me/patched', { title: 'Tea', tags: ['a'], old: 1 })
    const value = async () => (await ask('GET', '/~/me/patched')).json
    const merged = await ask('PATCH', '/~/me/patched', MERGE, '{"old":null,"more":{"x":1}}')
    assert.equal(merged.status, 200)
    assert.deepEqual(await value(), { title: 'Tea', tags: ['a'], more: { x: 1 } })
    const operations = '[{"op":"test","path":"/title","value":"Tea"},{"op":"add","path":"/tags/-","value":"b"},{"op":"move","from":"/more/x","path":"/x"}]'
    assert.equal((await ask('PATCH', '/~/me/patched', { 'Content-Type': 'application/json-patch+json' }, operations)).status, 200)
    assert.deepEqual(await value(), { title: 'Tea', tags: ['a', 'b'], more: {}, x: 1 })
    assert.equal((await ask('PUT', '/~/me/patched', { 'Content-Range': 'json .tags[0:0]' }, '["hot"]')).status, 200)
    assert.equal((await ask('PATCH', '/~/me/patched', { 'Content-Range': 'json /tags/1-2' }, '["A","AA"]')).status, 200)
    assert.deepEqual((await value()).tags, ['hot', 'A', 'AA', 'b'])
    assert.equal((await ask('PATCH', '/~/me/patched', { 'Content-Range': 'json .more' }, '')).status, 200)
    const several = 'Content-Length: 1\r\nContent-Range: json .x\r\n\r\n2\r\n\r\nContent-Length: 0\r\nContent-Range: json .tags[0:3]\r\n\r\n\r\n'
    assert.equal((await ask('PUT', '/~/me/patched', { Patches: '2' }, several)).status, 200)
    assert.deepEqual(await value(), { title: 'Tea', tags: ['b'], x: 2 })
    assert.equal((await ask('PATCH', '/~/me/patched/deep/new', MERGE, '{"a":1}')).status, 201)
    assert.equal((await ask('GET', '/~/me/patched/deep/new/a')).text, '1')
  })

  test('conditions', async () => {
    const path = '/~/me/conditional'
    const create = () => ask('PUT', path, { 'Content-Type': 'application/json', 'If-None-Match': '*' }, '1')
    assert.equal((await create()).status, 201)
    assert.equal((await create()).status, 412)
    const { etag } = (await ask('GET', path)).headers
    assert.equal((await ask('GET', path, { 'If-None-Match': `"x", W/${etag}` })).status, 304)
    assert.equal((await ask('GET', path, { 'If-None-Match': '"x"' })).status, 200)
    const replace = (tag) => ask('PUT', path, { 'Content-Type': 'application/json', 'If-Match': tag }, '2')
    assert.equal((await replace(etag)).status, 200)
    const late = await replace(etag)
    const now = (await ask('GET', path)).headers.etag
    assert.deepEqual([late.status, late.json.current, late.headers.etag], [412, now, now])
    assert.notEqual(now, etag)
    assert.equal((await ask('DELETE', path, { 'If-Match': now })).status, 204)
  })

  test('a write repeated under its own id happens once; versions are known, unknown or past', async () => {
    const path = '/~/me/versioned'
    const write = (id, value) => ask('PUT', path, { 'Content-Type': 'application/json', Version: `"${id}"` }, value)
    const first = await write('laptop-1', '1')
    const second = await write('laptop-2', '2')
    assert.equal((await write('laptop-1', '1')).status, 200)
    assert.equal((await ask('GET', path)).text, '2', 'the repeated write changed nothing')
    const id = (answer) => answer.headers.version.replaceAll('"', '')
    assert.equal((await ask('GET', `${path}?version=${id(second)}`)).text, '2')
    assert.equal((await ask('GET', path, { Parents: first.headers.version })).status, 200)
    const past = await ask('GET', path, { Version: first.headers.version })
    assert.deepEqual([past.status, past.text, past.headers['current-version']], [200, '1', second.headers.version])
  })

  test('listings in pages, backwards, with values, and as lines', async () => {
    for (const key of ['a', 'b', 'c', 'd', 'é/x']) await put(`/~/me/list/${encodeURIComponent(key)}`, { key })
    const list = async (query) => (await ask('GET', `/~/me/list/${query}`)).json
    const keys = ({ items }) => items.map(({ key }) => key)
    assert.deepEqual(keys(await list('')), ['a', 'b', 'c', 'd', 'é/x'])
    const page = await ask('GET', '/~/me/list/?limit=2&values=1')
    assert.deepEqual(page.json.items.map(({ value }) => value), [{ key: 'a' }, { key: 'b' }])
    assert.ok(page.json.items.every(({ version }) => VERSION.test(`"${version}"`)))
    const walked = []
    for (let next = '/~/me/list/?limit=2'; next; ) {
      const { json, headers } = await ask('GET', next)
      walked.push(...keys(json))
      next = /<(.*)>; rel="next"/.exec(headers.link ?? '')?.[1]
    }
    assert.deepEqual(walked, ['a', 'b', 'c', 'd', 'é/x'])
    const back = []
    for (let next = '/~/me/list/?limit=2&reverse=1'; next; ) {
      const { json, headers } = await ask('GET', next)
      back.push(...keys(json))
      next = /<(.*)>; rel="next"/.exec(headers.link ?? '')?.[1]
    }
    assert.deepEqual(back, walked.toReversed())
    assert.deepEqual(keys(await list('?start=b&end=d')), ['b', 'c'])
    const lines = await ask('GET', '/~/me/list/', { Accept: 'application/x-ndjson' })
    assert.equal(lines.headers['content-type'], 'application/x-ndjson')
    assert.deepEqual(lines.text.trimEnd().split('\n').map((line) => JSON.parse(line).key), walked)
  })

  test("a listing's ETag tells of every change below it, deletions too", async () => {
    await put('/~/me/tagged/a', 1)
    await put('/~/me/tagged/b', 1)
    const seen = new Set()
    const look = async (what) => {
      const { headers } = await ask('GET', '/~/me/tagged/')
      assert.ok(!seen.has(headers.etag), `${what} left the ETag as it was`)
      seen.add(headers.etag)
      assert.equal((await ask('GET', '/~/me/tagged/', { 'If-None-Match': headers.etag })).status, 304)
    }
    await look('nothing')
    await put('/~/me/tagged/a', 2)
    await look('a change')
    await put('/~/me/tagged/b', { deep: { er: 1 } })
    await look('a change with members')
    await put('/~/me/tagged/b/deep/er', 2)
    await look('a change deep down')
    await ask('DELETE', '/~/me/tagged/a')
    await look('a deletion')
  })

  test('the feed tells every change once and goes on from its cursor', async () => {
    const start = (await ask('GET', '/~/me/$changes')).json.next
    await put('/~/me/fed/a%2Fb', 1)
    await put('/~/me/fed/c', 2)
    await ask('DELETE', '/~/me/fed/c')
    const seen = []
    let since = start
    for (;;) {
      const { json } = await ask('GET', `/~/me/$changes?limit=1&since=${encodeURIComponent(since)}`)
      seen.push(...json.items)
      if (json.items.length === 0) break
      since = json.next
    }
    assert.deepEqual(seen.map(({ path, kind }) => [path, kind]), [['fed/a%2Fb', 'put'], ['fed/c', 'put'], ['fed/c', 'delete']])
    for (const { version, author, time } of seen) {
      assert.match(`"${version}"`, VERSION)
      assert.match(author, /^did:key:z/)
      assert.ok(Math.abs(time - Date.now()) < 600_000)
    }
  })

  test('what can be done where', async () => {
    const options = await ask('OPTIONS', '/~/me/anything')
    assert.deepEqual([options.status, options.headers.allow, options.headers['merge-type']], [204, 'GET, HEAD, PUT, PATCH, DELETE, OPTIONS', 'lww, mv, counter, set, list, simpleton, dt'])
    assert.match(options.headers['accept-patch'], /merge-patch\+json/)
    const info = await ask('GET', '/~/')
    assert.equal(info.status, 200)
    assert.ok(info.json.id && info.json.version)
    const peer = (await ask('GET', '/~/peer')).json
    for (const member of ['id', 'version', 'storage', 'relays', 'links', 'spaces']) assert.ok(member in peer, member)
    assert.equal((await ask('POST', '/~/peer/ping')).status < 300, true)
  })
})
