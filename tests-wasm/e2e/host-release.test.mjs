// What happens to pages while files change under them and while the peer crashes: a new release takes over, damaged files are refused.
import assert from 'node:assert/strict'
import { readFile } from 'node:fs/promises'
import { join } from 'node:path'
import { before, describe, test } from 'node:test'
import { availableBrowsers, openBrowser, startSite, stays, tempDir } from '../harness/index.mjs'
import { buildHost, deploy } from './host/build.mjs'

const PAGE = '<!doctype html><title>a page</title><script type="module" src="/kith.js" data-relay="none"></script><h1>Hello</h1>'

let release1
let release2
before(async () => {
  release1 = await buildHost({ suffix: '-one' })
  release2 = await buildHost({ suffix: '-two' })
})

/** A site with the first release, to be replaced in place. */
async function deployed(files = {}) {
  const dir = tempDir('kith-site')
  await deploy(release1, dir)
  return { dir, ...(await startSite({ dir, files: { '/': PAGE, ...files } })) }
}

/** A writer's pause between two writes, in milliseconds. Without any, Chromium finds no moment to change workers for minutes. */
const THINK_MS = 25

/** Starts writers in the page that go on until told to stop: each write is a new place, so a lost one shows. */
const startWriting = (page, writers) =>
  page.evaluate((count, think) => {
    const work = { on: true, acknowledged: [], failed: [], bypassed: 0, releases: new Set(), next: 0 }
    window.work = work
    work.waiting = undefined
    work.done = Promise.all(
      Array.from({ length: count }, async () => {
        while (work.on) {
          await new Promise((resolve) => setTimeout(resolve, think))
          await work.waiting
          const path = `/~/me/n/${work.next++}`
          try {
            let answer
            // While a browser changes workers it may ask the network instead of either. Such an answer does not carry the worker's
            // name, so a page can tell; it asks again, as the SDK does by itself.
            do {
              answer = await fetch(path, { method: 'PUT', body: '1', headers: { 'content-type': 'application/json' } })
            } while (!answer.headers.has('kith-worker') && ++work.bypassed && (await new Promise((again) => setTimeout(again, think, true))))
            work.releases.add(answer.headers.get('kith-worker'))
            if (answer.ok) work.acknowledged.push(path)
            else work.failed.push([path, answer.status, await answer.text()])
          } catch (error) {
            work.failed.push([path, String(error)])
          }
        }
      }),
    )
  }, writers, THINK_MS)

/**
 * Has the browser look for a new release. Chromium puts that off while pages are busy, so all writers pause until it has found
 * one; what follows happens under load.
 */
async function findRelease(...pages) {
  for (const page of pages) await page.evaluate(() => { window.work.waiting = new Promise((resolve) => { window.work.goOn = resolve }) })
  await pages[0].evaluate(async () => {
    const registration = await navigator.serviceWorker.getRegistration()
    const found = new Promise((resolve) => registration.addEventListener('updatefound', resolve, { once: true }))
    void registration.update()
    await found
  })
  await Promise.all(pages.map((page) => page.evaluate(() => window.work.goOn())))
}

const stopWriting = (page) =>
  page.evaluate(async () => {
    const { work } = window
    work.on = false
    await work.done
    const missing = []
    for (const path of work.acknowledged) {
      const answer = await fetch(path)
      if (!answer.ok || !answer.headers.has('kith-worker')) missing.push(path)
    }
    return { acknowledged: work.acknowledged.length, failed: work.failed, bypassed: work.bypassed, missing, releases: [...work.releases] }
  })

