// Firefox, driven through WebDriver BiDi by Puppeteer, or started plainly with a URL.
import { writeFileSync } from 'node:fs'
import { join } from 'node:path'
import puppeteer from 'puppeteer-core'
import { Page, Unsupported } from './page.mjs'
import { startProcess } from './processes.mjs'
import { hopeless, PATIENCE_MS, waitFor, within } from './wait.mjs'

const START_MS = 4 * PATIENCE_MS

const PREFS = {
  'app.update.enabled': false,
  'app.update.disabledForTesting': true,
  'app.normandy.enabled': false,
  'browser.aboutwelcome.enabled': false,
  'browser.newtabpage.enabled': false,
  'browser.safebrowsing.malware.enabled': false,
  'browser.safebrowsing.phishing.enabled': false,
  'browser.safebrowsing.downloads.enabled': false,
  'browser.safebrowsing.update.enabled': false,
  'browser.search.update': false,
  'browser.sessionstore.resume_from_crash': false,
  'browser.shell.checkDefaultBrowser': false,
  'browser.startup.homepage': 'about:blank',
  'browser.startup.page': 0,
  'browser.tabs.warnOnClose': false,
  'browser.tabs.unloadOnLowMemory': false,
  'browser.topsites.contile.enabled': false,
  'browser.translations.enable': false,
  'browser.warnOnQuit': false,
  'datareporting.healthreport.uploadEnabled': false,
  'datareporting.policy.dataSubmissionEnabled': false,
  'dom.disable_open_during_load': false,
  'dom.ipc.reportProcessHangs': false,
  'dom.max_script_run_time': 0,
  'extensions.getAddons.cache.enabled': false,
  'extensions.systemAddon.update.enabled': false,
  'extensions.update.enabled': false,
  'geo.provider.testing': true,
  'network.captive-portal-service.enabled': false,
  'network.connectivity-service.enabled': false,
  'network.dns.disablePrefetch': true,
  'network.http.speculative-parallel-limit': 0,
  'network.prefetch-next': false,
  'privacy.reduceTimerPrecision': false,
  'remote.active-protocols': 1,
  'security.fileuri.strict_origin_policy': false,
  'services.settings.server': 'data:,#remote-settings-dummy/v1',
  'signon.rememberSignons': false,
  'startup.homepage_welcome_url': 'about:blank',
  'startup.homepage_welcome_url.additional': '',
  'toolkit.cosmeticAnimations.enabled': false,
  'toolkit.startup.max_resumed_crashes': -1,
  'toolkit.telemetry.enabled': false,
  'toolkit.telemetry.server': 'data:,',
  'toolkit.telemetry.reportingpolicy.firstRun': false,
}

function prefs({ mdns, webrtc, workerIdleMs, prefs: own }) {
  return {
    ...PREFS,
    // Local addresses are shown instead of mDNS names: names resolve by luck between two browsers on one machine.
    ...(mdns ? {} : { 'media.peerconnection.ice.obfuscate_host_addresses': false }),
    ...(webrtc === 'blocked' ? { 'media.peerconnection.ice.proxy_only': true } : {}),
    ...(webrtc === 'absent' ? { 'media.peerconnection.enabled': false } : {}),
    ...(workerIdleMs ? { 'dom.serviceWorkers.idle_timeout': workerIdleMs, 'dom.serviceWorkers.idle_extended_timeout': workerIdleMs } : {}),
    ...own,
  }
}

/** Starts Firefox; see `openBrowser` for the options. */
export async function openFirefox(binary, options) {
  const { profile, attach, url, args, env } = options
  const lines = Object.entries(prefs(options)).map(([name, value]) => `user_pref(${JSON.stringify(name)}, ${JSON.stringify(value)});`)
  writeFileSync(join(profile, 'user.js'), `${lines.join('\n')}\n`)
  const control = attach ? ['--remote-debugging-port=0', '--remote-allow-system-access', 'about:blank'] : [url ?? 'about:blank']
  const running = startProcess(binary, ['--headless', '--no-remote', '--profile', profile, ...args, ...control], {
    name: 'firefox',
    env: { MOZ_CRASHREPORTER_DISABLE: '1', MOZ_DISABLE_AUTO_SAFE_MODE: '1', ...env },
  })
  if (!attach) return plain(running, url)
  const endpoint = await waitFor(
    () => {
      if (!running.running) throw hopeless(`Firefox ended at start\n${running.lines.slice(-20).join('\n')}`)
      return running.lines.map((line) => /WebDriver BiDi listening on (ws:\S+)/.exec(line)?.[1]).find(Boolean)
    },
    { what: 'Firefox to start', timeout: START_MS, every: 20 },
  ).catch(async (error) => {
    await running.kill()
    throw error
  })
  const browser = await puppeteer.connect({ browserWSEndpoint: `${endpoint}/session`, protocol: 'webDriverBiDi', defaultViewport: null, protocolTimeout: 600_000 })
  const chrome = chromeScope(browser)
  let blank = (await browser.pages())[0]
  return {
    running,
    native: { browser, chrome },
    async newPage() {
      const page = blank ?? (await browser.newPage())
      blank = undefined
      return attachedPage(browser, page, chrome)
    },
    killWorker: () => chrome(TERMINATE_WORKERS),
    setOffline: (on) => chrome(`Services.io.offline = ${Boolean(on)}; return true`),
    async close() {
      await within(browser.close(), 8000).catch(() => {})
      await within(running.exited, 8000).catch(() => {})
    },
  }
}

