// Chromium, in two ways: driven by Playwright, or with no debugger attached (a debugger keeps an idle Service Worker alive for ever).
import { existsSync, mkdirSync, readFileSync, writeFileSync } from 'node:fs'
import { writeFile } from 'node:fs/promises'
import { dirname, join } from 'node:path'
import { chromium } from 'playwright-core'
import { openCdp } from './cdp.mjs'
import { Page, Unsupported } from './page.mjs'
import { startProcess } from './processes.mjs'
import { hopeless, PATIENCE_MS, waitFor, within } from './wait.mjs'

/** Starting a browser on a busy machine. */
const START_MS = 3 * PATIENCE_MS
/** A stopped Service Worker must be gone by then. */
const STOP_MS = PATIENCE_MS

const FLAGS = [
  '--headless=new',
  '--disable-gpu',
  '--disable-quic',
  '--disable-dev-shm-usage',
  '--no-first-run',
  '--no-default-browser-check',
  '--disable-background-networking',
  '--disable-component-update',
  '--disable-sync',
  '--disable-extensions',
  '--disable-breakpad',
  '--password-store=basic',
  '--use-mock-keychain',
  '--mute-audio',
  '--hide-scrollbars',
  '--force-color-profile=srgb',
  '--window-size=1280,800',
  '--remote-debugging-port=0',
]
/** Keeps background tabs running at full speed, so that tests do not depend on which tab is in front. */
const UNTHROTTLED = [
  '--disable-background-timer-throttling',
  '--disable-backgrounding-occluded-windows',
  '--disable-renderer-backgrounding',
  '--disable-ipc-flooding-protection',
]

function flags({ mdns, throttle, attach, args }) {
  // Local addresses are shown instead of mDNS names: names resolve by luck between two browsers on one machine.
  const off = ['Translate', 'OptimizationHints', 'MediaRouter', ...(mdns ? [] : ['WebRtcHideLocalIpsWithMdns'])]
  return [
    ...FLAGS,
    ...(process.getuid?.() === 0 ? ['--no-sandbox'] : []),
    ...(throttle || !attach ? [] : UNTHROTTLED),
    `--disable-features=${off.join()}`,
    ...args,
  ]
}

/** Sets Chromium's own preferences in a profile that is not in use. */
function prepare(profile, { webrtc }) {
  const file = join(profile, 'Default', 'Preferences')
  const preferences = existsSync(file) ? JSON.parse(readFileSync(file, 'utf8')) : {}
  // With this policy and no proxy no candidate is ever found.
  preferences.webrtc = { ...preferences.webrtc, ip_handling_policy: webrtc === 'blocked' ? 'disable_non_proxied_udp' : 'default' }
  mkdirSync(dirname(file), { recursive: true })
  writeFileSync(file, JSON.stringify(preferences))
}

/** Starts Chromium; see `openBrowser` for the options. */
export async function openChromium(binary, options) {
  const { profile, attach, webrtc, url, env } = options
  prepare(profile, options)
  const running = startProcess(binary, [...flags(options), `--user-data-dir=${profile}`, attach || !url ? 'about:blank' : url], { name: 'chromium', env })
  const endpoint = await waitFor(
    () => {
      if (!running.running) throw hopeless(`Chromium ended at start\n${running.lines.slice(-20).join('\n')}`)
      return running.lines.map((line) => /DevTools listening on (ws:\S+)/.exec(line)?.[1]).find(Boolean)
    },
    { what: 'Chromium to start', timeout: START_MS, every: 20 },
  ).catch(async (error) => {
    await running.kill()
    throw error
  })
  return attach ? attached(running, endpoint, webrtc) : unattached(running, new URL(endpoint).host, url)
}

