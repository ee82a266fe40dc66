// The demos open, with all their data, while the server that brought them is gone.
import assert from 'node:assert/strict'
import { after, before, describe, it } from 'node:test'
import { availableBrowsers, openBrowser, startRelay } from '../harness/index.mjs'
import { appears, DEMOS, textOf } from './demos-support.mjs'

for (const kind of availableBrowsers().filter((name) => name !== 'webkit')) {
  describe(`the demos without a server, ${kind}`, () => {
    let relay
    let browser
    let page
    before(async () => {
      relay = await startRelay()
      browser = await openBrowser(kind)
      page = await browser.newPage(new URL('board/', relay.url).href)
      await appears(page, '#add:not([disabled])')
    })
    after(async () => {
      await browser?.close()
      await relay?.kill()
    })

    it('once the list of files is complete, every demo opens, also those never visited', async () => {
      await page.evaluate(() => fetch('/~/me/board/notes/n1', { method: 'PUT', headers: { 'content-type': 'application/json' }, body: '{"text":"Still here"}' }))
      const { files } = await page.evaluate(async () => (await fetch('/shell.json')).json())
      await page.waitFor(
        async (count) => {
          const name = (await caches.keys()).find((key) => key.startsWith('kith-shell-'))
          return name && (await (await caches.open(name)).keys()).length > count
        },
        { args: [Object.keys(files).length], what: 'all files and the mark that they are complete', timeout: 60_000 },
      )
      await relay.kill('SIGKILL')
      for (const { name, path, ready } of [...DEMOS].reverse()) {
        await page.goto(new URL(path, relay.url))
        await appears(page, ready, `${name} without a server`)
      }
      await page.goto(new URL('board/', relay.url))
      await page.waitFor(() => document.querySelector('.note textarea')?.value === 'Still here', { what: 'the note' })
    })

    it('says that the relay is not reachable, and goes on storing', async () => {
      await page.click('#add')
      await page.waitFor(async () => (await (await fetch('/~/me/board/notes/')).json()).items.length === 2, { what: 'the new note in storage' })
      await page.waitFor(() => /Relay not reachable|Offline|Connecting/.test(document.querySelector('#net').textContent), { what: 'the state of the connection' })
      assert.doesNotMatch(await textOf(page, '#net'), /^Online/)
    })
  })
}
