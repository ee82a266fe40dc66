// Makes the pictures in docs/screenshots/ from the real product: a relay, two browsers that share a space, and every demo at two widths
// in two colour schemes. Run it after `npm run build`: node demo-pwas/screenshots.mjs
import { mkdirSync, readdirSync, statSync } from 'node:fs'
import { join } from 'node:path'
import { openBrowser, ROOT, startRelay, waitFor, cleanup } from '../tests-wasm/harness/index.mjs'

/** The largest picture that may be committed, in bytes. */
const LARGEST = 150_000
const SIZES = [
  { width: 360, height: 740 },
  { width: 1280, height: 860 },
]
const folder = join(ROOT, 'docs', 'screenshots')

const NOTES = [
  ['Book the night train\nSeats 12 to 14', 'yellow', 'Ada', 32, 32],
  ['Museum of tiles on Tuesday?', 'green', 'Ben', 288, 64],
  ['Who brings the big tent?', 'blue', 'Ada', 552, 40],
  ['Budget: 420 € each\nAda pays the deposit', 'pink', 'Ben', 72, 288],
  ['Pastel de nata tour', 'plain', 'Ada', 344, 312],
]

/** fetch() in the page; throws what the peer said if it refuses. */
const call = (page, method, place, body, headers = { 'content-type': 'application/json' }, text = undefined) =>
  page.evaluate(
    async (url, options) => {
      const response = await fetch(url, options)
      const text = await response.text()
      if (!response.ok) throw new Error(`${options.method} ${url}: ${response.status} ${text}`)
      return text && JSON.parse(text)
    },
    `/~/${place}`,
    { method, headers, ...(text !== undefined ? { body: text } : body === undefined ? {} : { body: JSON.stringify(body) }) },
  )
const appears = (page, selector) =>
  page.waitFor((wanted) => Boolean(document.querySelector(wanted)), { args: [selector], what: selector, timeout: 60_000 })

try {
  const relay = await startRelay(process.env.KITH_DIST ? { web: process.env.KITH_DIST } : {})
  const [ada, ben] = [await openBrowser('chromium'), await openBrowser('chromium')]
  const page = await ada.newPage(relay.url)
  await appears(page, '.spaces [data-space]')
  await call(page, 'PUT', 'me/profile/name', 'Ada')
  const trip = await call(page, 'POST', 'spaces', { name: 'Trip to Lisbon' })
  await call(page, 'POST', 'spaces', { name: 'Household' })
  for (const [at, [text, color, by, x, y]] of NOTES.entries()) await call(page, 'PUT', `${trip.id}/board/notes/n${at}`, { text, color, by, x, y })
  await call(page, 'PUT', `${trip.id}/plan`, { start: '2027-05-02', days: 6, people: { ada: true, ben: true } })

  const { url } = await call(page, 'POST', `${trip.id}/$invites`, { role: 'writer', app: '/board/' })
  const guest = await ben.newPage(url)
  await guest.waitFor(() => document.querySelectorAll('.note').length === 5, { what: 'the notes at the guest', timeout: 90_000 })
  const direct = () =>
    waitFor(async () => (await call(page, 'GET', 'peer')).links.some(({ path }) => path === 'webrtc'), { what: 'a direct link between the two', timeout: 60_000 })

  mkdirSync(folder, { recursive: true })
  const query = `?space=${encodeURIComponent(trip.id)}`
  const poem = 'Lisbon, in May\n\nWe take the night train and arrive with the bread.\nTiles on Tuesday, the sea on Wednesday\n\nTo bring: the big tent, two lamps, Ada’s guitar.\n'
  await call(page, 'PUT', `${trip.id}/scribe/Packing list`, undefined, { 'content-type': 'text/plain', 'merge-type': 'simpleton' }, 'Tent, lamps, guitar.\n')
  await call(page, 'PUT', `${trip.id}/scribe/Travel diary`, undefined, { 'content-type': 'text/plain', 'merge-type': 'simpleton' }, poem)
  const apps = [
    ['home', '', () => appears(page, '.people [data-path]')],
    ['scribe', `scribe/${query}`, () => appears(page, '.texts')],
    [
      'scribe-text',
      `scribe/${query}&doc=${encodeURIComponent('Travel diary')}`,
      async () => {
        await appears(page, '#saved')
        await guest.goto(new URL(`scribe/${query}&doc=${encodeURIComponent('Travel diary')}`, relay.url))
        await appears(guest, '#saved')
        await guest.waitFor(() => Boolean(document.querySelector('#editor').shadowRoot?.querySelector('.cm-content')), { what: 'the editor of the guest' })
        await guest.evaluate(() => window.scribe.rename('Ben'))
        await guest.evaluate(() => window.scribe.cursor(40, 50))
        await appears(page, '.here li')
      },
    ],
    ['board', `board/${query}`, () => appears(page, '.note')],
    [
      'explorer',
      `explorer/${query}`,
      async () => {
        await appears(page, '#start:not([disabled])')
        await appears(page, '.key[data-path="board"]')
        await page.click('.key[data-path="board"]')
        await appears(page, '.key[data-path="board/notes"]')
        await page.click('.key[data-path="plan"]')
        await page.click('#start')
        await page.waitFor(() => /^200 of 200/.test(document.querySelector('#run').textContent.trim()), { what: 'the run to end', timeout: 90_000 })
        await call(guest, 'PUT', `${trip.id}/plan/days`, 7)
        await page.waitFor(() => document.querySelector('.changes .chip.ok'), { what: 'the guest’s change' })
        await page.evaluate(() => window.scrollTo(0, 0))
      },
    ],
  ]
  for (const [name, path, ready] of apps) {
    await page.goto(new URL(path, relay.url))
    await ready()
    await direct()
    await page.waitFor(() => document.querySelector('#net')?.textContent.startsWith('Direct'), { what: 'the header to say so' })
    for (const size of SIZES) {
      for (const colorScheme of ['light', 'dark'])
        await page.screenshot(join(folder, `${name}-${size.width}-${colorScheme}.png`), { ...size, colorScheme })
    }
  }
  for (const file of readdirSync(folder)) {
    const { size } = statSync(join(folder, file))
    console.log(`${file} ${Math.round(size / 1000)} KB`)
    if (size > LARGEST) throw new Error(`${file} is larger than ${LARGEST} bytes`)
  }
} finally {
  await cleanup()
}
process.exit(0)
