// Somebody adds more to a space than is taken without asking: what is over the limit stays outside, others' changes go on, home asks the
// person, and what they allow comes. The limits are set low the way an author sets them, with `kithOptions`.
import assert from 'node:assert/strict'
import { describe, it } from 'node:test'
import { missing, openBrowser, startRelay, startSite, waitFor } from '../harness/index.mjs'
import { appears, passesAxe, textOf } from './demos-support.mjs'
import { meet, NETWORK_MS, person } from './peers-support.mjs'

/** A day. On the first one sixteen times as much is taken. */
const QUOTA = { bytes: 4_096, entries: 100_000 }
const FIRST_DAY = 16
const VALUE = 'x'.repeat(8_000)
/** Twice what is taken on the first day. */
const VALUES = Math.ceil((2 * FIRST_DAY * QUOTA.bytes) / VALUE.length)

/** The relay's own site, with a worker that has these limits. */
async function strictSite(relay) {
  const worker = Buffer.from(await (await fetch(`${relay.url}kith-worker.js`)).arrayBuffer())
  const type = 'text/javascript'
  return startSite({
    upstream: relay.url,
    files: {
      '/limits.js': { body: `self.kithOptions = { quota: ${JSON.stringify(QUOTA)} }`, type },
      '/kith-worker.js': { body: `import '/limits.js'\nimport '/kith-worker-itself.js'`, type },
      '/kith-worker-itself.js': { body: worker, type },
    },
  })
}

for (const kind of ['chromium', 'firefox']) {
  describe(`${kind}: somebody who writes too much`, { skip: missing(kind) }, () => {
    it('is held at the limit; home asks, and what is allowed comes', async () => {
      const relay = await startRelay()
      const site = await strictSite(relay)
      const ada = await person('chromium', relay.url)
      const space = await ada.space('Crowd')
      const invite = await ada.invite(space, 'writer', '/')
      const browser = await openBrowser(kind)
      const page = await browser.newPage(site.url)
      const bob = await meet(browser, page)
      await bob.join(invite)
      for (let n = 0; n < VALUES; n++) await ada.put(`/~/${space}/flood/${n}`, VALUE)

      const held = () => bob.status().then((status) => status.spaces.find(({ id }) => id === space)?.held ?? [])
      await waitFor(async () => (await held()).length === 1, { what: 'the log to be held', timeout: NETWORK_MS })
      const [{ why, bytes, log, author }] = await held()
      assert.equal(why, 'over-quota')
      assert.ok(bytes <= FIRST_DAY * QUOTA.bytes && bytes > (FIRST_DAY - 4) * QUOTA.bytes, `${bytes} bytes were taken`)
      assert.equal((await bob.ask('GET', `/~/${space}/flood/${VALUES - 1}`)).status, 404, 'the last value stays outside')

      // What this person writes goes on, both here and to who is held.
      await bob.put(`/~/${space}/calm`, 'still here')
      await ada.sees(`/~/${space}/calm`, 'still here')

      await appears(page, '.notice.held')
      assert.match(await textOf(page, '.notice.held'), /^Somebody writes a lot in “Crowd”\..* 64\.0 MB more$/)
      assert.equal(await page.evaluate(() => document.querySelector('.notice.held code').title), author ?? log)
      await passesAxe(page, 'home while somebody is held')
      await page.click('.notice.held button')
      await bob.sees(`/~/${space}/flood/${VALUES - 1}`, VALUE)
      await page.waitFor(() => !document.querySelector('.notice.held'), { what: 'home to be content' })
      assert.deepEqual(await held(), [])
      await Promise.all([browser.close(), ada.close()])
      await site.close()
      await relay.kill()
    })
  })
}
