// What the tests of collaborative text share: a page with editors, served in front of a relay. With KITH_TEXT_REFERENCE=1 texts are answered by
// the reference server of sw-host/test instead of the peer, to try these tests themselves: one server then stands for all peers.
import { readFile } from 'node:fs/promises'
import { join } from 'node:path'
import { build } from 'esbuild'
import { openBrowser, ROOT, startProxy, startRelay, startSite } from '../harness/index.mjs'
import { meet } from './peers-support.mjs'

/** Whether the reference server answers instead of the peer. */
export const REFERENCE = process.env.KITH_TEXT_REFERENCE === '1'

/** diamond-types as npm has it. */
const DIAMOND = join(ROOT, 'node_modules', 'diamond-types-web', 'dt_bg.wasm')

const page = (before) => `<!doctype html><title>texts</title>${before}<script type="module" src="/kith.js" data-shell="/shell.json"></script><script type="module" src="/texts.js"></script><h1>Texts</h1>`

/** In a page: texts go to the reference server, everything else where it was going. */
const DIVERT = `{
  const real = window.fetch
  window.fetch = async (input, init) => {
    const url = new URL(input?.url ?? input, location.href)
    const text = /^\\/~\\/[^/]+\\/(texts|scribe)\\/[^/]+$/.test(url.pathname)
    if (!text) return real(input, init)
    const { pathname, search } = url
    // Browsers open six connections to one host; where many streams are open each request gets a host of its own.
    const host = location.pathname === '/texts' ? '//r' + Math.floor(Math.random() * 1e9) + '.localhost:' + location.port : ''
    const answer = await real(host + '/__text?n=' + Math.random() + '&to=' + encodeURIComponent(pathname + search), init)
    // Listings are the peer's: it is told that something is there.
    if (answer.status === 201) await real(pathname, { method: 'PUT', headers: { 'content-type': 'application/json' }, body: '"a text"' })
    return answer
  }
}`

let script
async function texts() {
  if (script) return script
  const { outputFiles } = await build({ entryPoints: [join(ROOT, 'tests-wasm', 'e2e', 'text', 'page.js')], bundle: true, write: false, format: 'esm', external: ['/kith.js', '/kith-editors.js', '/assets/*'], logLevel: 'error' })
  script = outputFiles[0].text
  return script
}

/** A relay and what is in front of it; `person(kind)` opens a browser on the page with the editors. */
export async function textWorld() {
  const relay = await startRelay()
  const server = REFERENCE ? new (await import('../../sw-host/test/text/server.mjs')).TextServer() : undefined
  if (server) server.hold = 1500
  const files = { '/texts': page(server ? `<script>${DIVERT}</script>` : ''), '/texts.js': await texts(), '/dt_bg.wasm': { body: await readFile(DIAMOND), type: 'application/wasm' }, ...(server ? { '/__text': (request, response) => answerReference(server, request, response) } : {}) }
  const people = []
  return {
    relay,
    server,
    /** Someone with a browser and a line of their own to the relay, which a test may cut. */
    async person(kind, options = {}) {
      const line = await startProxy(relay.url)
      const site = await startSite({ files, upstream: line.url })
      const browser = await openBrowser(kind, options)
      const page = await browser.newPage(new URL('texts', site.url).href)
      const self = Object.assign(await meet(browser, page), {
        line,
        url: site.url,
        /** Opens a text in an editor of a kind, called `as`. */
        open: (as, space, path, editor, name = '') => page.evaluate((...given) => window.texts.open(...given), as, space, path, editor, name),
        shown: (as) => page.evaluate((which) => window.texts.shown(which), as),
        focus: (as, at) => page.evaluate((which, place) => window.texts.focus(which, place ?? undefined), as, at ?? null),
        scribble: (as, times) => page.evaluate((which, count) => window.texts.scribble(which, count), as, times),
        saved: (...names) => page.evaluate(async (which) => void (await Promise.all(which.map((as) => window.texts.docs.get(as).saved()))), names),
        /** Stops the worker; with the reference server, what is the same to a page. */
        async stop() {
          if (server) server.kill()
          await browser.killWorker()
        },
      })
      await page.waitFor(() => Boolean(window.texts), { what: 'the script of the editors' })
      people.push(self)
      return self
    },
    async close() {
      for (const { browser } of people) await browser.close().catch(() => undefined)
      await relay.kill()
    },
  }
}

/** With the reference server, diverts the texts of all pages a browser (Chromium) opens from now on. */
export async function divert(world, browser) {
  if (world.server) await browser.native.context.addInitScript(DIVERT)
}

async function answerReference(server, request, response) {
  const cors = Object.fromEntries(['origin', 'headers', 'methods'].map((what) => [`access-control-allow-${what}`, '*']))
  cors['access-control-allow-methods'] = 'GET, HEAD, PUT'
  cors['access-control-expose-headers'] = '*'
  cors['access-control-max-age'] = '600'
  // Otherwise a browser makes a second request for one URL wait for the end of the first, which is a stream.
  cors['cache-control'] = 'no-store'
  if (request.method === 'OPTIONS') return void response.writeHead(204, cors).end()
  const parts = []
  for await (const part of request) parts.push(part)
  const gone = new AbortController()
  response.on('close', () => gone.abort())
  const to = new URL(request.url, 'http://site').searchParams.get('to')
  const { host: _host, connection: _connection, ...headers } = request.headers
  try {
    const answer = await server.fetch(to, { method: request.method, headers, body: new Uint8Array(Buffer.concat(parts)), signal: gone.signal })
    response.writeHead(answer.status, { ...cors, ...Object.fromEntries(answer.headers) })
    for await (const part of answer.body ?? []) response.write(part)
    response.end()
  } catch {
    response.destroy()
  }
}
