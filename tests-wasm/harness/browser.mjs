// One way to open any browser.
import { mkdirSync } from 'node:fs'
import { openChromium } from './chromium.mjs'
import { findBrowsers } from './find.mjs'
import { openFirefox } from './firefox.mjs'
import { onCleanup, tempDir } from './processes.mjs'
import { openWebkit } from './webkit.mjs'

const OPEN = { chromium: openChromium, firefox: openFirefox, webkit: openWebkit }

/** Which engines this machine has, of `chromium`, `firefox` and `webkit`. `KITH_BROWSERS=chromium,firefox` narrows it. */
export function availableBrowsers() {
  const wanted = process.env.KITH_BROWSERS?.split(',')
  return Object.entries(findBrowsers())
    .filter(([kind, found]) => found && (!wanted || wanted.includes(kind)))
    .map(([kind]) => kind)
}

/** Why a test that needs this engine cannot run here, or `false`: for node:test's `skip`. */
export const missing = (...kinds) => {
  const there = availableBrowsers()
  const lacking = kinds.filter((kind) => !there.includes(kind))
  return lacking.length > 0 && `${lacking.join(' and ')} cannot be had on this machine`
}

/**
 * Opens a browser with a profile of its own.
 *
 * @param {'chromium'|'firefox'|'webkit'} kind
 * @param {object} [options]
 * @param {string} [options.profile] a folder to keep data in; a temporary one by default
 * @param {boolean} [options.attach] false: nobody attached, so that idle workers die as they do for a user. In Chromium tabs can still
 *   be opened and looked into for a moment; Firefox and WebKit show the one `url` and the page reports by itself (`startSite`)
 * @param {string} [options.url] the first page, for `attach: false`
 * @param {'open'|'blocked'|'absent'} [options.webrtc] `blocked`: no candidates are found; `absent`: no RTCPeerConnection
 * @param {boolean} [options.mdns] true: local addresses stay hidden behind mDNS names, as for a user (connecting is then slower, at times by seconds)
 * @param {boolean} [options.throttle] true: background tabs are slowed down as for a user (Chromium; always so with `attach: false`)
 * @param {number} [options.workerIdleMs] Firefox: an idle Service Worker is ended after this long
 * @param {Record<string, unknown>} [options.prefs] Firefox preferences
 * @param {string[]} [options.args] more command line flags
 * @param {Record<string, string>} [options.env]
 * @returns {Promise<Browser>}
 */
export async function openBrowser(kind, options = {}) {
  const program = findBrowsers()[kind]
  if (!program) throw new Error(`${kind} is not installed. \`npm test\` installs it; or say where it is (KITH_CHROMIUM, KITH_FIREFOX, KITH_WEBKIT_DRIVER).`)
  const full = { attach: true, webrtc: 'open', mdns: false, throttle: false, prefs: {}, args: [], profile: tempDir(`kith-${kind}`), ...options }
  mkdirSync(full.profile, { recursive: true })
  return new Browser(kind, await OPEN[kind](program, full), full)
}

/** A running browser. */
export class Browser {
  #engine
  #options
  #forget

  constructor(kind, engine, options) {
    this.kind = kind
    this.profileDir = options.profile
    /** The browser's main process. */
    this.pid = engine.running.pid
    /** What the browser printed, line by line. */
    this.log = engine.running.lines
    /** The driver's own objects, for what this interface lacks. */
    this.native = engine.native
    this.#engine = engine
    this.#options = options
    this.#forget = onCleanup(() => this.sigkill())
  }

  /** Opens a tab, at the URL if given. */
  async newPage(url, options) {
    const page = await this.#engine.newPage(url)
    if (url && this.#options.attach) await page.goto(url, options)
    return page
  }

  /**
   * Stops every Service Worker of this browser, as the browser itself may at any moment; returns how many were running (Firefox: registered).
   * Chromium and Firefox.
   */
  killWorker() {
    return this.#engine.killWorker()
  }

  /** Takes the whole browser off the network, loopback included (Chromium: pages only; Firefox: everything). A cut proxy is the more faithful way. */
  setOffline(on) {
    return this.#engine.setOffline(on)
  }

  /** Kills the browser with all its processes, at once: nothing gets to run, no `pagehide`, no flush. */
  async sigkill() {
    this.#forget()
    await this.#engine.running.kill('SIGKILL')
  }

  /** The same browser started anew on the same profile. */
  reopen(changes = {}) {
    return openBrowser(this.kind, { ...this.#options, ...changes })
  }

  /** Ends the browser the ordinary way. */
  async close() {
    this.#forget()
    await this.#engine.close()
    await this.#engine.running.kill('SIGKILL')
  }
}