async function attached(running, endpoint, webrtc) {
  // Without Playwright's defaults, among them the pretence that every tab is visible and has the focus.
  const browser = await chromium.connectOverCDP(endpoint, { timeout: START_MS, isLocal: true, noDefaults: true })
  const context = browser.contexts()[0]
  if (webrtc === 'absent') await context.addInitScript('delete globalThis.RTCPeerConnection; delete globalThis.webkitRTCPeerConnection')
  let blank = context.pages()[0]
  return {
    running,
    native: { browser, context },
    async newPage() {
      const page = blank ?? (await context.newPage())
      blank = undefined
      return attachedPage(context, page)
    },
    async killWorker() {
      const page = context.pages().find((candidate) => candidate.url().startsWith('http'))
      if (!page) throw new Error('no page is open to stop Service Workers through')
      return stopWorkers(await context.newCDPSession(page))
    },
    setOffline: (on) => context.setOffline(on),
    async close() {
      await within(browser.newBrowserCDPSession().then((session) => session.send('Browser.close')), 5000).catch(() => {})
      await within(running.exited, 5000).catch(() => {})
    },
  }
}

/** Stops every running Service Worker and waits until they are stopped; returns how many were running. */
async function stopWorkers(session) {
  const status = new Map()
  const note = ({ versions }) => {
    for (const { versionId, runningStatus } of versions) status.set(versionId, runningStatus)
  }
  session.on('ServiceWorker.workerVersionUpdated', note)
  try {
    await session.send('ServiceWorker.enable')
    const running = () => [...status.values()].filter((is) => is === 'running' || is === 'starting').length
    // The present state arrives as an event of its own, before or just after the answer.
    await waitFor(() => status.size > 0, { what: 'the list of Service Workers', timeout: 300, every: 5 }).catch(() => {})
    const before = running()
    let again = true
    session.on('ServiceWorker.workerVersionUpdated', ({ versions }) => {
      if (versions.some(({ runningStatus }) => runningStatus === 'stopped')) again = false
    })
    await session.send('ServiceWorker.stopAllWorkers')
    // A fetch may start it anew at once: having been stopped once is what counts.
    if (before > 0) await waitFor(() => !again || running() === 0, { what: 'the Service Worker to stop', timeout: STOP_MS, every: 5 })
    return before
  } finally {
    await (session.detach?.() ?? session.close()).catch?.(() => {})
  }
}

function attachedPage(context, page) {
  let offline
  const emulate = async (method, params) => {
    const session = await context.newCDPSession(page)
    try {
      return await session.send(method, params)
    } finally {
      await session.detach()
    }
  }
  const made = new Page({
    native: page,
    run: (source) => page.evaluate(source),
    goto: (url) => page.goto(url, { timeout: 0 }),
    async reload(hard) {
      if (!hard) return page.reload({ timeout: 0 })
      const loaded = page.waitForEvent('load', { timeout: 0 })
      await emulate('Page.reload', { ignoreCache: true })
      await loaded
    },
    url: () => page.url(),
    close: () => page.close({ runBeforeUnload: false }),
    front: async () => {
      await page.bringToFront()
    },
    async hide() {
      const other = context.pages().find((candidate) => candidate !== page) ?? (await context.newPage())
      await other.bringToFront()
      await waitFor(() => page.evaluate('document.hidden'), 'the tab to be hidden')
    },
    async crash() {
      const gone = page.waitForEvent('crash', { timeout: PATIENCE_MS })
      emulate('Page.crash').catch(() => {})
      await gone
    },
    async setOffline(on) {
      offline ??= await context.newCDPSession(page)
      await offline.send('Network.enable')
      await offline.send('Network.emulateNetworkConditions', { offline: on, latency: 0, downloadThroughput: -1, uploadThroughput: -1 })
    },
    // Input goes to the tab in front, as a user's does.
    async click(selector) {
      await page.bringToFront()
      await page.click(selector, { timeout: PATIENCE_MS })
    },
    async type(text) {
      await page.bringToFront()
      await page.keyboard.type(text)
    },
    async press(key) {
      await page.bringToFront()
      await page.keyboard.press(key)
    },
    async capture(path, { width, height, colorScheme, fullPage }) {
      await page.bringToFront()
      await page.emulateMedia({ colorScheme })
      await page.setViewportSize({ width, height })
      await page.screenshot({ path, fullPage, animations: 'disabled' })
    },
  })
  page.on('console', (message) => made.console.push({ type: message.type(), text: message.text() }))
  page.on('pageerror', (error) => made.console.push({ type: 'pageerror', text: String(error?.stack ?? error) }))
  page.on('dialog', (dialog) => dialog.accept().catch(() => {}))
  return made
}

