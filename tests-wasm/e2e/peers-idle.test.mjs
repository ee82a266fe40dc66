// limit: 45 min
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
const KINDS = ['chromium', 'firefox'].filter((kind) => availableBrowsers().includes(kind))

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

for (const webrtc of LONG ? ['open', 'blocked'] : ['open']) {
  describe(`pages left alone, ${webrtc === 'open' ? 'linked by WebRTC' : 'linked over the relay'}`, { skip: missing('chromium') }, () => {
    it(`go on syncing: ${VISIBLE_MS / 1000} s in front, ${HIDDEN_MS / 1000} s hidden`, async (t) => {
      const relay = await startRelay()
      const { answer, give } = signals()
      const log = await startSite({ files: { '/agent': AGENT, '/cover': COVER, '/hide': answer, '/show': answer } })
      const script = { body: readFileSync(join(import.meta.dirname, 'idle', 'page.js')), type: 'text/javascript' }
      const site = await startSite({ upstream: relay.url, files: { '/idle': PAGE, '/idle.js': script } })
      const ada = await person('chromium', relay.url, { webrtc })
      const space = await ada.space('Idle')
      const reports = (who, type) => log.reports.map(({ data }) => data).filter((report) => report.who === who && report.type === type)
      /** How long after it was written each page heard of a key. */
      const heard = (who, key) => reports(who, 'heard').find((report) => report.key === key)
      const late = ({ at, written }) => at - written
      const write = (key) => ada.put(`/~/${space}/live/${key}`, { at: Date.now() })
      const told = (probe, what, timeout = 2 * NETWORK_MS) => waitFor(probe, { what, timeout })

      const crowd = []
      for (const kind of KINDS) {
        const invite = await ada.invite(space)
        const url = `${site.url}idle?who=${kind}&log=${encodeURIComponent(log.url)}&invite=${encodeURIComponent(invite)}`
        const browser = await openBrowser(kind, { attach: false, url, webrtc })
        const page = await browser.newPage()
        const { id, type, why } = await told(() => [...reports(kind, 'joined'), ...reports(kind, 'failed')][0], `${kind} to join`)
        assert.equal(type, 'joined', why)
        crowd.push({ kind, browser, page, id })
      }
      const path = webrtc === 'open' ? 'webrtc' : 'relay'
      const linksOf = (status) => new Map(status.links.filter(({ state }) => state === 'syncing').map((link) => [link.peer, link.path]))
      const linked = (status) => crowd.every(({ id }) => linksOf(status).get(id) === path)
      await told(async () => linked(await ada.status()), `a link over ${path} to everybody`)
      await write('first')
      for (const { kind } of crowd) await told(() => heard(kind, 'first'), `${kind} to hear of the first write`)
      for (const { kind } of crowd) await told(() => reports(kind, 'alive').length > 0, `${kind} to have a living worker`)

      // In front.
      const began = Date.now()
      const deaths = (who, since) => reports(who, 'died').filter(({ at }) => at >= since).length
      await ada.follow('/~/peer', 'peer')
      await pause(VISIBLE_MS)
      const written = Date.now()
      await write('visible')
      for (const { kind, id } of crowd) {
        const report = await told(() => heard(kind, 'visible'), `${kind}, left alone in front, to hear of a write`, SECONDS_MS)
        assert.equal(report.hidden, false, `${kind} was in front`)
        assert.equal(deaths(kind, began), 0, `${kind} kept its worker`)
        const statuses = (await ada.heard('peer')).events.map((text) => JSON.parse(text))
        const lost = statuses.filter((status) => linksOf(status).get(id) === undefined)
        assert.ok(statuses.length > 0 && lost.length === 0, `${kind} kept its link: ${lost.length} of ${statuses.length} states are without`)
        t.diagnostic(`${kind}: after ${inSeconds(written - began)} alone in front the next write came in ${late(report)} ms; ${report.ticks} timer ticks since the page opened`)
      }

      // Hidden.
      const hiddenAt = Date.now()
      for (const { kind, page } of crowd) {
        if (kind === 'chromium') await page.hide()
        else give('hide', kind)
        await told(() => reports(kind, 'visibility').some(({ hidden }) => hidden), `${kind} to be hidden`)
      }
      const keys = []
      const until = Date.now() + HIDDEN_MS
      for (let n = 0; Date.now() < until; n++) {
        await write(`hidden${n}`)
        keys.push(`hidden${n}`)
        await pause(EVERY_MS)
      }
      for (const { kind, page } of crowd) {
        const before = log.reports.length
        const shown = Date.now()
        if (kind === 'chromium') await page.show()
        else give('show', kind)
        await write(`back-${kind}`)
        const report = await told(() => heard(kind, `back-${kind}`), `${kind}, back in front, to hear of a write`, SECONDS_MS)
        await told(() => keys.every((key) => heard(kind, key)), `${kind}, back in front, to have heard of every write`, SECONDS_MS)
        const all = keys.map((key) => heard(kind, key))
        const asleep = all.filter(({ at }) => at >= shown).length
        const delays = all.map(late).sort((one, two) => one - two)
        const under = (ms) => delays.filter((delay) => delay < ms).length
        const [first, last] = [all[0], all.findLast(({ at }) => at < shown)]
        const rate = last && last.at > first.at ? ((last.ticks - first.ticks) / ((last.at - first.at) / 60_000)).toFixed(0) : 'unknown'
        assert.ok(all.some(({ hidden }) => hidden) || asleep === all.length, 'it was hidden')
        assert.ok(log.reports.slice(before).some(({ data }) => data.who === kind && data.type === 'visibility' && !data.hidden), 'it is in front again')
        t.diagnostic(
          `${kind}, hidden for ${inSeconds(shown - hiddenAt)}: of ${keys.length} writes ${under(1000)} came within 1 s, ${under(5000)} within 5 s, ` +
            `${asleep} only when the tab came back; half by ${delays[delays.length >> 1]} ms, the last to come by ${delays.at(-1)} ms; ` +
            `page timers of 1 s: ${rate} a minute; the worker died ${deaths(kind, hiddenAt)} times; back in front the next write came in ${late(report)} ms`,
        )
      }
      await Promise.all([...crowd.map(({ browser }) => browser.sigkill()), ada.close()])
      await relay.kill()
    })
  })
}