for (const kind of availableBrowsers()) {
  describe(kind, () => {
    test('a new release takes over while old pages write and listen; nothing is lost and nothing fails', { skip: kind === 'webkit' && 'WebDriver lets only one tab of WebKitGTK run at a time' }, async (t) => {
      const { url, dir } = await deployed()
      const browser = await openBrowser(kind)
      // The page opened last is in front; Firefox lets timers of others run once a second.
      const [other, page] = [await browser.newPage(url), await browser.newPage(url)]
      for (const tab of [page, other]) await tab.evaluate(() => window.kith.ready)
      await page.evaluate(() => {
        window.seen = []
        const events = new EventSource('/~/me/tick')
        events.onmessage = ({ data }) => window.seen.push(JSON.parse(data))
      })
      await other.evaluate(() => {
        window.seen = []
        void (async () => {
          for await (const { value } of window.kith.space().subscribe('tick')) window.seen.push(value)
        })()
      })
      await startWriting(page, 3)
      await startWriting(other, 1)
      await page.waitFor(() => window.work.acknowledged.length > 20, { what: 'writes under the old release' })
      await other.waitFor(() => window.work.acknowledged.length > 0, { what: 'a write of the other page under the old release' })
      await deploy(release2, dir)
      await findRelease(page, other)
      await page.waitFor(() => [...window.work.releases].some((release) => release?.endsWith('-two')), { what: 'the new release to answer', timeout: 40_000 })
      const settled = await page.evaluate(() => window.work.acknowledged.length)
      await page.waitFor((count) => window.work.acknowledged.length > count + 20, { args: [settled], what: 'writes under the new release' })
      for (const tab of [page, other]) {
        const { acknowledged, failed, bypassed, missing, releases } = await stopWriting(tab)
        if (bypassed > 0) t.diagnostic(`${kind} asked the network ${bypassed} times while it changed workers`)
        assert.ok(acknowledged > 0)
        assert.deepEqual(failed, [])
        assert.deepEqual(missing, [])
        assert.equal(releases.length, 2, `both releases answered: ${releases}`)
      }
      // Streams opened under the old release go on under the new one.
      await page.evaluate(() => window.kith.space().put('tick', 'after'))
      for (const tab of [page, other]) await tab.waitFor(() => window.seen.at(-1) === 'after', { what: 'the subscription to go on' })
      await browser.close()
    })

    test('a page of the old release works with the new worker', async () => {
      const { url, dir } = await deployed()
      const browser = await openBrowser(kind)
      const page = await browser.newPage(url)
      await page.evaluate(() => window.kith.ready)
      await deploy(release2, dir)
      const release = await page.evaluate(async () => {
        const registration = await navigator.serviceWorker.getRegistration()
        const changed = new Promise((resolve) => navigator.serviceWorker.addEventListener('controllerchange', resolve, { once: true }))
        await registration.update()
        await changed
        await window.kith.space().put('a', 1)
        return { page: window.kith.release, worker: (await fetch('/~/me/a')).headers.get('kith-worker') }
      })
      assert.match(release.page, /-one$/)
      assert.match(release.worker, /-two$/)
      await browser.close()
    })

    test('a page that the new worker no longer understands loads itself anew, once', async () => {
      const site = await deployed()
      const browser = await openBrowser(kind)
      const page = await browser.newPage(site.url)
      await page.evaluate(() => window.kith.ready)
      // A worker from the future: it answers every greeting in another protocol.
      site.files['/kith-worker.js'] = {
        type: 'text/javascript',
        body: `addEventListener('install', (event) => event.waitUntil(skipWaiting()))
          addEventListener('activate', (event) => event.waitUntil(clients.claim()))
          addEventListener('message', ({ ports }) => ports[0]?.postMessage({ kith: 99, type: 'welcome', instance: 'future', release: '99' }))`,
      }
      const loads = () => site.requests.filter(({ path }) => path === '/').length
      assert.equal(loads(), 1)
      await page.evaluate(() => navigator.serviceWorker.getRegistration().then((registration) => void registration.update()))
      const told = await page.waitFor(() => window.kith?.problem?.detail, { what: 'the page loaded anew to say that it is too old as well' })
      assert.match(told, /two releases/)
      assert.equal(loads(), 2)
      await browser.close()
    })

    test('damaged and half-downloaded wasm is refused, and fetched again', { skip: kind === 'webkit' && 'WebKitGTK has no way to stop a Service Worker from outside' }, async () => {
      const site = await deployed()
      const good = await readFile(join(site.dir, 'kith', 'peer_bg.wasm'))
      const answers = [good.subarray(0, good.length - 7), Buffer.concat([good, Buffer.from([0, 1, 0])]), good]
      let asked = 0
      site.files['/kith/peer_bg.wasm'] = (_request, response) => {
        response.writeHead(200, { 'content-type': 'application/wasm' })
        response.end(answers[Math.min(asked++, answers.length - 1)])
      }
      const browser = await openBrowser(kind)
      const page = await browser.newPage(site.url)
      await page.evaluate(() => window.kith.ready)
      assert.equal(await page.evaluate(() => window.kith.space().put('a', 1).then(({ created }) => created)), true)
      assert.equal(asked, 3, 'two bad copies, then the good one')

      // Damage in the cache is found at the next start.
      await page.evaluate(async () => {
        const cache = await caches.open('kith-wasm')
        const [request] = await cache.keys()
        const bytes = new Uint8Array(await (await cache.match(request)).arrayBuffer())
        bytes[bytes.length - 1] ^= 1
        await cache.put(request, new Response(bytes, { headers: { 'content-type': 'application/wasm' } }))
      })
      await browser.killWorker()
      assert.equal(await page.evaluate(() => window.kith.space().get('a')), 1)
      assert.equal(asked, 4)
      await browser.close()
    })

    test('wasm that stays damaged is never started, and the page is told', async () => {
      const site = await deployed()
      site.files['/kith/peer_bg.wasm'] = { body: '<html>captive portal</html>', type: 'application/wasm' }
      const browser = await openBrowser(kind)
      const page = await browser.newPage(site.url)
      const told = await page.evaluate(() => window.kith.ready.catch(({ type, detail }) => ({ type, detail })))
      assert.equal(told.type, 'urn:kith:problem:worker-script')
      assert.match(told.detail, /could not be fetched whole/)
      // Once the server is well again, so is the page.
      delete site.files['/kith/peer_bg.wasm']
      await page.reload()
      await page.evaluate(() => window.kith.ready)
      await browser.close()
    })

    test('a crash of the peer is survived: same worker, fresh peer, streams resume, no ghost of the old one', async () => {
      const { url } = await deployed()
      const browser = await openBrowser(kind)
      const page = await browser.newPage(url)
      await page.evaluate(() => window.kith.ready)
      const before = await page.evaluate(async () => {
        await window.kith.space().put('a', 1)
        window.seen = []
        new EventSource('/~/me/a').onmessage = ({ data }) => window.seen.push(JSON.parse(data))
        await fetch('/~/fake/haunt', { method: 'POST' })
        return (await fetch('/~/peer')).json()
      })
      await page.waitFor(() => window.seen.length === 1, { what: 'the first state' })
      await page.waitFor(async () => (await window.kith.space().get('ghost')) === 'boo', { what: 'the haunting to begin' })
      // In the middle of a request that must not be repeated: told so, with Retry-After.
      const answer = await page.evaluate(async () => {
        const reply = await fetch('/~/fake/trap', { method: 'POST' })
        return { status: reply.status, retry: reply.headers.get('retry-after'), type: (await reply.json()).type }
      })
      assert.deepEqual(answer, { status: 503, retry: '1', type: 'urn:kith:problem:peer-stopped' })
      // In a timer, with nobody asking.
      await page.evaluate(() => fetch('/~/fake/trap?later', { method: 'POST' }))
      const after = await page.evaluate(() => window.kith.status())
      assert.notEqual(after.opened, before.opened, 'the peer was opened afresh')
      assert.equal(await page.evaluate(() => window.kith.space().get('a')), 1)
      await page.evaluate(() => window.kith.space().put('a', 2))
      await page.waitFor(() => window.seen.at(-1) === 2, { what: 'the stream to resume' })
      // The dropped peer's timer wrote every 40 ms while it lived; it must not write over this.
      await page.evaluate(() => window.kith.space().put('ghost', 'gone'))
      await stays(() => page.evaluate(async () => (await window.kith.space().get('ghost')) === 'gone'), { what: 'what the fresh peer wrote', ms: 500 })
      await browser.close()
    })

    test('a peer that crashes again and again rests, and says so', async () => {
      const { url } = await deployed()
      const browser = await openBrowser(kind)
      const page = await browser.newPage(url)
      await page.evaluate(() => window.kith.ready)
      const details = await page.evaluate(async () => {
        const told = []
        for (let i = 0; i < 8; i++) told.push((await (await fetch('/~/fake/trap', { method: 'POST' })).json()).detail)
        return told
      })
      assert.match(details.at(-1), /rests now/)
      await browser.close()
    })

    test('the page shell opens offline, and never mixes two releases', { skip: kind === 'webkit' && 'WebKitGTK has no way to stop a Service Worker from outside' }, async () => {
      const site = await deployed()
      const shell = (release, text) => {
        site.files['/'] = PAGE.replace('data-relay', 'data-shell="/shell.json" data-relay').replace('</h1>', `</h1><p id="text">${text}</p><script src="/part.js"></script>`)
        site.files['/part.js'] = { body: `document.querySelector('#text').dataset.part = ${JSON.stringify(text)}`, type: 'text/javascript' }
        site.files['/shell.json'] = JSON.stringify({ release, files: ['/', '/part.js', '/kith.js'] })
      }
      shell('1', 'first')
      const browser = await openBrowser(kind)
      const page = await browser.newPage(site.url)
      await page.evaluate(() => window.kith.ready)
      const kept = (release) => page.waitFor((name) => caches.open(name).then((cache) => cache.match('/~/.shell-complete')).then(Boolean), { args: [`kith-shell-${release}`], what: `release ${release} to be kept` })
      await kept('1')
      const show = () => page.evaluate(() => { const { textContent, dataset } = document.querySelector('#text'); return [textContent, dataset.part] })

      // A release with a missing file is not used.
      shell('2', 'second')
      site.files['/shell.json'] = JSON.stringify({ release: '2', files: ['/', '/part.js', '/kith.js', '/missing.js'] })
      await browser.killWorker()
      await page.goto(site.url)
      assert.deepEqual(await show(), ['first', 'first'])

      const { close } = site
      await close()
      await browser.killWorker()
      await page.goto(`${site.url}?offline`)
      assert.deepEqual(await show(), ['first', 'first'])
      await page.evaluate(() => window.kith.ready)
      assert.equal(await page.evaluate(() => window.kith.space().put('offline', 1).then(({ created }) => created)), true)
      await browser.close()
    })
  })
}
