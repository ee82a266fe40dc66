// Subscriptions through a real worker, in both forms: what is there first, then each change, and resuming.
import assert from 'node:assert/strict'
import { test } from 'node:test'
import { cannotStopWorkers, frames, inEachBrowser } from './http/plain-page.mjs'

inEachBrowser((world) => {
  const { ask, put } = world

  /** Opens a 209 stream in the page under a name. */
  const follow = (name, path, headers = {}) =>
    world.page.evaluate((...[as, to, more]) => void (window[as] = window.follow(to, more)), name, path, headers)
  const listen = (name, path) => world.page.evaluate((as, to) => void (window[as] = window.listen(to)), name, path)
  const close = (...names) => world.page.evaluate((list) => list.forEach((name) => window[name].close()), names)
  const stream = (name) => world.page.evaluate((as) => window[as], name)
  /** Waits for a number of frames and gives them. */
  const framed = async (name, count) => {
    await world.page.waitFor((as) => window[as].text.length > 0 || window[as].error, { args: [name], what: 'the head of the stream' })
    for (const until = Date.now() + 10_000; ; await new Promise((resolve) => setTimeout(resolve, 20))) {
      const { text, error } = await stream(name)
      const found = frames(text)
      if (found.length >= count) return found
      assert.ok(Date.now() < until && !error, `only ${found.length} of ${count} frames came (${error}):\n${text}`)
    }
  }
  const heard = (name, count) =>
    world.page.waitFor((as, least) => window[as].events.length >= least && window[as].events, { args: [name, count], what: `${count} events` })

  test('a value in frames: at once, then each change, then its end', async () => {
    await follow('value', '/~/me/s/value', { Heartbeats: '1s' })
    let [first] = await framed('value', 1)
    const { status, headers } = await stream('value')
    assert.equal(status, 209)
    assert.deepEqual([headers['content-type'], headers.subscribe, headers['merge-type'], headers.heartbeats], ['application/http-history', '?1', 'lww', '1s'])
    assert.deepEqual([first.status, first.body], [404, ''], 'nothing there is a state too')
    const written = await put('/~/me/s/value', { a: 'é' })
    const [, second] = await framed('value', 2)
    assert.deepEqual([second.status, second.body, second.headers.version], [200, '{"a":"é"}', written.headers.version])
    await ask('DELETE', '/~/me/s/value')
    const [, , third] = await framed('value', 3)
    assert.deepEqual([third.status, third.headers.parents], [404, written.headers.version])
    const { text } = await stream('value')
    await world.page.waitFor((length) => window.value.text.length > length, { args: [text.length], what: 'a heartbeat' })
    assert.equal(frames((await stream('value')).text).length, 3, 'heartbeats are no frames')
    await close('value')

    // Resuming: what was missed, and nothing that was not.
    await follow('resumed', '/~/me/s/value', { Parents: written.headers.version })
    first = (await framed('resumed', 1))[0]
    assert.equal(first.status, 404)
    await follow('current', '/~/me/s/value', { Parents: third.headers.version })
    await put('/~/me/s/value', 2)
    first = (await framed('current', 1))[0]
    assert.deepEqual([first.body, first.headers.parents], ['2', third.headers.version])
    await close('resumed', 'current')
  })

  test('a value as events: JSON as it is, text by lines, deletion by name', async () => {
    await put('/~/me/e/value', { a: [1] })
    await listen('events', '/~/me/e/value')
    await heard('events', 1)
    await ask('PUT', '/~/me/e/value', { 'Content-Type': 'text/plain' }, 'one\r\ntwo\n\nend')
    await heard('events', 2)
    await ask('PUT', '/~/me/e/value', { 'Content-Type': 'image/png' }, 'xyz')
    await heard('events', 3)
    await ask('DELETE', '/~/me/e/value')
    const events = await heard('events', 4)
    assert.deepEqual(events.map(({ type, data }) => [type, data]), [
      ['message', '{"a":[1]}'],
      ['message', 'one\ntwo\n\nend'],
      ['message', '{"$length":3,"$media":"image/png"}'],
      ['delete', ''],
    ])
    assert.ok(events.every(({ id }) => /^[a-z2-7]{16}-\d+$/.test(id)))
    await close('events')
    // A fresh EventSource can be told where it stood; one that stood elsewhere starts afresh instead of failing.
    await put('/~/me/e/value', 5)
    await listen('late', `/~/me/e/value?lastEventId=${events[3].id}`)
    assert.equal((await heard('late', 1))[0].data, '5')
    await listen('lost', '/~/me/e/value?lastEventId=aaaaaaaaaaaaaaaa-999')
    assert.equal((await heard('lost', 1))[0].data, '5')
    await close('late', 'lost')
  })

  test('a listing as events, and what a reader that was away learns', async () => {
    for (const key of ['a', 'b', 'c']) await put(`/~/me/l/${key}`, key)
    await listen('list', '/~/me/l/?values=1')
    await heard('list', 4)
    await put('/~/me/l/b', 'B')
    await heard('list', 5)
    await ask('DELETE', '/~/me/l/a')
    const events = await heard('list', 6)
    const short = events.map(({ type, data }) => [type, JSON.parse(data).key, JSON.parse(data).value])
    assert.deepEqual(short, [
      ['reset', undefined, undefined],
      ['message', 'a', 'a'],
      ['message', 'b', 'b'],
      ['message', 'c', 'c'],
      ['message', 'b', 'B'],
      ['delete', 'a', undefined],
    ])
    await close('list')
    // Away while the oldest child goes.
    const { version } = (await ask('GET', '/~/me/l/')).headers
    await ask('DELETE', '/~/me/l/c')
    await listen('back', `/~/me/l/?lastEventId=${version.replaceAll(/["\s]/g, '')}`)
    const back = await heard('back', 1)
    const left = new Set(back.some(({ type }) => type === 'reset') ? [] : ['b', 'c'])
    for (const { type, data } of await heard('back', back[0].type === 'reset' ? 2 : 1)) {
      if (type === 'message') left.add(JSON.parse(data).key)
      if (type === 'delete') left.delete(JSON.parse(data).key)
    }
    assert.deepEqual([...left], ['b'])
    await close('back')
  })

  test('a listing in frames names what changed by its key', async () => {
    await put('/~/me/lf/x', 1)
    await follow('list', '/~/me/lf/?values=1')
    const [first] = await framed('list', 1)
    assert.deepEqual(JSON.parse(first.body).items.map(({ key, value }) => [key, value]), [['x', 1]])
    await put('/~/me/lf/%22%C3%A9', 2)
    const [, second] = await framed('list', 2)
    assert.deepEqual([second.patches.length, second.patches[0].range], [1, 'items "\\"\\u00e9"'])
    assert.equal(JSON.parse(second.patches[0].body).value, 2)
    await ask('DELETE', '/~/me/lf/x')
    const [, , third] = await framed('list', 3)
    assert.deepEqual(third.patches, [{ range: 'items "x"', body: '' }])
    await close('list')
  })

  test('the feed in both forms, resumed without loss or repetition', async () => {
    const { next } = (await ask('GET', '/~/me/$changes')).json
    const since = `/~/me/$changes?since=${encodeURIComponent(next)}`
    await put('/~/me/f/1', 1)
    await listen('feed', since)
    await follow('frames', since)
    await heard('feed', 1)
    await put('/~/me/f/2', 1)
    const [, last] = await heard('feed', 2)
    assert.equal(last.id, JSON.parse(last.data).cursor)
    const [first, second] = await framed('frames', 2)
    assert.deepEqual(JSON.parse(first.body).items.map(({ path }) => path), ['f/1'])
    assert.deepEqual([second.patches[0].range, JSON.parse(second.patches[0].body)[0].path], ['json .items[-0:-0]', 'f/2'])
    await close('feed', 'frames')
    await put('/~/me/f/3', 1)
    await listen('again', `${since}&lastEventId=${encodeURIComponent(last.id)}`)
    await follow('more', since, { Parents: second.headers.version })
    assert.deepEqual((await heard('again', 1)).map(({ data }) => JSON.parse(data).path), ['f/3'])
    assert.deepEqual(JSON.parse((await framed('more', 1))[0].patches[0].body).map(({ path }) => path), ['f/3'])
    await close('again', 'more')
  })

  test('the peer tells of itself in both forms', async () => {
    await listen('peer', '/~/peer')
    await follow('peerFrames', '/~/peer')
    const [event] = await heard('peer', 1)
    const [frame] = await framed('peerFrames', 1)
    assert.equal(JSON.parse(event.data).id, JSON.parse(frame.body).id)
    await ask('POST', '/~/spaces', { 'Content-Type': 'application/json' }, '{"name":"Seen"}')
    await world.page.waitFor(() => window.peer.events.some(({ data }) => data.includes('"Seen"')), { what: 'the new space in the status' })
    await close('peer', 'peerFrames')
  })

  test('after the worker is stopped, an EventSource goes on without a gap', { skip: cannotStopWorkers(world.kind) }, async () => {
    await put('/~/me/k/n', 0)
    await listen('kept', '/~/me/$changes')
    await listen('value', '/~/me/k/n')
    await heard('value', 1)
    for (let round = 1; round <= 3; round++) {
      await world.browser.killWorker()
      assert.ok((await put('/~/me/k/n', round)).status < 300)
    }
    await world.page.waitFor(() => window.value.events.at(-1)?.data === '3', { what: 'the last value', timeout: 30_000 })
    await world.page.waitFor(
      () => window.kept.events.filter(({ data }) => JSON.parse(data).path === 'k/n').length >= 4,
      { what: 'every change in the feed', timeout: 30_000 },
    )
    const cursors = await world.page.evaluate(() => window.kept.events.map(({ id }) => id))
    assert.equal(new Set(cursors).size, cursors.length, 'no change came twice')
    await close('kept', 'value')
  })

  test('many subscriptions at once hear the same write', async () => {
    await put('/~/me/many', 0)
    await world.page.evaluate(() => {
      window.many = Array.from({ length: 50 }, () => window.listen('/~/me/many'))
    })
    await world.page.waitFor(() => window.many.every(({ events }) => events.length === 1), { what: 'the first state everywhere' })
    await put('/~/me/many', 1)
    await world.page.waitFor(() => window.many.every(({ events }) => events.at(-1).data === '1'), { what: 'the change everywhere' })
    await world.page.evaluate(() => window.many.forEach((one) => one.close()))
  })
})
