// The first minutes of a page with the worker: first visit, hard reload, several tabs, no worker at all, the kill switch.
// The peer inside is a small double that keeps its values in IndexedDB; everything else is real.
import assert from 'node:assert/strict'
import { before, describe, test } from 'node:test'
import { availableBrowsers, openBrowser, startSite } from '../harness/index.mjs'
import { buildHost } from './host/build.mjs'

const PAGE = `<!doctype html><title>a page</title><script>window.controlledAtLoad = Boolean(navigator.serviceWorker?.controller)</script>
<script type="module" src="/kith.js" data-relay="none"></script><h1>Hello</h1>`

let dir
before(async () => {
  dir = await buildHost()
})

const site = (files = {}) => startSite({ dir, files: { '/': PAGE, '/second': PAGE, ...files } })
const read = (page, path) => page.evaluate((url) => fetch(url).then((answer) => answer.json()), path)
const problemOf = (page) => page.evaluate(() => window.kith.ready.then(() => 'it is ready', ({ name, type, title, detail, status }) => ({ name, type, title, detail, status })))
const put = (page, path, value) =>
  page.evaluate((url, body) => fetch(url, { method: 'PUT', body, headers: { 'content-type': 'application/json' } }).then((answer) => answer.status), path, JSON.stringify(value))

