// Chromium, in two ways: driven by Playwright, or with no debugger attached (a debugger keeps an idle Service Worker alive for ever).
import { existsSync, mkdirSync, readFileSync, writeFileSync } from 'node:fs'
import { dirname, join } from 'node:path'
import { chromium } from 'playwright-core'
import { stopWorkers, unattached } from './chromium-plain.mjs'
import { Page } from './page.mjs'
import { startProcess } from './processes.mjs'
import { hopeless, PATIENCE_MS, waitFor, within } from './wait.mjs'

/** Starting a browser on a busy machine. */
const START_MS = 3 * PATIENCE_MS

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
