// The browser deletes the data of a site to make room: at the next visit the person is told so, and what others have comes back by itself.
// Deleted is what each browser evicts: in Chromium everything but `localStorage`, in Firefox everything but cookies.
import assert from 'node:assert/strict'
import { describe, it } from 'node:test'
import { missing, openBrowser, startRelay, waitFor } from '../harness/index.mjs'
import { appears, textOf } from './demos-support.mjs'
import { NETWORK_MS, meet, person } from './peers-support.mjs'

const EVICT = {
  async chromium({ browser, page }, origin) {
    const session = await browser.native.context.newCDPSession(page.native)
    await session.send('Storage.clearDataForOrigin', { origin, storageTypes: 'indexeddb,cache_storage,service_workers' })
  },
  async firefox({ browser }, origin) {
    await browser.native.chrome(`
      const principal = Services.scriptSecurityManager.createContentPrincipalFromOrigin(${JSON.stringify(origin)})
      await ChromeUtils.importESModule('resource://gre/modules/ServiceWorkerCleanUp.sys.mjs').ServiceWorkerCleanUp.removeFromPrincipal(principal)
      await new Promise((resolve) => (Services.qms.clearStoragesForPrincipal(principal).callback = resolve))
      return true`)
  },
}
const kept = (page) => page.evaluate(() => JSON.parse(localStorage.getItem('kith-kept') ?? 'null'))

for (const kind of ['chromium', 'firefox']) {
  describe(`${kind} deletes the data of a site`, { skip: missing(kind) }, () => {
    it('which is said at the next visit; what others have comes back where an invite is remembered', async () => {
      const relay = await startRelay()
      const origin = new URL(relay.url).origin
      const ada = await person('chromium', relay.url)
      const space = await ada.space('Trip')
      await ada.put(`/~/${space}/plan`, { day: 'Friday' })
      const invite = await ada.invite(space, 'writer', '/')

      const browser = await openBrowser(kind)
      const page = await browser.newPage(relay.url)
      const before = (await meet(browser, page)).status
      const { id } = await before()
      await page.waitFor(() => localStorage.getItem('kith-kept') !== null, { what: 'the page to remember its peer' })
      await page.goto(invite)
      const bob = await meet(browser, page)
      await bob.sees(`/~/${space}/plan`, { day: 'Friday' })
      await bob.put(`/~/${space}/from-bob`, 1)
      await ada.sees(`/~/${space}/from-bob`, 1)
      await waitFor(async () => (await kept(page)).spaces.some((known) => known.id === space && known.invite), { what: 'the page to remember the invite' })
      assert.equal(await page.evaluate(() => window.kith.lost), undefined, 'nothing is lost yet')

      await page.goto('about:blank')
      await EVICT[kind]({ browser, page }, origin)
      await page.goto(relay.url)
      const again = await meet(browser, page)
      assert.notEqual((await again.status()).id, id, 'the keys are gone, so this is another peer')
      await appears(page, '.notice.lost')
      assert.match(await textOf(page, '.notice.lost'), /^Your browser deleted what was stored here\./)
      if (kind === 'chromium') {
        // Everything that others have, what this person had written included.
        await again.sees(`/~/${space}/plan`, { day: 'Friday' })
        await again.sees(`/~/${space}/from-bob`, 1)
        await page.waitFor(() => document.querySelector('.notice.lost')?.innerText.includes('Joined again'), { what: 'home to say so', timeout: NETWORK_MS })
        await again.put(`/~/${space}/from-bob`, 2)
        await ada.sees(`/~/${space}/from-bob`, 2)
      }

      // Read and put aside, it is not said again; and nothing is found missing where nothing is.
      await page.click('.notice.lost button')
      await page.waitFor(() => !document.querySelector('.notice.lost'))
      await page.goto(relay.url)
      await meet(browser, page)
      await page.waitFor(() => window.kith.ready.then(() => true))
      assert.deepEqual(await page.evaluate(() => [window.kith.lost ?? null, localStorage.getItem('kith-lost')]), [null, null])
      await Promise.all([browser.close(), ada.close()])
      await relay.kill()
    })

    it('but not when the person did so, or a page cleared what only it had remembered', async () => {
      const relay = await startRelay()
      const browser = await openBrowser(kind)
      const page = await browser.newPage(relay.url)
      const { status } = await meet(browser, page)
      const { id } = await status()
      const remembered = () => page.waitFor(() => localStorage.getItem('kith-kept') !== null, { what: 'the page to remember its peer' })
      await remembered()
      await page.evaluate(() => localStorage.clear())
      await page.goto(relay.url)
      await meet(browser, page)
      await remembered()
      assert.deepEqual([(await status()).id, await page.evaluate(() => window.kith.lost)], [id, undefined])

      await page.goto(`${relay.url}?kith=unregister&wipe=1`)
      await page.click('button')
      await page.waitFor(() => /on this device is deleted/.test(document.body.textContent), { what: 'the page that says it is done' })
      assert.deepEqual(await page.evaluate(() => [localStorage.length, document.cookie]), [0, ''])
      await page.goto(relay.url)
      const fresh = await meet(browser, page)
      await remembered()
      assert.notEqual((await fresh.status()).id, id)
      assert.equal(await page.evaluate(() => window.kith.lost), undefined)
      await browser.close()
      await relay.kill()
    })
  })
}
