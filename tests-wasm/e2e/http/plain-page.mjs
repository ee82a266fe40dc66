// A page that has our script and uses nothing of it: only `fetch` and `EventSource`, as any author could.
import { after, before, describe } from 'node:test'
import { availableBrowsers, DIST, openBrowser, startRelay, startSite } from '../../harness/index.mjs'

/** What the tests call in the page. Plain platform code, so that it also shows what a client needs: very little. */
const CLIENT = `
  // One request; everything about the answer.
  window.ask = async (method, path, headers = {}, body) => {
    const answer = await fetch(path, { method, headers, body })
    const text = await answer.text()
    let json
    try { json = JSON.parse(text) } catch {}
    return { status: answer.status, statusText: answer.statusText, headers: Object.fromEntries(answer.headers), text, json }
  }
  // Events as they come: { type, data, id }. Where the browser gives the stream up (Chromium does when it stops the worker
  // by force), it is opened again where it stood.
  window.listen = (path) => {
    const heard = { events: [], errors: 0, opened: 0 }
    let source, last, closed = false
    const keep = ({ type, data, lastEventId }) => { last = lastEventId; heard.events.push({ type, data, id: lastEventId }) }
    const open = () => {
      if (closed) return
      heard.opened++
      source = new EventSource(last ? path + (path.includes('?') ? '&' : '?') + 'lastEventId=' + encodeURIComponent(last) : path)
      source.onmessage = keep
      for (const type of ['delete', 'reset', 'end']) source.addEventListener(type, keep)
      source.onerror = () => { heard.errors++; if (source.readyState === EventSource.CLOSED) setTimeout(open, 250) }
    }
    heard.close = () => { closed = true; source.close() }
    open()
    return heard
  }
  // A 209 answer as text that grows.
  window.follow = (path, headers = {}) => {
    const stop = new AbortController()
    const stream = { text: '', ended: false, close: () => stop.abort() }
    ;(async () => {
      const answer = await fetch(path, { headers: { Subscribe: 'true', ...headers }, signal: stop.signal })
      Object.assign(stream, { status: answer.status, statusText: answer.statusText, headers: Object.fromEntries(answer.headers) })
      const reader = answer.body.pipeThrough(new TextDecoderStream()).getReader()
      for (let part = await reader.read(); !part.done; part = await reader.read()) stream.text += part.value
    })().catch((error) => { stream.error = String(error) }).finally(() => { stream.ended = true })
    return stream
  }
`

const page = (relay) => `<!doctype html><title>a plain page</title><script>${CLIENT}</script>
<script type="module" src="/kith.js"${relay ? '' : ' data-relay="none"'}></script><h1>Plain</h1>`

/** Runs `suite({ page, browser, ask, … })` in each engine, with one browser for all its tests; with a relay behind the page if wanted. */
export function inEachBrowser(suite, { kinds = ['chromium', 'firefox', 'webkit'], files = {}, relay = false } = {}) {
  for (const kind of availableBrowsers().filter((name) => kinds.includes(name))) {
    describe(kind, () => {
      const world = {
        kind,
        /** One request from the page. */
        ask: (method, path, headers, body) =>
          world.page.evaluate((...args) => window.ask(...args.map((arg) => arg ?? undefined)), method, path, headers ?? {}, body ?? null),
        /** Stores a JSON value. */
        put: (path, value) => world.ask('PUT', path, { 'Content-Type': 'application/json' }, JSON.stringify(value)),
      }
      before(async () => {
        const upstream = relay ? (await startRelay()).url : undefined
        const site = await startSite({ dir: DIST, upstream, files: { '/plain': page(relay), ...files } })
        world.url = site.url
        world.browser = await openBrowser(kind)
        world.page = await world.browser.newPage(`${site.url}plain`)
        await controlled(world.page)
      })
      after(() => world.browser?.close())
      suite(world)
    })
  }
}

/** Why a test that stops workers cannot run in this engine, or `false`: for node:test's `skip`. */
export const cannotStopWorkers = (kind) => kind === 'webkit' && 'WebKitGTK has no way to stop a worker from outside'

/** Waits until the worker answers for this page, by what the platform itself offers. */
export const controlled = (page) => page.waitFor(() => Boolean(navigator.serviceWorker.controller), { what: 'the worker to control the page' })

/** The frames of a 209 body, apart from one that is not complete yet. */
export function frames(text) {
  const found = []
  let rest = text
  for (;;) {
    rest = rest.replace(/^[\r\n]+/, '')
    const end = rest.indexOf('\r\n\r\n')
    if (end < 0) return found
    const [first, ...lines] = rest.slice(0, end).split('\r\n')
    const headers = Object.fromEntries(lines.map((line) => [line.slice(0, line.indexOf(':')).toLowerCase(), line.slice(line.indexOf(':') + 1).trim()]))
    rest = rest.slice(end + 4)
    const take = (length) => {
      const bytes = Buffer.from(rest)
      if (bytes.length < length) return undefined
      rest = bytes.subarray(length).toString()
      return bytes.subarray(0, length).toString()
    }
    const patches = []
    for (let count = Number(headers.patches ?? 0); count > 0; count--) {
      rest = rest.replace(/^[\r\n]+/, '')
      const head = /^((?:[^\r\n]+\r\n)+)\r\n/.exec(rest)
      if (!head) return found
      rest = rest.slice(head[0].length)
      const body = take(Number(/content-length: (\d+)/i.exec(head[1])[1]))
      if (body === undefined) return found
      patches.push({ range: /content-range: (.*)/i.exec(head[1])[1].trim(), body })
    }
    const body = headers.patches ? '' : take(Number(headers['content-length']))
    if (body === undefined) return found
    if (headers['content-range']) patches.push({ range: headers['content-range'], body })
    found.push({ status: Number(/^HTTP (\d+)/.exec(first)?.[1]), headers, body, patches })
  }
}
