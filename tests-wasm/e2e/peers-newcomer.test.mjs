// Someone joins a space that holds much, and opens what was written last: it is shown while the rest still streams.
import assert from 'node:assert/strict'
import { after, before, describe, it } from 'node:test'
import { missing, openBrowser, startRelay, waitFor } from '../harness/index.mjs'
import { meet, NETWORK_MS, person } from './peers-support.mjs'

/** So many folders with texts of so many characters: 24 MB, far more than is sent before the newcomer has stored some of it. */
const FOLDERS = 400
const TEXT = 60_000
const FILL_MS = 240_000
const LAST = FOLDERS - 1

const fillInPage = async (space, from, to, length) => {
  for (let n = from; n < to; n++) {
    const body = JSON.stringify({ title: `Folder ${n}`, text: String(n).padEnd(length, '. ') })
    const answer = await fetch(`/~/${space}/folders/${n}`, { method: 'PUT', headers: { 'Content-Type': 'application/json' }, body })
    if (!answer.ok) throw new Error(`PUT gave ${answer.status}: ${await answer.text()}`)
  }
}

/** Joins and reads at once; tells what was read, and how much of the space was there then. */
const joinAndLook = async (invite, value, listing) => {
  const body = JSON.stringify({ invite })
  const joined = await fetch('/~/join', { method: 'POST', headers: { 'Content-Type': 'application/json' }, body })
  if (!joined.ok) throw new Error(`joining gave ${joined.status}: ${await joined.text()}`)
  const { space } = await joined.json()
  const read = async (path) => {
    for (;;) {
      const answer = await fetch(path)
      const json = await answer.json()
      // A listing that waited in vain for a second shows what is known so far, and says that more is coming.
      if (answer.ok && (!json.items || json.items.length === 2)) return { json, headers: Object.fromEntries(answer.headers) }
      await new Promise((resolve) => setTimeout(resolve, 20))
    }
  }
  const status = async () => (await (await fetch('/~/peer')).json()).spaces.find(({ id }) => id === space)
  const first = await read(value)
  const then = await status()
  return { first, then, listed: await read(listing), later: await status() }
}

for (const kind of ['chromium', 'firefox']) {
  describe(`a newcomer in ${kind}`, { skip: missing(kind) }, () => {
    let relay
    let ada
    let ben
    let space
    before(async () => {
      relay = await startRelay()
      ada = await person(kind, relay.url)
      space = await ada.space('Library')
      ada.page.evaluateTimeout = FILL_MS
      for (let n = 0; n < FOLDERS; n += 50) await ada.page.evaluate(fillInPage, space, n, n + 50, TEXT)
      const browser = await openBrowser(kind)
      ben = { browser }
      ben = await meet(browser, await browser.newPage(relay.url))
    })
    after(async () => {
      await ada?.close()
      await ben?.browser?.close()
      await relay?.kill()
    })

    it('sees the last folder while the rest is still on its way', async () => {
      const url = await ada.invite(space)
      ben.page.evaluateTimeout = 2 * NETWORK_MS
      const last = `/~/${space}/folders/${LAST}`
      const { first, then, listed, later } = await ben.page.evaluate(joinAndLook, url, `${last}/title`, `${last}/?values=1`)
      assert.equal(first.json, `Folder ${LAST}`)
      assert.equal(first.headers['sync-status'], 'arriving')
      assert.equal(first.headers.etag, undefined, 'what is not here yet has no tag')
      assert.equal(first.headers['cache-control'], 'no-store')
      assert.ok(then.arriving > 0 && then.entries < FOLDERS, `${then.entries} of ${FOLDERS} entries were there, ${then.arriving} were on their way`)
      assert.deepEqual(listed.json.items.map(({ key }) => key), ['text', 'title'])
      assert.ok(later.arriving > 0, 'the listing came before the rest, too')
    })

    it('has all of it in the end, and then it counts', async () => {
      const last = `/~/${space}/folders/${LAST}/title`
      await waitFor(async () => (await ben.status()).spaces.find(({ id }) => id === space)?.arriving === 0, { what: 'all to arrive', timeout: FILL_MS })
      await waitFor(async () => (await ben.ask('GET', last)).headers['sync-status'] !== 'arriving', { what: 'the title to count', timeout: NETWORK_MS })
      const answer = await ben.ask('GET', last)
      assert.equal(answer.json, `Folder ${LAST}`)
      assert.deepEqual(answer.headers.version, (await ada.ask('GET', last)).headers.version)
      assert.ok(answer.headers.etag)
    })
  })
}
