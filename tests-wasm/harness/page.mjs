// What a test can do with a page is the same in every engine; each engine supplies the few raw operations.
import { mkdirSync } from 'node:fs'
import { dirname } from 'node:path'
import { PATIENCE_MS, waitFor, within } from './wait.mjs'

/** How long one `evaluate` may take unless told otherwise, in milliseconds. */
const EVALUATE_MS = 4 * PATIENCE_MS
const NAVIGATE_MS = 3 * PATIENCE_MS

/** The source that calls a function in the page and packs what it gives, or throws, as one text. */
function wrap(fn, args) {
  const call = typeof fn === 'string' ? `(${fn})` : `(${fn})(...${JSON.stringify(args)})`
  return `(async () => {
    try { return JSON.stringify({ value: await ${call} }) }
    catch (error) { return JSON.stringify({ error: { name: String(error?.name ?? 'Error'), message: String(error?.message ?? error), stack: String(error?.stack ?? '') } }) }
  })()`
}

/** An error that happened inside the page; `name` and `message` are those it had there. */
export class PageError extends Error {
  constructor({ name, message, stack }) {
    super(message)
    this.name = name
    this.pageStack = stack
  }
}

/** Not something this engine can do under automation; tests say so instead of failing. */
export class Unsupported extends Error {
  constructor(what) {
    super(what)
    this.name = 'Unsupported'
  }
}

/**
 * A page of any engine.
 *
 * `raw` supplies: `run(source)` → the text the source's promise gives; `goto(url)`, `reload()`, `url()`, `close()`, `front()`,
 * `capture(path, {width, height, colorScheme, fullPage})`; optionally `crash()`, `hide()`, `setOffline(on)`, `press(key)`, `type(text)`, `click(selector)`, `native`.
 */
export class Page {
  #raw
  /** Lines the page wrote to its console, and errors nobody caught, oldest first: `{type, text}`. */
  console = []

  constructor(raw) {
    this.#raw = raw
    this.native = raw.native
  }

  /**
   * Calls a function in the page and returns what it gives. Arguments and result travel as JSON. What it throws is thrown
   * here with the same name and message. The function sees nothing of the test's own variables.
   */
  async evaluate(fn, ...args) {
    const text = await within(this.#raw.run(wrap(fn, args)), this.evaluateTimeout, `answer from the page to \`${first(fn)}\``)
    const { value, error } = JSON.parse(text)
    if (error) throw new PageError(error)
    return value
  }

  /** How long `evaluate` waits; a test may raise it. */
  evaluateTimeout = EVALUATE_MS

  /** Waits until a function in the page gives something truthy, and returns that. Survives navigations in between. */
  waitFor(fn, { args = [], what = `\`${first(fn)}\` in the page`, timeout, every } = {}) {
    return waitFor(() => this.evaluate(fn, ...args), { what, ...(timeout && { timeout }), ...(every && { every }) })
  }

  /** Runs a script's text in the page (a test library, say), whatever the page's content security policy. */
  async inject(source) {
    await within(this.#raw.run(`(() => { ${source}\n; return 'done' })()`), EVALUATE_MS, 'end of the injected script')
  }

  /** Goes to a URL and waits for its load event. */
  goto(url, { timeout = NAVIGATE_MS } = {}) {
    return within(this.#raw.goto(String(url)), timeout, `load event of ${url}`)
  }

  /** Reloads. `{hard: true}` is the reload that bypasses the Service Worker (Chromium and Firefox). */
  reload({ hard = false, timeout = NAVIGATE_MS } = {}) {
    return within(this.#raw.reload(hard), timeout, 'load event after the reload')
  }

  url() {
    return this.#raw.url()
  }

  /** Closes the tab as a user does: `pagehide` runs. */
  close() {
    return this.#raw.close()
  }

  /** Kills the page's renderer process. */
  crash() {
    return this.#optional('crash')
  }

  /** Makes the tab a background tab (`document.hidden`); `show()` brings it back. */
  hide() {
    return this.#optional('hide')
  }

  show() {
    return this.#raw.front()
  }

  /** Takes the page (not its worker, nor WebRTC) off the network. For everything at once put a proxy before the relay and cut it. */
  setOffline(on) {
    return this.#optional('setOffline', on)
  }

  /** Clicks the first element that matches, with real input events. */
  click(selector) {
    return this.#optional('click', selector)
  }

  /** Types text into what has the focus. */
  type(text) {
    return this.#optional('type', text)
  }

  /** Presses a key: `Tab`, `Enter`, `Escape`, `ArrowDown`, `Shift+Tab`, … */
  press(key) {
    return this.#optional('press', key)
  }

  /** Writes a PNG. `colorScheme` is `light` or `dark`. */
  async screenshot(path, { width = 1280, height = 800, colorScheme = 'light', fullPage = false } = {}) {
    mkdirSync(dirname(path), { recursive: true })
    await this.#raw.capture(path, { width, height, colorScheme, fullPage })
    return path
  }

  async #optional(name, ...args) {
    if (!this.#raw[name]) throw new Unsupported(`${name} is not possible in this browser`)
    return this.#raw[name](...args)
  }
}

const first = (fn) => {
  const line = String(fn).replace(/\s+/g, ' ')
  return line.length > 80 ? `${line.slice(0, 77)}…` : line
}
