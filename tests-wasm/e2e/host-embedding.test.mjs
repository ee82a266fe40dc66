// lane: beside
// Kith on an author's own site: one script tag; inside the author's own classic or module worker; beside Workbox.
import assert from 'node:assert/strict'
import { join } from 'node:path'
import { before, describe, test } from 'node:test'
import { build } from 'esbuild'
import { availableBrowsers, openBrowser, ROOT, startSite } from '../harness/index.mjs'
import { buildHost } from './host/build.mjs'

const html = (tags) => `<!doctype html><title>an author's page</title>${tags}<h1>Hello</h1>`

/** An author's worker: answers `/author` and messages, and leaves the rest alone. */
const AUTHORS_OWN = `
addEventListener('fetch', (event) => {
  if (new URL(event.request.url).pathname === '/author') event.respondWith(new Response('from the author'))
})
addEventListener('message', (event) => event.data === 'hello, author' && event.source.postMessage('hello, page'))
addEventListener('install', () => skipWaiting())
`

let dir
let workbox
before(async () => {
  dir = await buildHost()
  const { outputFiles } = await build({
    stdin: {
      contents: `
        import { precacheAndRoute } from 'workbox-precaching'
        import { registerRoute, setCatchHandler } from 'workbox-routing'
        import { CacheFirst } from 'workbox-strategies'
        precacheAndRoute([{ url: '/styles.css', revision: '1' }, { url: '/', revision: '1' }])
        registerRoute(({ url }) => url.pathname.startsWith('/images/'), new CacheFirst())
        // A route for everything: Workbox would take our paths too if it were asked first.
        registerRoute(({ url }) => url.pathname.endsWith('.txt'), async () => new Response('from workbox'))`,
      resolveDir: join(ROOT, 'sw-host'),
    },
    bundle: true,
    write: false,
    format: 'iife',
    define: { 'process.env.NODE_ENV': '"production"' },
  })
  workbox = outputFiles[0].text
})

const roundTrip = (page) =>
  page.evaluate(async () => {
    await window.kith.ready
    const put = await fetch('/~/me/notes/1', { method: 'PUT', body: '{"title":"Tea"}', headers: { 'content-type': 'application/json' } })
    return [put.status, await (await fetch('/~/me/notes/1')).json()]
  })
const workers = (page) => page.evaluate(async () => (await navigator.serviceWorker.getRegistrations()).map(({ active }) => new URL(active.scriptURL).pathname))
const text = (page, path) => page.evaluate((url) => fetch(url).then((answer) => answer.text()), path)

