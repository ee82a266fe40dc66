// lane: beside
// A page whose worker is another one (`data-shell`), opened right after a page without: however the change of workers goes, the page gets what it follows.
import assert from 'node:assert/strict'
import { before, describe, test } from 'node:test'
import { availableBrowsers, openBrowser, startSite } from '../harness/index.mjs'
import { buildHost } from './host/build.mjs'

const page = (more) => `<!doctype html><title>a page</title><script type="module" src="/kith.js" data-relay="none"${more}></script><h1>Hello</h1>`
const ROUNDS = 12
/** As long a page may wait for what it follows, in milliseconds: a worker makes room for five seconds. */
const PATIENCE_MS = 12_000

let dir
before(async () => {
  dir = await buildHost()
})

for (const kind of availableBrowsers().filter((name) => name !== 'webkit')) {
  describe(kind, () => {
    test('a page with a shell right after one without is told changes within seconds, each time', async (t) => {
      const files = { '/': page(''), '/shelled': page(' data-shell="/shell.json"'), '/shell.json': JSON.stringify({ release: '1', files: ['/shelled', '/kith.js'] }) }
      const times = []
      for (let round = 0; round < ROUNDS; round++) {
        const site = await startSite({ dir, files })
        const browser = await openBrowser(kind)
        const first = await browser.newPage(site.url)
        await first.evaluate(() => window.kith.ready)
        await first.evaluate(() => {
          for (let n = 0; n < 3; n++) void (async () => { for await (const _ of window.kith.space().subscribe(`other${n}`)); })()
          return window.kith.space().put('a', 1)
        })
        const second = await browser.newPage(new URL('shelled', site.url).href)
        const began = Date.now()
        await second.waitFor(() => Boolean(window.kith), { what: 'the script' })
        await second.evaluate(() => {
          window.seen = []
          for (let n = 0; n < 6; n++) void (async () => { for await (const { value } of window.kith.space().subscribe('a')) window.seen[n] = value })()
          void window.kith.space().put('a', 2)
        })
        await second.waitFor(() => window.seen.filter((value) => value === 2).length === 6, { what: `all it follows, in round ${round}`, timeout: PATIENCE_MS })
        times.push(Date.now() - began)
        await browser.close()
        await site.close()
      }
      t.diagnostic(`all told after ${times.sort((a, b) => a - b).join(', ')} ms`)
      assert.equal(times.length, ROUNDS)
    })
  })
}