/**
 * Chromium with nobody attached. Tabs are opened, closed and brought to the front through its HTTP endpoint, which attaches to nothing.
 * `evaluate` attaches to the page (never to its worker) for the length of one call.
 */
function unattached(running, host, firstUrl) {
  const http = async (path, method = 'GET') => {
    const answer = await fetch(`http://${host}/json/${path}`, { method, signal: AbortSignal.timeout(PATIENCE_MS) })
    if (!answer.ok) throw new Error(`Chromium refused ${path}: ${answer.status}`)
    const text = await answer.text()
    return text.startsWith('{') || text.startsWith('[') ? JSON.parse(text) : text
  }
  const endpoint = (id) => `ws://${host}/devtools/page/${id}`
  const pages = async () => (await http('list')).filter(({ type }) => type === 'page')
  let first = true
  const page = (id) => {
    const visit = async (body) => {
      const cdp = await openCdp(endpoint(id))
      try {
        return await body(cdp)
      } finally {
        cdp.close()
      }
    }
    const run = (source) =>
      visit(async (cdp) => {
        const { result, exceptionDetails } = await cdp.send('Runtime.evaluate', { expression: source, awaitPromise: true, returnByValue: true })
        if (exceptionDetails) throw new Error(exceptionDetails.exception?.description ?? exceptionDetails.text)
        return result.value
      })
    const navigate = (method, params) =>
      visit(async (cdp) => {
        await cdp.send('Page.enable')
        const loaded = new Promise((resolve) => cdp.on('Page.loadEventFired', resolve))
        const { errorText } = await cdp.send(method, params)
        if (errorText) throw new Error(`the page could not be opened: ${errorText}`)
        await loaded
      })
    return new Page({
      native: id,
      run,
      goto: (url) => navigate('Page.navigate', { url }),
      reload: (hard) => navigate('Page.reload', { ignoreCache: hard }),
      url: async () => (await pages()).find((candidate) => candidate.id === id)?.url,
      close: () => http(`close/${id}`),
      front: () => http(`activate/${id}`),
      async hide() {
        const other = (await pages()).find((candidate) => candidate.id !== id) ?? (await http('new?about:blank', 'PUT'))
        await http(`activate/${other.id}`)
        await waitFor(() => run('document.hidden'), 'the tab to be hidden')
      },
      freeze: () => visit((cdp) => cdp.send('Page.setWebLifecycleState', { state: 'frozen' })),
      capture: (path) =>
        visit(async (cdp) => writeFile(path, Buffer.from((await cdp.send('Page.captureScreenshot', { format: 'png' })).data, 'base64'))),
    })
  }
  return {
    running,
    native: { host },
    async newPage(url) {
      if (first && firstUrl) {
        first = false
        const found = await waitFor(async () => (await pages()).find((candidate) => candidate.url.startsWith(firstUrl)), 'the first tab')
        return page(found.id)
      }
      first = false
      return page((await http(`new?${encodeURIComponent(url ?? 'about:blank')}`, 'PUT')).id)
    },
    async killWorker() {
      const found = (await pages()).find((candidate) => candidate.url.startsWith('http'))
      if (!found) throw new Error('no page is open to stop Service Workers through')
      return stopWorkers(await openCdp(endpoint(found.id)))
    },
    setOffline: () => {
      throw new Unsupported('with no debugger attached the network cannot be switched off: put a proxy before the relay and cut it')
    },
    async close() {
      await running.kill('SIGTERM')
    },
  }
}
