// An author's page that knows only `fetch` and `EventSource`, with our script added: people type in one tab, the other shows it.
import assert from 'node:assert/strict'
import { test } from 'node:test'
import { cannotStopWorkers, inEachBrowser } from './http/plain-page.mjs'

const SHOPPING = `<!doctype html><title>Shopping</title>
<script type="module" src="/kith.js" data-relay="none"></script>
<form><input aria-label="Item"><button>Add</button></form>
<ul></ul>
<script type="module">
  // The platform's own way to know that a worker answers for this page.
  if (!navigator.serviceWorker.controller) await new Promise((done) => navigator.serviceWorker.addEventListener('controllerchange', done, { once: true }))
  const list = document.querySelector('ul')
  const entry = (key) => list.querySelector('[data-key="' + key + '"]')
  const open = () => {
    const items = new EventSource('/~/me/shopping/?values=1')
    items.addEventListener('reset', () => list.replaceChildren())
    items.addEventListener('delete', ({ data }) => entry(JSON.parse(data).key)?.remove())
    items.onmessage = ({ data }) => {
      const { key, value } = JSON.parse(data)
      const line = entry(key) ?? list.appendChild(document.createElement('li'))
      line.dataset.key = key
      line.textContent = value.name
      line.onclick = () => fetch('/~/me/shopping/' + key, { method: 'DELETE' })
    }
    // A browser may give a stream up when it stops the worker; a new one begins with everything again.
    items.onerror = () => { if (items.readyState === EventSource.CLOSED) setTimeout(open, 500) }
  }
  open()
  document.querySelector('form').addEventListener('submit', async (event) => {
    event.preventDefault()
    const field = document.querySelector('input')
    const answer = await fetch('/~/me/shopping/' + Date.now().toString(36), {
      method: 'PUT',
      headers: { 'Content-Type': 'application/json' },
      body: JSON.stringify({ name: field.value }),
    })
    if (answer.ok) field.value = ''
  })
  document.body.dataset.ready = 'yes'
</script>`

inEachBrowser(
  (world) => {
    test('reads, writes and subscribes with the platform alone', async () => {
      const { browser, url } = world
      const [one, two] = [await browser.newPage(`${url}shopping`), await browser.newPage(`${url}shopping`)]
      for (const page of [one, two]) await page.waitFor(() => document.body.dataset.ready === 'yes', { what: "the author's page to be ready" })
      const shown = (page, wanted) =>
        page.waitFor((names) => [...document.querySelectorAll('li')].map((line) => line.textContent).join() === names, {
          args: [wanted.join()],
          what: `the list to be ${wanted.join()}`,
        })
      await one.show()
      await one.click('input')
      await one.type('Tea')
      await one.press('Enter')
      for (const page of [one, two]) await shown(page, ['Tea'])
      await two.show()
      await two.click('input')
      await two.type('Bread')
      await two.press('Enter')
      for (const page of [one, two]) await shown(page, ['Tea', 'Bread'])
      await two.click('li')
      for (const page of [one, two]) await shown(page, ['Bread'])
      if (!cannotStopWorkers(world.kind)) await browser.killWorker()
      await one.evaluate(() => fetch('/~/me/shopping/zzz', { method: 'PUT', headers: { 'Content-Type': 'application/json' }, body: '{"name":"Salt"}' }))
      for (const page of [one, two]) await shown(page, ['Bread', 'Salt'])
      await two.reload()
      await shown(two, ['Bread', 'Salt'])
      assert.equal(await one.evaluate(() => 'kith' in window), true, 'our script is there; the page never touched it')
    })
  },
  { files: { '/shopping': SHOPPING } },
)
