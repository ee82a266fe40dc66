// The harness's promises, kept in every engine that is here.
import assert from 'node:assert/strict'
import { readFileSync, statSync } from 'node:fs'
import { join } from 'node:path'
import { test } from 'node:test'
import { availableBrowsers, missing, openBrowser, startProxy, startSite, tempDir, Unsupported, waitFor } from './index.mjs'

const STRICT = { 'content-security-policy': "default-src 'self'; script-src 'self' 'wasm-unsafe-eval'" }
const WORKER = `
  const born = Math.random()
  self.addEventListener('install', (event) => event.waitUntil(self.skipWaiting()))
  self.addEventListener('activate', (event) => event.waitUntil(self.clients.claim()))
  self.addEventListener('fetch', (event) => {
    if (new URL(event.request.url).pathname === '/who') event.respondWith(new Response(String(born)))
  })`
const FILES = {
  '/': '<!doctype html><title>kith</title><body><button id="b" onclick="">press</button><input id="i"><p>hello',
  '/page.js': "document.querySelector('#b').addEventListener('click', () => { document.title = 'clicked' })",
  '/worker.js': { body: WORKER, type: 'text/javascript' },
}

async function register() {
  await navigator.serviceWorker.register('/worker.js')
  await navigator.serviceWorker.ready
  if (!navigator.serviceWorker.controller) await new Promise((resolve) => navigator.serviceWorker.addEventListener('controllerchange', resolve))
  return (await fetch('/who')).text()
}
const who = async () => (await fetch('/who')).text()

for (const kind of ['chromium', 'firefox', 'webkit']) {
  test(`${kind}: evaluates under a strict policy, passes values and errors, survives its own tabs`, { skip: missing(kind) }, async () => {
    const site = await startSite({ files: FILES, headers: STRICT })
    const browser = await openBrowser(kind)
    const page = await browser.newPage(site.url)
    assert.equal(await page.evaluate(() => 1 + 1), 2)
    assert.equal(await page.evaluate('document.title'), 'kith')
    assert.deepEqual(await page.evaluate(async (a, b) => ({ sum: a.n + b[0], text: 'ü"\\' }), { n: 1 }, [2]), { sum: 3, text: 'ü"\\' })
    assert.equal(await page.evaluate(() => undefined), undefined)
    const fails = page.evaluate(async () => {
      throw new TypeError('not so')
    })
    await assert.rejects(fails, (error) => error.name === 'TypeError' && error.message === 'not so')
    await page.inject('window.injected = 7')
    assert.equal(await page.evaluate('window.injected'), 7)
    const second = await browser.newPage(`${site.url}?second`)
    const slow = page.evaluate(() => new Promise((resolve) => setTimeout(() => resolve('slow'), 300)))
    assert.equal(await second.evaluate('location.search'), '?second')
    assert.equal(await slow, 'slow')
    await second.close()
    assert.equal(await page.evaluate('document.title'), 'kith')
    await page.evaluate(() => document.querySelector('#b').addEventListener('click', () => (document.title = 'clicked')))
    await page.click('#b')
    await page.waitFor(() => document.title === 'clicked')
    await page.click('#i')
    await page.type('abc')
    await page.waitFor(() => document.querySelector('#i').value === 'abc')
    await page.press('Shift+Tab')
    await page.waitFor(() => document.activeElement.id === 'b')
    await page.reload()
    await page.waitFor(() => document.title === 'kith')
    await browser.close()
    await site.close()
  })

  test(`${kind}: screenshots have the size asked for`, { skip: missing(kind) }, async () => {
    const site = await startSite({ files: FILES })
    const browser = await openBrowser(kind)
    const page = await browser.newPage(site.url)
    const file = join(tempDir(), 'shot.png')
    const sizes = kind === 'webkit' ? [[600, 640, 'light'], [1200, 800, 'light']] : [[360, 640, 'dark'], [1280, 800, 'light']]
    for (const [width, height, colorScheme] of sizes) {
      await page.screenshot(file, { width, height, colorScheme })
      const png = readFileSync(file)
      assert.equal(png.readUInt32BE(16), width)
      assert.equal(png.readUInt32BE(20), height)
      assert.equal(await page.evaluate(() => matchMedia('(prefers-color-scheme: dark)').matches), colorScheme === 'dark')
    }
    assert.ok(statSync(file).size > 500)
    await browser.close()
    await site.close()
  })

  test(`${kind}: a Service Worker can be killed and comes back as another instance`, { skip: missing(kind) }, async (t) => {
    const site = await startSite({ files: FILES })
    const browser = await openBrowser(kind)
    const page = await browser.newPage(site.url)
    const first = await page.evaluate(register)
    assert.equal(await page.evaluate(who), first)
    try {
      for (let round = 0; round < 5; round += 1) {
        const before = await page.evaluate(who)
        assert.equal(await browser.killWorker(), 1)
        assert.notEqual(await page.evaluate(who), before)
      }
    } catch (error) {
      if (!(error instanceof Unsupported)) throw error
      t.diagnostic(`${kind}: ${error.message}`)
    }
    await browser.close()
    await site.close()
  })

  test(`${kind}: after SIGKILL the same profile still has what was stored`, { skip: missing(kind) }, async (t) => {
    if (kind === 'webkit') return t.skip('WebKit automation sessions keep nothing')
    const site = await startSite({ files: FILES })
    let browser = await openBrowser(kind)
    let page = await browser.newPage(site.url)
    const open = () =>
      new Promise((resolve, reject) => {
        const request = indexedDB.open('kept', 1)
        request.onupgradeneeded = () => request.result.createObjectStore('rows')
        request.onsuccess = () => resolve(request.result)
        request.onerror = () => reject(request.error)
      })
    await page.evaluate(`(async () => { const db = await (${open})(); const tx = db.transaction('rows', 'readwrite', { durability: 'strict' });
      tx.objectStore('rows').put(42, 'n'); await new Promise((r, j) => { tx.oncomplete = r; tx.onabort = () => j(tx.error) }) })()`)
    await browser.sigkill()
    assert.throws(() => process.kill(browser.pid, 0))
    browser = await browser.reopen()
    page = await browser.newPage(site.url)
    const kept = await page.evaluate(`(async () => { const db = await (${open})();
      return new Promise((r) => { db.transaction('rows').objectStore('rows').get('n').onsuccess = (e) => r(e.target.result) }) })()`)
    assert.equal(kept, 42)
    await browser.close()
    await site.close()
  })

  test(`${kind}: a hidden tab is hidden, and shown again`, { skip: missing(kind) }, async (t) => {
    if (kind === 'webkit') return t.skip('WebDriver cannot put a WebKit tab in the background and look into it')
    const site = await startSite({ files: FILES })
    const browser = await openBrowser(kind)
    const page = await browser.newPage(site.url)
    await page.hide()
    assert.equal(await page.evaluate('document.visibilityState'), 'hidden')
    await page.show()
    await page.waitFor(() => document.visibilityState === 'visible')
    await browser.close()
    await site.close()
  })

  test(`${kind}: with nobody attached the page runs and reports by itself`, { skip: missing(kind) }, async () => {
    const files = { ...FILES, '/': '<script>fetch("/__report", {method: "POST", body: JSON.stringify({agent: navigator.userAgent})})</script>' }
    const site = await startSite({ files })
    const browser = await openBrowser(kind, { attach: false, url: site.url })
    const { agent } = await site.report(undefined, { timeout: 60_000 })
    assert.match(agent, { chromium: /Chrome/, firefox: /Firefox/, webkit: /AppleWebKit.*Version/ }[kind])
    await browser.sigkill()
    await site.close()
  })
}

