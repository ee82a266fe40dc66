// WebKitGTK through its own WebDriver, spoken to directly, on a virtual screen; or its small browser started plainly with a URL.
import { mkdirSync } from 'node:fs'
import { writeFile } from 'node:fs/promises'
import { createServer } from 'node:net'
import { join } from 'node:path'
import { Page, Unsupported } from './page.mjs'
import { startProcess } from './processes.mjs'
import { hopeless, PATIENCE_MS, waitFor, within } from './wait.mjs'

const START_MS = 3 * PATIENCE_MS
/** A script in a page may take this long; `Page` has its own, shorter patience. */
const SCRIPT_MS = 590_000
/** One command to the driver; going to a page that never finishes loading is the longest. */
const COMMAND_MS = 8 * PATIENCE_MS
/** WebDriver's name for an element in JSON. */
const ELEMENT = 'element-6066-11e4-a52e-4f735466cecf'
const KEYS = { Tab: '\ue004', Enter: '\ue007', Escape: '\ue00c', ArrowLeft: '\ue012', ArrowUp: '\ue013', ArrowRight: '\ue014', ArrowDown: '\ue015', Shift: '\ue008', Control: '\ue009', Backspace: '\ue003', Space: ' ' }

/** Starts WebKitGTK; see `openBrowser` for the options. `programs` is what `findWebkit` gives. */
export async function openWebkit(programs, { profile, attach, url, args, env }) {
  const screen = await startScreen(programs.screen)
  const surroundings = {
    DISPLAY: screen.display,
    LIBGL_ALWAYS_SOFTWARE: '1',
    HOME: profile,
    XDG_RUNTIME_DIR: join(profile, 'runtime'),
    XDG_DATA_HOME: join(profile, 'data'),
    XDG_CACHE_HOME: join(profile, 'cache'),
    XDG_CONFIG_HOME: join(profile, 'config'),
    ...(process.getuid?.() === 0 ? { WEBKIT_DISABLE_SANDBOX_THIS_IS_DANGEROUS: '1' } : {}),
    ...env,
  }
  mkdirSync(surroundings.XDG_RUNTIME_DIR, { recursive: true, mode: 0o700 })
  if (!attach) {
    const running = startProcess(programs.browser, [...args, url ?? 'about:blank'], { name: 'webkit', env: surroundings })
    return plain(running, screen, url)
  }
  const port = await freePort()
  const running = startProcess(programs.driver, ['--host=127.0.0.1', `--port=${port}`], { name: 'webkit', env: surroundings })
  running.exited.then(() => screen.process.kill())
  const ask = client(`http://127.0.0.1:${port}`)
  try {
    await waitFor(
      () => {
        if (!running.running) throw hopeless(`WebKitWebDriver ended at start\n${running.lines.slice(-20).join('\n')}`)
        return ask('GET', '/status')
      },
      { what: 'WebKitWebDriver to start', timeout: START_MS },
    )
    const wanted = {
      browserName: 'MiniBrowser',
      'webkitgtk:browserOptions': { binary: programs.browser, args: ['--automation', ...args] },
      timeouts: { script: SCRIPT_MS, pageLoad: SCRIPT_MS },
    }
    const session = await within(ask('POST', '/session', { capabilities: { alwaysMatch: wanted } }), START_MS, 'WebKit session')
    return attached(running, ask, `/session/${session.sessionId}`)
  } catch (error) {
    await running.kill()
    throw error
  }
}

/** A virtual screen on a display number that is free. */
async function startScreen(binary) {
  const screen = startProcess(binary, ['-displayfd', '1', '-screen', '0', '1400x1000x24', '-nolisten', 'tcp'], { name: 'screen' })
  const number = await waitFor(
    () => {
      if (!screen.running) throw hopeless(`Xvfb ended at start\n${screen.lines.slice(-5).join('\n')}`)
      return screen.lines.find((line) => /^\d+$/.test(line))
    },
    { what: 'a virtual screen', timeout: START_MS, every: 20 },
  )
  return { process: screen, display: `:${number}` }
}

const freePort = () =>
  new Promise((resolve, reject) => {
    const server = createServer()
    server.once('error', reject)
    server.listen(0, '127.0.0.1', () => {
      const { port } = server.address()
      server.close(() => resolve(port))
    })
  })

/** The WebDriver protocol: JSON over HTTP. */
function client(base) {
  return async (method, path, body) => {
    const answer = await fetch(base + path, { method, signal: AbortSignal.timeout(COMMAND_MS), ...(body === undefined ? {} : { body: JSON.stringify(body) }) })
    const { value } = await answer.json()
    if (value?.error) throw new Error(`${value.error}: ${value.message}`)
    return value
  }
}

