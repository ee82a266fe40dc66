// Several tabs are one peer, and one of them carries WebRTC for all: elected by a Web Lock, handed over when it goes.
import assert from 'node:assert/strict'
import { before, describe, test } from 'node:test'
import { availableBrowsers, openBrowser, startSite } from '../harness/index.mjs'
import { buildHost } from './host/build.mjs'

const PAGE = '<!doctype html><title>a page</title><script type="module" src="/kith.js" data-relay="none"></script><h1>Hello</h1>'

let dir
before(async () => {
  dir = await buildHost()
})

const status = (page) => page.evaluate(() => window.kith.status())
/** Who holds the carrier's lock, as the browser names clients, and how many wait for it. */
const queue = (page) =>
  page.evaluate(async () => {
    const { held, pending } = await navigator.locks.query()
    const ours = (locks) => locks.filter(({ name }) => name === 'kith-carrier').map(({ clientId }) => clientId)
    return { held: ours(held), pending: ours(pending) }
  })

/** Whether this tab is the carrying one. */
const carries = (page) =>
  page.evaluate(() =>
    navigator.locks.request('which-tab', async () => {
      const { held } = await navigator.locks.query()
      const holder = (name) => held.find((lock) => lock.name === name)?.clientId
      return holder('which-tab') === holder('kith-carrier')
    }),
  )

for (const kind of availableBrowsers()) {
  describe(kind, () => {
    test('one of several tabs carries; closing it hands over at once', { skip: kind === 'webkit' && 'this WebKit has no WebRTC' }, async () => {
      const { url } = await startSite({ dir, files: { '/': PAGE } })
      const browser = await openBrowser(kind)
      const tabs = [await browser.newPage(url), await browser.newPage(url), await browser.newPage(url)]
      for (const tab of tabs) await tab.evaluate(() => window.kith.ready)
      await tabs[2].waitFor(async () => (await window.kith.status()).attached === 1, { what: 'the first carrier' })
      const carrying = await Promise.all(tabs.map(carries))
      assert.equal(carrying.filter(Boolean).length, 1)
      const first = tabs[carrying.indexOf(true)]
      const others = tabs.filter((tab) => tab !== first)
      const before = await queue(others[0])
      assert.equal(before.held.length, 1)
      assert.equal(before.pending.length, 2)
      const opened = new Set()
      for (const tab of tabs) opened.add((await status(tab)).opened)
      assert.equal(opened.size, 1, 'all tabs are one peer')

      const began = Date.now()
      await first.close()
      await others[0].waitFor(async () => (await window.kith.status()).attached === 2, { what: 'the second carrier', every: 10 })
      const took = Date.now() - began
      const after = await queue(others[0])
      assert.notDeepEqual(after.held, before.held)
      assert.equal(after.pending.length, 1)
      assert.ok(took < 3000, `handing over took ${took} ms`)
      await browser.close()
    })

    test('a tab that reloads and comes back does not leave the peer without a carrier', { skip: kind === 'webkit' && 'this WebKit has no WebRTC' }, async () => {
      const { url } = await startSite({ dir, files: { '/': PAGE } })
      const browser = await openBrowser(kind)
      const page = await browser.newPage(url)
      await page.evaluate(() => window.kith.ready)
      await page.waitFor(async () => (await window.kith.status()).attached === 1)
      await page.reload()
      await page.evaluate(() => window.kith.ready)
      await page.waitFor(async () => (await window.kith.status()).attached === 2, { what: 'the carrier of the page loaded anew' })
      await browser.close()
    })

    test('after the worker died the page starts it again and carries for it, without being asked', { skip: kind === 'webkit' && 'WebKitGTK has no way to stop a Service Worker from outside' }, async () => {
      const { url } = await startSite({ dir, files: { '/': PAGE } })
      const browser = await openBrowser(kind)
      const page = await browser.newPage(url)
      await page.evaluate(() => window.kith.ready)
      const { opened } = await status(page)
      await browser.killWorker()
      // Looking through the locks asks nothing of the worker: a new life lock shows that the page woke it.
      await page.waitFor(async () => (await navigator.locks.query()).held.some(({ name }) => name.startsWith('kith-worker-alive-')), { what: 'a living worker' })
      await page.waitFor(async () => (await window.kith.status()).attached === 1, { what: 'the carrier in the new worker' })
      assert.notEqual((await status(page)).opened, opened)
      await browser.close()
    })

    test('after a crash of the peer inside the living worker the carrier is attached anew', { skip: kind === 'webkit' && 'this WebKit has no WebRTC' }, async () => {
      const { url } = await startSite({ dir, files: { '/': PAGE } })
      const browser = await openBrowser(kind)
      const page = await browser.newPage(url)
      await page.evaluate(() => window.kith.ready)
      await page.waitFor(async () => (await window.kith.status()).attached === 1)
      const { opened } = await status(page)
      await page.evaluate(() => fetch('/~/fake/trap', { method: 'POST' }))
      await page.waitFor(async (old) => { const now = await window.kith.status(); return now.opened !== old && now.attached === 1 }, { args: [opened], what: 'the carrier in the fresh peer' })
      await browser.close()
    })

    test('a page without WebRTC leaves the election to others', { skip: kind === 'webkit' && 'this WebKit has no WebRTC' }, async () => {
      const bare = PAGE.replace('<script', '<script>delete globalThis.RTCPeerConnection; delete globalThis.mozRTCPeerConnection</script><script')
      const { url } = await startSite({ dir, files: { '/': PAGE, '/bare': bare } })
      const browser = await openBrowser(kind)
      const without = await browser.newPage(`${url}bare`)
      await without.evaluate(() => window.kith.ready)
      assert.deepEqual(await queue(without), { held: [], pending: [] })
      const able = await browser.newPage(url)
      await able.evaluate(() => window.kith.ready)
      await able.waitFor(async () => (await window.kith.status()).attached === 1)
      await browser.close()
    })
  })
}
