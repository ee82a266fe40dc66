// A relay with a bare page, and people with browsers on it: what every benchmark of the peer starts from.
import { cpSync, existsSync, mkdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { person } from '../../e2e/peers-support.mjs'
import { DIST, openBrowser, ROOT, startRelay, tempDir } from '../../harness/index.mjs'

/** The built web files that are measured. */
export const WEB = process.env.KITH_BENCH_WEB ?? DIST
/** Filled profiles are kept here between benchmarks, and between runs: filling takes minutes. */
export const KEPT = join(ROOT, 'target', 'kith', 'bench')
/** PUTs on their way at once while a profile is filled. */
export const FILL_OPEN = 64
/** Records filled in one call into the page. */
const FILL_STEP = 2_000
const FILL_STEP_MS = 120_000

/** A page with the peer and nothing else to do; and one that the worker controls but that has no script at all. */
const PAGES = {
  'bench.html': '<!doctype html><meta charset="utf-8"><title>Bench</title><script type="module" src="/kith.js"></script>',
  'bare.html': '<!doctype html><meta charset="utf-8"><title>Bare</title>',
}

/** The relay, in front of the built web files, the benchmark's pages, and `files` by name. */
export async function startWorld({ files = {}, ...options } = {}) {
  if (!existsSync(join(WEB, 'kith.js'))) throw new Error('dist/ is not built yet: run `npm run build`.')
  const web = join(tempDir('kith-bench'), 'web')
  cpSync(WEB, web, { recursive: true })
  for (const [name, text] of Object.entries({ ...PAGES, ...files })) writeFileSync(join(web, name), text)
  return startRelay({ ...options, web })
}

/** Someone with a browser on the bare page. */
export async function someone(relay, options, kind = 'chromium') {
  const one = await person(kind, `${relay.url}bench.html`, options)
  one.page.evaluateTimeout = FILL_STEP_MS
  return one
}

/** The n-th record everybody stores: about 100 bytes of JSON. Runs in pages too. */
export const record = (n) => ({ n, title: `Record number ${n}`, done: n % 3 === 0, text: 'the quick brown fox jumps over it' })
/** Its key. */
export const keyOf = (n) => String(n).padStart(6, '0')

/** Writes records `from` to `to` below a page's path `base`, one PUT each. */
export async function fill(page, base, from, to) {
  for (let start = from; start < to; start += FILL_STEP) {
    await page.evaluate(fillInPage, base, start, Math.min(to, start + FILL_STEP), FILL_OPEN, String(record))
  }
}

const fillInPage = async (base, from, to, open, source) => {
  const record = new Function(`return ${source}`)()
  let next = from
  const write = async () => {
    while (next < to) {
      const n = next++
      const headers = { 'content-type': 'application/json' }
      for (let again = 0; ; again++) {
        const answer = await fetch(base + String(n).padStart(6, '0'), { method: 'PUT', headers, body: JSON.stringify(record(n)) })
        if (answer.ok) break
        if (answer.status !== 503 || again === 20) throw new Error(`PUT gave ${answer.status}: ${await answer.text()}`)
        await new Promise((resolve) => setTimeout(resolve, 250))
      }
    }
  }
  await Promise.all(Array.from({ length: open }, write))
}

/**
 * A relay and a Chromium whose own space `space` holds this many records, one signed entry each. Filled once and kept: the profile
 * is copied, so whatever a benchmark does to it is gone afterwards. Data belongs to an origin, so the relay's port stays the same.
 */
export async function openFilled(n, { browser = {} } = {}) {
  const kept = join(KEPT, `filled-${n}`)
  const about = join(kept, 'about.json')
  for (const again of [false, true]) {
    if (!existsSync(about)) await makeFilled(n, kept, about)
    const { port, space, seconds } = JSON.parse(readFileSync(about, 'utf8'))
    const copy = tempDir(`kith-filled-${n}`)
    cpSync(kept, copy, { recursive: true })
    const relay = await startWorld({ port, dataDir: join(copy, 'relay') })
    const one = await someone(relay, { ...browser, profile: join(copy, 'profile') })
    await one.page.evaluate(newestRelease)
    const last = await one.ask('GET', `/~/${space}/records/${keyOf(n - 1)}`)
    if (last.json?.n === n - 1) return { relay, one, space, filledIn: seconds }
    await Promise.all([one.close(), relay.kill()])
    if (again) throw new Error(`the filled profile lacks its last record: ${last.status} ${last.text}`)
    rmSync(kept, { recursive: true, force: true })
  }
}

/** In a page: waits until the worker is of the release that is served. The profile may have been filled by another one. */
const newestRelease = async () => {
  const registration = await navigator.serviceWorker.ready
  await registration.update()
  const coming = registration.installing ?? registration.waiting
  const settled = () => ['activated', 'redundant'].includes(coming.state)
  if (coming && !settled()) await new Promise((done) => coming.addEventListener('statechange', () => settled() && done()))
}

async function makeFilled(n, kept, about) {
  const made = tempDir(`kith-fill-${n}`)
  mkdirSync(join(made, 'relay'))
  const relay = await startWorld({ dataDir: join(made, 'relay') })
  const one = await someone(relay, { profile: join(made, 'profile') })
  const space = await one.space(`${n} records`)
  const began = Date.now()
  await fill(one.page, `/~/${space}/records/`, 0, n)
  const seconds = (Date.now() - began) / 1000
  process.stdout.write(`filled ${n} records, one PUT each, ${FILL_OPEN} at a time: ${seconds.toFixed(0)} s, ${Math.round(n / seconds)} per second\n`)
  await one.close()
  await relay.kill()
  rmSync(kept, { recursive: true, force: true })
  mkdirSync(kept, { recursive: true })
  cpSync(made, kept, { recursive: true, filter: (path) => !/Singleton|DevToolsActivePort/.test(path) })
  writeFileSync(about, JSON.stringify({ port: relay.port, space, seconds }))
}

/** A second tab of someone's browser, at any URL. */
export const tab = async (one, url) => {
  const page = await one.browser.newPage(url)
  page.evaluateTimeout = FILL_STEP_MS
  return page
}

export { openBrowser }
