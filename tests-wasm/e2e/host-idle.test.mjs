// lane: beside
// limit: 30 min
// Nobody attached: the browser stops idle workers as it does for a user. An open page keeps its worker alive, and its subscriptions.
import assert from 'node:assert/strict'
import { before, describe, test } from 'node:test'
import { availableBrowsers, LONG, openBrowser, startSite } from '../harness/index.mjs'
import { buildHost } from './host/build.mjs'

/** Browsers stop an idle worker after 30 s. */
const IDLE_MS = LONG ? 10 * 60_000 : 45_000

let dir
before(async () => {
  dir = await buildHost()
})

for (const kind of availableBrowsers()) {
  describe(kind, () => {
    test(`a page left alone for ${IDLE_MS / 1000} s keeps one worker alive, and its stream open`, { timeout: IDLE_MS + 60_000 }, async () => {
      const { url, report } = await startSite({
        dir,
        files: {
          '/': `<!doctype html><title>a page</title><script type="module" src="/kith.js" data-relay="none"></script><script type="module">
            const tell = (data) => fetch('/__report', { method: 'POST', body: JSON.stringify(data) })
            try {
              await kith.ready
              const opened = async () => (await kith.status()).opened
              const first = await opened()
              const seen = []
              new EventSource('/~/me/tick').onmessage = ({ data }) => seen.push(JSON.parse(data))
              await tell({ step: 'ready', opened: first })
              await new Promise((resolve) => setTimeout(resolve, ${IDLE_MS}))
              await fetch('/~/me/tick', { method: 'PUT', body: '1', headers: { 'content-type': 'application/json' } })
              while (seen.length === 0) await new Promise((resolve) => setTimeout(resolve, 50))
              await tell({ step: 'end', first, last: await opened(), seen })
            } catch (error) {
              await tell({ step: 'failed', error: String(error) })
            }</script>`,
        },
      })
      const browser = await openBrowser(kind, { attach: false, url })
      await browser.newPage(url)
      const ready = await report(({ step }) => step === 'ready' || step === 'failed', { timeout: 60_000, what: 'the page to be ready' })
      assert.equal(ready.step, 'ready', ready.error)
      const end = await report(({ step }) => step === 'end' || step === 'failed', { timeout: IDLE_MS + 30_000, what: 'the page to come to its end' })
      assert.equal(end.step, 'end', end.error)
      assert.equal(end.last, end.first, 'one and the same worker all the time')
      assert.deepEqual(end.seen, [1])
      await browser.close()
    })
  })
}