/** Ends every running Service Worker's thread, as the browser itself does to save memory; says how many there were. */
const TERMINATE_WORKERS = `
  const manager = Cc['@mozilla.org/serviceworkers/manager;1'].getService(Ci.nsIServiceWorkerManager)
  const registrations = manager.getAllRegistrations()
  let ended = 0
  for (let i = 0; i < registrations.length; i += 1) {
    const registration = registrations.queryElementAt(i, Ci.nsIServiceWorkerRegistrationInfo)
    for (const worker of [registration.activeWorker, registration.waitingWorker]) {
      if (!worker) continue
      await worker.terminateWorker()
      ended += 1
    }
  }
  return ended`

/** Runs the body of an async function in Firefox's own privileged scope. */
function chromeScope(browser) {
  const connection = browser.connection
  let context
  return async (body) => {
    if (!context) {
      const { result } = await connection.send('browsingContext.getTree', { 'moz:scope': 'chrome', maxDepth: 0 })
      context = result.contexts[0]?.context
    }
    const { result } = await connection.send('script.evaluate', {
      expression: `(async () => { ${body} })().then((value) => JSON.stringify({ value }))`,
      target: { context },
      awaitPromise: true,
    })
    if (result.type === 'exception') throw new Error(result.exceptionDetails.text)
    return JSON.parse(result.result.value).value
  }
}

function attachedPage(browser, page, chrome) {
  const made = new Page({
    native: page,
    run: (source) => page.evaluate(source),
    goto: (url) => page.goto(url, { timeout: 0 }),
    async reload(hard) {
      if (!hard) return page.reload({ timeout: 0 })
      const loaded = new Promise((resolve) => page.once('load', resolve))
      // BiDi has no reload past the Service Worker; the browser's own command (Ctrl-Shift-R) does.
      await page.bringToFront()
      await chrome(`const flags = Ci.nsIWebNavigation.LOAD_FLAGS_BYPASS_CACHE | Ci.nsIWebNavigation.LOAD_FLAGS_BYPASS_PROXY
        Services.wm.getMostRecentWindow('navigator:browser').gBrowser.reloadWithFlags(flags); return true`)
      await loaded
    },
    url: () => page.url(),
    close: () => page.close(),
    front: () => page.bringToFront(),
    async hide() {
      const other = (await browser.pages()).find((candidate) => candidate !== page) ?? (await browser.newPage())
      await other.bringToFront()
      await waitFor(() => page.evaluate('document.hidden'), 'the tab to be hidden')
    },
    // Input goes to the tab in front, as a user's does.
    async click(selector) {
      await page.bringToFront()
      await page.click(selector)
    },
    async type(text) {
      await page.bringToFront()
      await page.keyboard.type(text)
    },
    async press(key) {
      await page.bringToFront()
      const keys = key.split('+')
      for (const held of keys.slice(0, -1)) await page.keyboard.down(held)
      await page.keyboard.press(keys.at(-1))
      for (const held of keys.slice(0, -1).reverse()) await page.keyboard.up(held)
    },
    async capture(path, { width, height, colorScheme, fullPage }) {
      await page.bringToFront()
      await chrome(`Services.prefs.setIntPref('layout.css.prefers-color-scheme.content-override', ${colorScheme === 'dark' ? 0 : 1}); return true`)
      await page.setViewport({ width, height })
      await waitFor(
        () => page.evaluate(`matchMedia('(prefers-color-scheme: ${colorScheme})').matches && innerWidth === ${width}`),
        'the page to take the size and colours asked for',
      )
      await page.screenshot({ path, fullPage })
    },
  })
  page.on('console', (message) => made.console.push({ type: message.type(), text: message.text() }))
  page.on('pageerror', (error) => made.console.push({ type: 'pageerror', text: String(error?.stack ?? error) }))
  page.on('dialog', (dialog) => dialog.accept().catch(() => {}))
  return made
}

/** Firefox with nobody attached: one tab, whose page reports by itself (see `startSite`). */
function plain(running, url) {
  let given = false
  const cannot = async () => {
    throw new Unsupported('with nobody attached a test cannot look into Firefox: the page reports by itself (startSite)')
  }
  return {
    running,
    native: {},
    async newPage() {
      if (given || !url) throw new Unsupported('with nobody attached Firefox shows the one page it was started with')
      given = true
      return new Page({ run: cannot, goto: cannot, reload: cannot, url: () => url, close: cannot, front: cannot, capture: cannot })
    },
    killWorker: cannot,
    setOffline: cannot,
    close: () => running.kill('SIGTERM'),
  }
}