test('chromium with nobody attached: tabs can be opened, hidden and looked into', { skip: missing('chromium') }, async () => {
  const site = await startSite({ files: FILES })
  const browser = await openBrowser('chromium', { attach: false, url: site.url })
  const page = await browser.newPage()
  await page.waitFor(() => document.title === 'kith')
  const other = await browser.newPage(`${site.url}?other`)
  await other.waitFor(() => location.search === '?other')
  await page.hide()
  assert.equal(await page.evaluate('document.hidden'), true)
  await page.show()
  await page.waitFor(() => !document.hidden)
  await page.goto(`${site.url}?again`)
  assert.equal(await page.evaluate('location.search'), '?again')
  await other.close()
  await browser.close()
  await site.close()
})

/** Gathers candidates for a moment; says how many there were. */
async function candidates() {
  if (typeof RTCPeerConnection === 'undefined') return 'absent'
  const connection = new RTCPeerConnection()
  const found = []
  connection.createDataChannel('x')
  const done = new Promise((resolve) => {
    connection.onicecandidate = ({ candidate }) => (candidate?.candidate ? found.push(candidate.candidate) : resolve())
  })
  await connection.setLocalDescription(await connection.createOffer())
  // Firefox never says that it is done when it may not gather at all.
  await Promise.race([done, new Promise((resolve) => setTimeout(resolve, 3000))])
  connection.close()
  return found
}

for (const kind of ['chromium', 'firefox']) {
  test(`${kind}: WebRTC is open, blocked or absent as asked`, { skip: missing(kind) }, async () => {
    const site = await startSite({ files: FILES })
    for (const webrtc of ['open', 'blocked', 'absent']) {
      const browser = await openBrowser(kind, { webrtc })
      const page = await browser.newPage(site.url)
      const found = await page.evaluate(candidates)
      if (webrtc === 'open') assert.ok(found.length > 0 && !found.some((text) => text.includes('.local')), `open: ${found}`)
      if (webrtc === 'blocked') assert.deepEqual(found, [])
      if (webrtc === 'absent') assert.equal(found, 'absent')
      await browser.close()
    }
    await site.close()
  })

  test(`${kind}: a cut proxy is a lost network, for the page and its worker, and mends`, { skip: missing(kind) }, async () => {
    const site = await startSite({ files: FILES })
    const proxy = await startProxy(site.url)
    const browser = await openBrowser(kind)
    const page = await browser.newPage(proxy.url)
    await page.evaluate(register)
    const reach = () => fetch(`/?${Math.random()}`).then(() => true, () => false)
    assert.equal(await page.evaluate(reach), true)
    await proxy.cut()
    assert.equal(await page.evaluate(reach), false)
    assert.match(await page.evaluate(who), /^0\./)
    await proxy.restore()
    assert.equal(await page.waitFor(reach, { what: 'the network to be back' }), true)
    await browser.close()
    await site.close()
  })

  test(`${kind}: a tab that crashes or is closed leaves the others alone`, { skip: missing(kind) }, async (t) => {
    const site = await startSite({ files: FILES })
    const browser = await openBrowser(kind)
    const page = await browser.newPage(site.url)
    const other = await browser.newPage('about:blank')
    try {
      await page.crash()
    } catch (error) {
      if (!(error instanceof Unsupported)) throw error
      t.diagnostic(error.message)
      await page.close()
    }
    assert.equal(await other.evaluate(() => 1 + 1), 2)
    await browser.close()
    await site.close()
  })
}

test('nothing is left running', async () => {
  assert.ok(availableBrowsers().length > 0, 'no browser at all was found')
  await waitFor(() => true)
})