function attached(running, ask, session) {
  // WebDriver has one current window: commands for different tabs take turns.
  let turn = Promise.resolve()
  let current
  const inTurn = (body) => {
    const mine = turn.then(body)
    turn = mine.catch(() => {})
    return mine
  }
  const inWindow = (handle, body) =>
    inTurn(async () => {
      if (current !== handle) {
        await ask('POST', `${session}/window`, { handle })
        current = handle
      }
      return body()
    })
  const page = (handle) => {
    const to = (method, path, body) => inWindow(handle, () => ask(method, session + path, body))
    // A long-running script must not hold up the other tabs, so it is started and then asked for.
    const run = async (source) => {
      const slot = `__kith${Math.random().toString(36).slice(2)}`
      const begin = `window.${slot} = {}; Promise.resolve(${source}).then((v) => { window.${slot}.v = v ?? null }, (e) => { window.${slot}.e = String(e && e.message || e) })`
      await to('POST', '/execute/sync', { script: begin, args: [] })
      const look = `const s = window.${slot}; if (!s) return { gone: true }; if ('v' in s || 'e' in s) delete window.${slot}; return s`
      for (let pause = 2; ; pause = Math.min(50, pause * 1.5)) {
        const state = await to('POST', '/execute/sync', { script: look, args: [] })
        if (state.gone) throw new Error('the page went away while the script ran')
        if (state.e !== undefined) throw new Error(state.e)
        if (state.v !== undefined) return state.v
        await new Promise((resolve) => setTimeout(resolve, pause))
      }
    }
    const keys = (list) => to('POST', '/actions', { actions: [{ type: 'key', id: 'keyboard', actions: list }] })
    return new Page({
      native: handle,
      run,
      goto: (url) => to('POST', '/url', { url }),
      reload: (hard) => {
        if (hard) throw new Unsupported('WebDriver has no reload past the Service Worker')
        return to('POST', '/refresh', {})
      },
      url: () => to('GET', '/url'),
      close: () =>
        inWindow(handle, async () => {
          await ask('DELETE', `${session}/window`)
          current = undefined
        }),
      front: () => inWindow(handle, () => {}),
      async click(selector) {
        const element = await to('POST', '/element', { using: 'css selector', value: selector })
        await to('POST', `/element/${element[ELEMENT]}/click`, {})
      },
      type: (text) => keys([...text].flatMap((value) => [{ type: 'keyDown', value }, { type: 'keyUp', value }])),
      press(key) {
        const names = key.split('+').map((name) => KEYS[name] ?? name)
        return keys([...names.map((value) => ({ type: 'keyDown', value })), ...names.reverse().map((value) => ({ type: 'keyUp', value }))])
      },
      async capture(path, { width, height, colorScheme }) {
        if (colorScheme === 'dark') throw new Unsupported('WebDriver cannot ask WebKitGTK for dark colours')
        // The rectangle is the window's, its bars included; the picture is the page's.
        for (let bars = 0, tries = 0; tries < 2; tries += 1) {
          await to('POST', '/window/rect', { x: 0, y: 0, width, height: height + bars })
          await waitFor(async () => Number(await run('innerWidth')) === width, 'the window to take its size')
          bars = height + bars - Number(await run('innerHeight'))
        }
        await writeFile(path, Buffer.from(await to('GET', '/screenshot'), 'base64'))
      },
    })
  }
  let first = true
  return {
    running,
    native: { ask, session },
    newPage: () =>
      inTurn(async () => {
        const handle = first ? await ask('GET', `${session}/window`) : (await ask('POST', `${session}/window/new`, { type: 'tab' })).handle
        first = false
        return page(handle)
      }),
    killWorker: async () => {
      throw new Unsupported('WebKitGTK has no way to stop a Service Worker from outside')
    },
    setOffline: async () => {
      throw new Unsupported('WebKitGTK cannot be taken off the network: put a proxy before the relay and cut it')
    },
    async close() {
      await within(ask('DELETE', session), 5000).catch(() => {})
    },
  }
}

/** The small browser with nobody attached and a profile that lasts: its page reports by itself (see `startSite`). */
function plain(running, screen, url) {
  running.exited.then(() => screen.process.kill())
  let given = false
  const cannot = async () => {
    throw new Unsupported('with nobody attached a test cannot look into WebKit: the page reports by itself (startSite)')
  }
  return {
    running,
    native: {},
    async newPage() {
      if (given || !url) throw new Unsupported('with nobody attached WebKit shows the one page it was started with')
      given = true
      return new Page({ run: cannot, goto: cannot, reload: cannot, url: () => url, close: cannot, front: cannot, capture: cannot })
    },
    killWorker: cannot,
    setOffline: cannot,
    close: () => running.kill('SIGTERM'),
  }
}
