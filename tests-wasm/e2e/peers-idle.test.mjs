// lane: beside
// Nobody attached, nothing done: a page that only listens, left alone in front and then in the background, with the browser free to end what
// looks idle and to slow timers down. Short: a little longer than the 30 s after which browsers end an idle worker, and than the minute after
// which Chromium slows a hidden tab's timers down. `npm run test:long`: two and ten minutes.
import assert from 'node:assert/strict'
import { readFileSync } from 'node:fs'
import { join } from 'node:path'
import { describe, it } from 'node:test'
import { availableBrowsers, LONG, missing, openBrowser, startRelay, startSite, waitFor } from '../harness/index.mjs'
import { NETWORK_MS, person } from './peers-support.mjs'

const VISIBLE_MS = LONG ? 120_000 : 45_000
const HIDDEN_MS = LONG ? 600_000 : 75_000
/** While tabs are hidden, something is written this often. */
const EVERY_MS = LONG ? 5_000 : 2_500
/** "Within seconds." */
const SECONDS_MS = 10_000 * Number(process.env.KITH_PATIENCE ?? 1)
/** Who is left alone: both browsers, in the long form also with WebRTC blocked; an open data channel spares Chromium's page the worst. */
const CROWD = (LONG ? ['open', 'blocked'] : ['open'])
  .flatMap((webrtc) => ['chromium', 'firefox'].map((kind) => ({ kind, webrtc, who: `${kind}, ${webrtc === 'open' ? 'WebRTC' : 'relay only'}` })))
  .filter(({ kind }) => availableBrowsers().includes(kind))

const PAGE = `<!doctype html><title>idle</title><h1>Idle</h1><iframe></iframe>
<script type="module" src="/kith.js"></script><script type="module" src="/idle.js"></script>`
/** On the test's own origin: passes on what the page says, and tells it what to do. */
const AGENT = `<!doctype html><script>
  addEventListener('message', ({ data }) => fetch('/__report', { method: 'POST', body: JSON.stringify(data) }))
  parent.postMessage('ready', '*')
  fetch('/hide' + location.search).then(() => parent.postMessage('hide', '*'))
</script>`
const COVER = `<!doctype html><title>another tab</title><script>fetch('/show' + location.search).then(() => close())</script>`

/** Requests that are answered when the test says so, by name and asker. */
function signals() {
  const waiting = new Map()
  const signal = (key) => {
    if (!waiting.has(key)) waiting.set(key, Promise.withResolvers?.() ?? withResolvers())
    return waiting.get(key)
  }
  const answer = (asked, response) => {
    const { pathname, searchParams } = new URL(asked.url, 'http://site')
    signal(`${pathname} ${searchParams.get('who')}`).promise.then(() => response.end('now'))
  }
  return { answer, give: (name, who) => signal(`/${name} ${who}`).resolve() }
}
const withResolvers = () => {
  const made = {}
  made.promise = new Promise((resolve) => (made.resolve = resolve))
  return made
}

const pause = (ms) => new Promise((resolve) => setTimeout(resolve, ms))
const inSeconds = (ms) => `${(ms / 1000).toFixed(1)} s`

/** How often a page's timer of one second came in a minute: over the whole time, and towards its end. */
function beats(reports) {
  const rate = (part) => {
    const [first, last] = [part[0], part.at(-1)]
    return last && last.at > first.at ? (((last.ticks - first.ticks) * 60_000) / (last.at - first.at)).toFixed(0) : 'unknown'
  }
  return `${rate(reports)} a minute, ${rate(reports.slice(-Math.ceil(reports.length / 4)))} in the last quarter`
}

