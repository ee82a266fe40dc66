// Clients nobody here wrote, on collaborative texts: plain fetch, the unmodified `braid-http` from npm, and simpleton editors made with it.
// limit: 15 min
import assert from 'node:assert/strict'
import { after, before, describe, it } from 'node:test'
import { availableBrowsers, waitFor } from '../harness/index.mjs'
import { NETWORK_MS } from './peers-support.mjs'
import { textWorld } from './text-support.mjs'

const SIMPLETON = { 'Content-Type': 'text/plain', 'Merge-Type': 'simpleton' }
/** Changes each editor makes. */
const CHANGES = 40

for (const kind of availableBrowsers()) {
  describe(kind, () => {
    let world
    let ada
    before(async () => {
      world = await textWorld()
      ada = await world.person(kind)
    })
    after(() => world?.close())
    const send = (method, path, headers, body) =>
      ada.page.evaluate(
        async (...[how, to, more, text]) => {
          const answer = await fetch(to, { method: how, headers: more, body: text ?? undefined })
          return { status: answer.status, headers: Object.fromEntries(answer.headers), text: await answer.text() }
        },
        method,
        path,
        headers ?? {},
        body ?? null,
      )

    it('plain fetch makes a text, reads it, and changes a range by code points', async () => {
      const at = '/~/me/texts/plain'
      assert.equal((await send('PUT', at, SIMPLETON, 'a😀b')).status, 201)
      const { status, headers, text } = await send('GET', at)
      assert.deepEqual([status, text, headers['merge-type']], [200, 'a😀b', 'simpleton'])
      assert.match(headers['content-type'], /^text\/plain/)
      assert.match(headers.version, /^".+-\d+"/)
      const edit = { ...SIMPLETON, Version: '"plainclient-2"', Parents: headers.version, Peer: 'plainclient', 'Content-Range': 'text [1:2]' }
      assert.equal((await send('PUT', at, edit, '漢字')).status, 200)
      assert.equal((await send('GET', at)).text, 'a漢字b')
      assert.ok((await send('PUT', at, edit, '漢字')).status < 300, 'the same version again is no error')
      assert.equal((await send('GET', at)).text, 'a漢字b', 'and no second change')
    })

    it('several ranges in one request are all of the text before it', async () => {
      const at = '/~/me/texts/several'
      await send('PUT', at, SIMPLETON, 'one two three')
      const { headers } = await send('GET', at)
      const block = (range, body) => `Content-Length: ${Buffer.byteLength(body)}\r\nContent-Range: text ${range}\r\n\r\n${body}\r\n\r\n`
      const body = block('[0:3]', 'ONE') + block('[8:13]', 'drei')
      const edit = { ...SIMPLETON, Version: '"several-14"', Parents: headers.version, Peer: 'several', Patches: '2' }
      assert.equal((await send('PUT', at, edit, body)).status, 200)
      assert.equal((await send('GET', at)).text, 'ONE two drei')
    })

    it('a whole text without a range changes only what differs', async () => {
      const at = '/~/me/texts/whole'
      await send('PUT', at, SIMPLETON, 'the quick fox')
      await ada.open('whole', 'me', 'texts/whole', 'none')
      await ada.page.evaluate(() => {
        window.changes = []
        window.texts.docs.get('whole').on('change', ({ splices }) => window.changes.push(...splices))
      })
      assert.equal((await send('PUT', at, SIMPLETON, 'the quick brown fox')).status, 200)
      await ada.page.waitFor(() => window.texts.docs.get('whole').value === 'the quick brown fox', { what: 'the new text' })
      const changes = await ada.page.evaluate(() => window.changes)
      assert.equal(changes.length, 1)
      assert.equal(changes[0].insert.length, 6, JSON.stringify(changes))
    })

    it('the npm client reads, writes, subscribes and resumes', async () => {
      const at = '/~/me/texts/braid'
      await send('PUT', at, SIMPLETON, 'Hello')
      await ada.page.evaluate(async (url) => {
        const { braidFetch } = window.texts
        window.heard = []
        const follow = (name, parents) => {
          const stop = new AbortController()
          const options = { subscribe: true, peer: name, headers: { 'Merge-Type': 'simpleton', Accept: 'text/plain' }, ...(parents ? { parents } : {}), signal: stop.signal }
          const keep = ({ version, parents: on, body_text: body, patches }) => window.heard.push({ name, version, parents: on, body, patches: patches?.map(({ range, content_text: text }) => [range, text]) })
          return braidFetch(url, options).then((response) => (response.subscribe(keep, () => undefined), () => stop.abort()))
        }
        window.follow = follow
        window.unfollow = await follow('first')
      }, at)
      const heard = (count) => ada.page.waitFor((least) => window.heard.length >= least && window.heard, { args: [count], what: `${count} updates` })
      const [first] = await heard(1)
      assert.equal(first.body, 'Hello')
      const write = (parents) =>
        ada.page.evaluate(
          async (url, on) => {
            const { braidFetch } = window.texts
            const put = await braidFetch(url, { method: 'PUT', peer: 'writer', version: ['writer-6'], parents: on, headers: { 'Merge-Type': 'simpleton' }, patches: [{ unit: 'text', range: '[5:5]', content: ', World' }] })
            const read = await braidFetch(url)
            return [put.status, await read.text(), read.version ?? read.headers.get('version')]
          },
          at,
          parents,
        )
      const [status, text] = await write(first.version)
      assert.deepEqual([status, text], [200, 'Hello, World'])
      const [, second] = await heard(2)
      assert.deepEqual(second.parents, first.version)
      assert.deepEqual(second.patches ?? second.body, second.patches ? [['[5:5]', ', World']] : 'Hello, World')
      await ada.page.evaluate((parents) => (window.unfollow(), window.follow('again', parents)), first.version)
      const [, , third] = await heard(3)
      assert.deepEqual([third.name, third.parents, third.version], ['again', first.version, second.version])
      assert.deepEqual(third.patches, [['[5:5]', ', World']])
    })

    it('three simpleton editors, a textarea and CodeMirror typing at once end with one text', async () => {
      const at = '/~/me/texts/many'
      await send('PUT', at, SIMPLETON, 'Everybody writes here.\n')
      await ada.open('area', 'me', 'texts/many', 'textarea')
      await ada.open('mirror', 'me', 'texts/many', 'codemirror')
      await ada.page.evaluate(async (url) => {
        const { Simpleton } = window.texts
        window.simpletons = [new Simpleton(url), new Simpleton(url), new Simpleton(url)]
      }, at)
      await ada.page.waitFor(() => window.simpletons.every(({ text }) => text.startsWith('Everybody')), { what: 'the text at the simpletons' })
      await Promise.all([
        ada.scribble('area', CHANGES),
        ada.scribble('mirror', CHANGES),
        ada.page.evaluate((times) => Promise.all(window.simpletons.map((one) => one.scribble(times))).then(() => true), CHANGES),
      ])
      await ada.saved('area', 'mirror')
      const all = await waitFor(
        async () => {
          const [area, mirror] = [await ada.shown('area'), await ada.shown('mirror')]
          const rest = await ada.page.evaluate(() => window.simpletons.map(({ text }) => text))
          const stored = (await send('GET', at)).text
          return [mirror, ...rest, stored].every((text) => text === area) && area
        },
        { what: 'one text everywhere', timeout: NETWORK_MS },
      )
      assert.ok(all.length > 100, all)
      const { errors, updates } = await ada.page.evaluate(() => ({ errors: window.simpletons.flatMap((one) => one.errors), updates: window.simpletons.map((one) => one.updates) }))
      assert.deepEqual(errors, [])
      assert.ok(updates.every((count) => count > 1), `the simpletons saw the others: ${updates}`)
    })

    it('cursors in the form of braid-text: read, subscribed, gone with their owner', async () => {
      await send('PUT', '/~/me/texts/cursors', SIMPLETON, 'a😀bc')
      await ada.open('cursor', 'me', 'texts/cursors', 'none', 'Ada')
      const CURSORS = { Accept: 'application/text-cursors+json' }
      assert.match((await send('HEAD', '/~/me/texts/cursors', CURSORS)).headers['content-type'], /text-cursors\+json/)
      const client = await ada.page.evaluate(async () => {
        const doc = window.texts.docs.get('cursor')
        doc.cursor(1, 4)
        return doc.client
      })
      const seen = async () => JSON.parse((await send('GET', '/~/me/texts/cursors', CURSORS)).text)[client]
      const [selection] = await waitFor(seen, { what: 'the cursor', timeout: NETWORK_MS })
      assert.deepEqual([selection.from, selection.to, selection.name], [1, 3, 'Ada'])
      await ada.page.evaluate(() => window.texts.docs.get('cursor').close())
      await waitFor(async () => !(await seen())?.length, { what: 'the cursor to be gone', timeout: NETWORK_MS })
    })
  })
}