for (const kind of availableBrowsers()) {
  describe(kind, () => {
    test('the first visit works without a reload, and a tab opened later finds the same peer', async () => {
      const { url } = await site()
      const browser = await openBrowser(kind)
      const first = await browser.newPage(url)
      await first.evaluate(() => window.kith.ready)
      assert.equal(await put(first, '/~/me/greeting', 'hello'), 201)
      const second = await browser.newPage(`${url}second`)
      await second.evaluate(() => window.kith.ready)
      assert.equal(await read(second, '/~/me/greeting'), 'hello')
      const [one, two] = [await read(first, '/~/peer'), await read(second, '/~/peer')]
      assert.equal(one.opened, two.opened, 'both tabs are one peer')
      await browser.close()
    })

    test('a hard reload recovers by itself', { skip: kind === 'webkit' && 'WebDriver has no reload past the Service Worker' }, async () => {
      const { url } = await site()
      const browser = await openBrowser(kind)
      const page = await browser.newPage(url)
      await page.evaluate(() => window.kith.ready)
      assert.equal(await put(page, '/~/me/kept', 1), 201)
      await page.reload({ hard: true })
      await page.evaluate(() => window.kith.ready)
      assert.equal(await page.evaluate(() => window.controlledAtLoad), false, 'the reload really went past the worker')
      assert.equal(await read(page, '/~/me/kept'), 1)
      await browser.close()
    })

    test('the worker killed at any time starts again and answers', { skip: kind === 'webkit' && 'WebKitGTK has no way to stop a Service Worker from outside' }, async () => {
      const { url } = await site()
      const browser = await openBrowser(kind)
      const page = await browser.newPage(url)
      await page.evaluate(() => window.kith.ready)
      assert.equal(await put(page, '/~/me/kept', 1), 201)
      for (let round = 0; round < 5; round++) {
        await browser.killWorker()
        assert.equal(await page.evaluate(() => window.kith.space().get('kept')), 1)
      }
      await browser.close()
    })

    test('the kill switch takes the worker off, and with the data only when the person says so', async () => {
      const { url } = await site()
      const browser = await openBrowser(kind)
      const page = await browser.newPage(url)
      await page.evaluate(() => window.kith.ready)
      await put(page, '/~/me/kept', 1)
      await page.goto(`${url}?kith=unregister`)
      assert.match(await page.evaluate(() => document.body.textContent), /switched off/)
      assert.equal(await page.evaluate(async () => (await navigator.serviceWorker.getRegistrations()).length), 0)

      await page.goto(url)
      await page.evaluate(() => window.kith.ready)
      assert.equal(await read(page, '/~/me/kept'), 1, 'the data was kept')
      await page.goto(`${url}?kith=unregister&wipe=1`)
      assert.match(await page.evaluate(() => document.body.textContent), /Delete everything/)
      await page.click('button')
      await page.waitFor(() => /on this device is deleted/.test(document.body.textContent), { what: 'the page that says it is done' })
      assert.deepEqual(await page.evaluate(async () => [await caches.keys(), await indexedDB.databases()]), [[], []])
      await page.goto(url)
      await page.evaluate(() => window.kith.ready)
      assert.equal(await page.evaluate(() => fetch('/~/me/kept').then((answer) => answer.status)), 404)
      await browser.close()
    })

    test('the page script can uninstall and wipe', async () => {
      const { url } = await site()
      const browser = await openBrowser(kind)
      const page = await browser.newPage(url)
      await page.evaluate(() => window.kith.ready)
      await put(page, '/~/me/kept', 1)
      await page.evaluate(() => window.kith.uninstall({ wipe: true }))
      const left = await page.evaluate(async () => [
        (await navigator.serviceWorker.getRegistrations()).length,
        await caches.keys(),
        (await indexedDB.databases()).map(({ name }) => name),
      ])
      assert.deepEqual(left, [0, [], []])
      await browser.close()
    })

    test('a window without Service Workers is told why, in plain words', async () => {
      // Firefox: a private window as it was for years. Chromium has no such window, so there the page itself takes the interface away.
      const firefox = kind === 'firefox'
      const { url } = await site({ '/': firefox ? PAGE : PAGE.replace('<script>', '<script>Object.defineProperty(Navigator.prototype, "serviceWorker", { get: () => undefined })</script><script>') })
      const browser = await openBrowser(kind, { prefs: { 'browser.privatebrowsing.autostart': true, 'dom.serviceWorkers.privateBrowsing.enabled': false } })
      const page = await browser.newPage(url)
      const told = await problemOf(page)
      assert.deepEqual([told.name, told.type, told.status], ['KithError', 'urn:kith:problem:no-service-worker', 0])
      assert.match(told.detail, /ordinary window/)
      assert.equal(await page.evaluate(() => window.kith.problem.type), told.type)
      await browser.close()
    })

    test('a page over plain http is told why, in plain words', { skip: kind === 'webkit' && 'WebKitGTK cannot be told where a name leads' }, async () => {
      const { port } = await site()
      const browser = await openBrowser(kind, { args: kind === 'chromium' ? ['--host-resolver-rules=MAP plain.example 127.0.0.1'] : [], prefs: { 'network.dns.localDomains': 'plain.example' } })
      const page = await browser.newPage(`http://plain.example:${port}/`)
      const told = await problemOf(page)
      assert.equal(told.type, 'urn:kith:problem:insecure-page')
      assert.match(told.detail, /https/)
      await browser.close()
    })

    test('the worker remembers the relays a page told it, for starts without one', { skip: kind === 'webkit' && 'WebKitGTK has no way to stop a Service Worker from outside' }, async () => {
      const addrs = ['/ip4/127.0.0.1/tcp/4001/ws/p2p/12D3KooWEyoppNCUx8Yx66oV9fJnriXwCcXwDDUA2kj6vnc6iDEp']
      const { url } = await site({
        '/': PAGE.replace(' data-relay="none"', ''),
        '/.well-known/kith.json': JSON.stringify({ name: 'test', version: '0', peerId: 'x', addrs, limits: {} }),
      })
      const browser = await openBrowser(kind)
      const page = await browser.newPage(url)
      await page.evaluate(() => window.kith.ready)
      await page.waitFor(async (wanted) => (await window.kith.status()).relays.join() === wanted, { args: [addrs.join()], what: 'the relay to be told' })
      await page.evaluate(() => fetch('/~/peer'))
      await browser.killWorker()
      assert.deepEqual(await page.evaluate(async () => (await window.kith.status()).openedWith), addrs)
      await browser.close()
    })

    test('an invite link is taken out of the address bar and lands in its app', async () => {
      const { url } = await site()
      const browser = await openBrowser(kind)
      const page = await browser.newPage(`${url}second#kith=good`)
      const joined = await page.waitFor(() => window.kith?.joined, { what: 'the joined space' })
      assert.deepEqual(joined, { space: 'space-1', role: 'writer', app: '/second' })
      await page.waitFor(() => location.search === '?space=space-1')
      assert.equal(await page.evaluate(() => location.hash), '')
      const bad = await browser.newPage(`${url}#kith=bad`)
      const why = await bad.evaluate(() => window.kith.joined.catch(({ status, detail }) => ({ status, detail })))
      assert.deepEqual(why, { status: 422, detail: 'This is not an invite.' })
      assert.equal(await bad.evaluate(() => sessionStorage.length), 0)
      await browser.close()
    })
  })
}