for (const kind of availableBrowsers()) {
  describe(kind, () => {
    test('one script tag: fetch, EventSource, a worker thread and a frame all reach the peer', async () => {
      const { url } = await startSite({
        dir,
        files: {
          '/': html('<script type="module" src="/kith.js" data-relay="none"></script>'),
          '/frame': html(''),
          '/thread.js': { body: `onmessage = async () => postMessage(await (await fetch('/~/me/notes/1')).json())`, type: 'text/javascript' },
          '/own.txt': 'from the server',
        },
      })
      const browser = await openBrowser(kind)
      const page = await browser.newPage(url)
      assert.deepEqual(await roundTrip(page), [201, { title: 'Tea' }])
      assert.deepEqual(await workers(page), ['/kith-worker.js'])
      assert.equal(await text(page, '/own.txt'), 'from the server')
      const seen = await page.evaluate(async () => {
        const event = await new Promise((resolve) => {
          const events = new EventSource('/~/me/notes/1')
          events.onmessage = ({ data }) => (events.close(), resolve(JSON.parse(data)))
        })
        const thread = new Worker('/thread.js')
        const fromThread = new Promise((resolve) => { thread.onmessage = ({ data }) => resolve(data) })
        thread.postMessage('go')
        const frame = document.createElement('iframe')
        frame.src = '/frame'
        const loaded = new Promise((resolve) => { frame.onload = resolve })
        document.body.append(frame)
        await loaded
        const fromFrame = await (await frame.contentWindow.fetch('/~/me/notes/1')).json()
        const subscribed = await fetch('/~/me/notes/1', { headers: { subscribe: 'true' } })
        await subscribed.body.cancel()
        return { event, thread: await fromThread, frame: fromFrame, subscribed: [subscribed.status, subscribed.statusText] }
      })
      assert.deepEqual(seen, { event: { title: 'Tea' }, thread: { title: 'Tea' }, frame: { title: 'Tea' }, subscribed: [209, 'Multiresponse'] })
      await browser.close()
    })

    test('a browser without module workers gets the classic one', async () => {
      const noModules = `<script>
        const { register } = ServiceWorkerContainer.prototype
        ServiceWorkerContainer.prototype.register = function (url, options) {
          return options?.type === 'module' ? Promise.reject(new TypeError('type "module" is not supported')) : register.call(this, url, options)
        }</script>`
      const { url } = await startSite({ dir, files: { '/': html(`${noModules}<script type="module" src="/kith.js" data-relay="none"></script>`) } })
      const browser = await openBrowser(kind)
      const page = await browser.newPage(url)
      assert.deepEqual(await roundTrip(page), [201, { title: 'Tea' }])
      assert.deepEqual(await workers(page), ['/kith-worker-classic.js'])
      await page.reload()
      assert.deepEqual(await roundTrip(page), [200, { title: 'Tea' }])
      await browser.close()
    })

    test("importScripts in the author's classic worker, which the author registers", async () => {
      const { url } = await startSite({
        dir,
        files: {
          '/': html(`<script>navigator.serviceWorker.register('/sw.js')</script><script type="module" src="/kith.js" data-worker="none" data-relay="none"></script>`),
          '/sw.js': { body: `importScripts('/kith-worker-classic.js');\n${AUTHORS_OWN}`, type: 'text/javascript' },
          '/other.txt': 'from the server',
        },
      })
      const browser = await openBrowser(kind)
      const page = await browser.newPage(url)
      assert.deepEqual(await roundTrip(page), [201, { title: 'Tea' }])
      assert.deepEqual(await workers(page), ['/sw.js'])
      assert.equal(await text(page, '/author'), 'from the author')
      assert.equal(await text(page, '/other.txt'), 'from the server')
      const greeting = await page.evaluate(() => new Promise((resolve) => {
        navigator.serviceWorker.onmessage = ({ data }) => resolve(data)
        navigator.serviceWorker.controller.postMessage('hello, author')
      }))
      assert.equal(greeting, 'hello, page')
      await browser.close()
    })

    test("everything from a relay elsewhere: the author's site has only a page and a worker of two lines", async () => {
      const addrs = ['/ip4/127.0.0.1/tcp/9/ws/p2p/12D3KooWEyoppNCUx8Yx66oV9fJnriXwCcXwDDUA2kj6vnc6iDEp']
      const relay = await startSite({ dir, headers: { 'access-control-allow-origin': '*' }, files: { '/.well-known/kith.json': JSON.stringify({ addrs }) } })
      const { url } = await startSite({
        files: {
          '/': html(`<script type="module" src="${relay.url}kith.js" data-worker="/sw.js" data-type="classic"></script>`),
          '/sw.js': { body: `self.kithOptions = { files: '${relay.url}' }; importScripts('${relay.url}kith-worker-classic.js');`, type: 'text/javascript' },
        },
      })
      const browser = await openBrowser(kind)
      const page = await browser.newPage(url)
      assert.deepEqual(await roundTrip(page), [201, { title: 'Tea' }])
      await page.waitFor(async (wanted) => (await window.kith.status()).relays.join() === wanted, { args: [addrs.join()], what: 'the relay the script came from' })
      await browser.close()
    })

    test("import in the author's module worker, which the script tag registers", async () => {
      const { url } = await startSite({
        dir,
        files: {
          '/': html(`<script type="module" src="/kith.js" data-worker="/sw.js" data-type="module" data-relay="none"></script>`),
          '/sw.js': { body: `import '/kith-worker.js';\n${AUTHORS_OWN}`, type: 'text/javascript' },
        },
      })
      const browser = await openBrowser(kind)
      const page = await browser.newPage(url)
      assert.deepEqual(await roundTrip(page), [201, { title: 'Tea' }])
      assert.deepEqual(await workers(page), ['/sw.js'])
      assert.equal(await text(page, '/author'), 'from the author')
      await browser.close()
    })

    test('a page with its own Workbox worker keeps its caching', async () => {
      const site = await startSite({
        dir,
        files: {
          '/': html(`<script>navigator.serviceWorker.register('/sw.js')</script><script type="module" src="/kith.js" data-worker="none" data-relay="none"></script>`),
          '/sw.js': { body: `importScripts('/kith-worker-classic.js');\n${workbox}`, type: 'text/javascript' },
          '/styles.css': 'h1 { color: green }',
          '/images/one.svg': '<svg xmlns="http://www.w3.org/2000/svg"/>',
          '/page.html': html(''),
        },
      })
      const browser = await openBrowser(kind)
      const page = await browser.newPage(site.url)
      assert.deepEqual(await roundTrip(page), [201, { title: 'Tea' }])
      const before = await text(page, '/images/one.svg')
      site.files['/styles.css'] = 'h1 { color: red }'
      site.files['/images/one.svg'] = 'changed'
      assert.equal(await text(page, '/styles.css'), 'h1 { color: green }', 'precached')
      assert.equal(await text(page, '/images/one.svg'), before, 'cached at first use')
      assert.equal(await text(page, '/anything.txt'), 'from workbox')
      assert.match(await text(page, '/page.html'), /an author's page/, 'what neither wants goes to the server')
      // Ours comes first even where a Workbox route would match.
      await page.evaluate(() => fetch('/~/me/file.txt', { method: 'PUT', body: 'mine', headers: { 'content-type': 'text/plain' } }))
      assert.equal(await text(page, '/~/me/file.txt'), 'mine')
      await site.close()
      await page.reload()
      assert.equal(await page.evaluate(() => document.querySelector('h1').textContent), 'Hello', 'the precached page opens offline')
      await browser.close()
    })

    test('a worker without Kith is told apart, in plain words', async () => {
      const { url } = await startSite({
        dir,
        files: {
          '/': html(`<script>navigator.serviceWorker.register('/sw.js')</script><script type="module" src="/kith.js" data-worker="none" data-relay="none"></script>`),
          '/sw.js': { body: `${AUTHORS_OWN} addEventListener('activate', (event) => event.waitUntil(clients.claim()))`, type: 'text/javascript' },
        },
      })
      const browser = await openBrowser(kind)
      const page = await browser.newPage(url)
      const told = await page.evaluate(() => window.kith.ready.catch(({ type, detail }) => ({ type, detail })))
      assert.equal(told.type, 'urn:kith:problem:no-kith-in-worker')
      assert.match(told.detail, /importScripts/)
      await browser.close()
    })

    test('a worker for a part of the site keeps itself alive with a script inside its scope', async () => {
      const site = await startSite({
        dir,
        files: {
          '/app/': html(`<script type="module" src="/kith.js" data-worker="/app/sw.js" data-type="classic" data-relay="none"></script>`),
          '/app/sw.js': { body: `self.kithOptions = { files: '/' }; importScripts('/kith-worker-classic.js');\n${AUTHORS_OWN}`, type: 'text/javascript' },
        },
      })
      const browser = await openBrowser(kind)
      const page = await browser.newPage(`${site.url}app/`)
      assert.deepEqual(await roundTrip(page), [201, { title: 'Tea' }])
      await page.waitFor(() => performance.getEntriesByType('resource').some(({ name }) => name.endsWith('/app/~/heartbeat.js')), { what: 'the keep-alive script' })
      // Were the thread outside the scope, its requests would go to the server.
      assert.equal(site.requests.filter(({ path }) => path.startsWith('/~/') || path.includes('heartbeat')).length, 0)
      await browser.close()
    })
  })
}