describe('pages left alone', { skip: missing('chromium') }, () => {
  it(`go on syncing: ${VISIBLE_MS / 1000} s in front, ${HIDDEN_MS / 1000} s hidden`, async (t) => {
    const relay = await startRelay()
    const { answer, give } = signals()
    const log = await startSite({ files: { '/agent': AGENT, '/cover': COVER, '/hide': answer, '/show': answer } })
    const script = { body: readFileSync(join(import.meta.dirname, 'idle', 'page.js')), type: 'text/javascript' }
    const site = await startSite({ upstream: relay.url, files: { '/idle': PAGE, '/idle.js': script } })
    const ada = await person('chromium', relay.url)
    const space = await ada.space('Idle')
    const reports = (who, type) => log.reports.map(({ data }) => data).filter((report) => report.who === who && report.type === type)
    const heard = (who, key) => reports(who, 'heard').find((report) => report.key === key)
    /** How long after it was written. */
    const late = ({ at, written }) => at - written
    const write = (key) => ada.put(`/~/${space}/live/${key}`, { at: Date.now() })
    const told = (probe, what, timeout = 2 * NETWORK_MS) => waitFor(probe, { what, timeout })
    const deaths = (who, since) => reports(who, 'died').filter(({ at }) => at >= since).length

    const crowd = []
    for (const { who, kind, webrtc } of CROWD) {
      const invite = await ada.invite(space)
      const url = `${site.url}idle?${new URLSearchParams({ who, log: log.url, invite })}`
      const browser = await openBrowser(kind, { attach: false, url, webrtc })
      const page = await browser.newPage()
      const { id, type, why } = await told(() => [...reports(who, 'joined'), ...reports(who, 'failed')][0], `${who} to join`)
      assert.equal(type, 'joined', why)
      const show = () => (kind === 'chromium' ? page.show() : give('show', who))
      const hide = () => (kind === 'chromium' ? page.hide() : give('hide', who))
      crowd.push({ who, browser, id, path: webrtc === 'open' ? 'webrtc' : 'relay', show, hide })
    }
    const linkTo = (status, peer) => status.links.find((link) => link.peer === peer && link.state === 'syncing')
    await told(async () => {
      const status = await ada.status()
      return crowd.every(({ id, path }) => linkTo(status, id)?.path === path)
    }, 'the best possible link to everybody')
    await write('first')
    for (const { who } of crowd) {
      await told(() => heard(who, 'first'), `${who} to hear of the first write`)
      await told(() => reports(who, 'alive').length > 0, `${who} to have a living worker`)
    }

    // In front.
    const began = Date.now()
    await ada.follow('/~/peer', 'peer')
    await pause(VISIBLE_MS)
    const alone = Date.now() - began
    await write('visible')
    const statuses = (await ada.heard('peer')).events.map((text) => JSON.parse(text))
    for (const { who, id } of crowd) {
      const report = await told(() => heard(who, 'visible'), `${who}, left alone in front, to hear of a write`, SECONDS_MS)
      assert.equal(report.hidden, false, `${who} was in front`)
      assert.equal(deaths(who, began), 0, `${who} kept its worker`)
      const lost = statuses.filter((status) => !linkTo(status, id))
      assert.ok(statuses.length > 0 && lost.length === 0, `${who} kept its link: ${lost.length} of ${statuses.length} states are without`)
      t.diagnostic(`${who}: after ${inSeconds(alone)} alone in front the next write came in ${late(report)} ms`)
    }

    // Hidden.
    const hiddenAt = Date.now()
    for (const { who, hide } of crowd) {
      await hide()
      await told(() => reports(who, 'visibility').some(({ hidden }) => hidden), `${who} to be hidden`)
    }
    const keys = []
    for (const until = Date.now() + HIDDEN_MS; Date.now() < until; ) {
      const key = `hidden${keys.length}`
      await write(key)
      keys.push(key)
      await pause(EVERY_MS)
    }
    for (const { who, show } of crowd) {
      const shown = Date.now()
      await show()
      await told(() => reports(who, 'visibility').some(({ at, hidden }) => at >= shown && !hidden), `${who} to be in front again`)
      await write(`back for ${who}`)
      const report = await told(() => heard(who, `back for ${who}`), `${who}, back in front, to hear of a write`, SECONDS_MS)
      await told(() => keys.every((key) => heard(who, key)), `${who}, back in front, to have heard of every write`, SECONDS_MS)
      const all = keys.map((key) => heard(who, key))
      const came = all.filter(({ at }) => at < shown)
      assert.ok(came.every(({ hidden }) => hidden), 'it was hidden all the time')
      const delays = all.map(late).sort((one, two) => one - two)
      const within = (ms) => delays.filter((delay) => delay < ms).length
      t.diagnostic(
        `${who}, hidden for ${inSeconds(shown - hiddenAt)}: of ${keys.length} writes ${within(1000)} came within 1 s, ${within(5000)} within 5 s, ` +
          `${all.length - came.length} only when the tab came back; half by ${delays[delays.length >> 1]} ms, the last to come by ${delays.at(-1)} ms; ` +
          `timers of the page, of 1 s each: ${beats(came)}; the worker died ${deaths(who, hiddenAt)} times; back in front the next write came in ${late(report)} ms`,
      )
    }
    await Promise.all([...crowd.map(({ browser }) => browser.sigkill()), ada.close()])
    await relay.kill()
  })
})
