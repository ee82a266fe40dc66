// Scribe: written in by keyboard alone, looked back in, restored, downloaded; accessible and no wider than the window; shared by a link.
// limit: 15 min
import assert from 'node:assert/strict'
import { after, before, describe, it } from 'node:test'
import { missing } from '../harness/index.mjs'
import { appears, enter, passesAxe, tabTo, textOf } from './demos-support.mjs'
import { NETWORK_MS } from './peers-support.mjs'
import { divert, textWorld } from './text-support.mjs'

const SIZES = [
  { width: 360, height: 740 },
  { width: 1280, height: 800 },
]
const editing = () => document.querySelector('#editor')?.shadowRoot?.activeElement?.matches('.cm-content')

describe('scribe', { skip: missing('chromium') }, () => {
  let world
  let ada
  let page
  before(async () => {
    world = await textWorld()
    ada = await world.person('chromium')
    await divert(world, ada.browser)
    await ada.put('/~/me/profile', { name: 'Ada' })
    page = await ada.browser.newPage(new URL('scribe/', ada.url).href)
    await appears(page, '.lists .empty')
  })
  after(() => world?.close())
  const text = (wanted) => page.waitFor((what) => window.scribe?.value === what && window.scribe.isSaved, { args: [wanted], what: `the text “${wanted}”, saved`, timeout: NETWORK_MS })

  it('by keyboard: a new text is named, opened, written and saved', async () => {
    await tabTo(page, '.lists input[name="name"]')
    await page.type('My plan')
    await page.press('Enter')
    await page.waitFor(() => new URLSearchParams(location.search).get('doc') === 'My plan', { what: 'the address of the text' })
    await page.waitFor(() => Boolean(document.querySelector('#editor')?.shadowRoot?.querySelector('.cm-content')), { what: 'the editor' })
    for (let press = 0; press < 40 && !(await page.evaluate(editing)); press++) await page.press('Tab')
    assert.ok(await page.evaluate(editing), 'the editor is reached with the Tab key')
    await page.type('First line')
    await page.press('Enter')
    await page.type('two words')
    await text('First line\ntwo words')
    await page.waitFor(() => /^4 words, 20 characters$/.test(document.querySelector('#words').textContent), { what: 'the count of words' })
    assert.match(await textOf(page, '#saved'), /Saved on this device/)
    await page.press('Tab')
    assert.ok(!(await page.evaluate(editing)), 'Tab leaves the editor')
  })

  it('history: a slider by keyboard, the text as it was, and restoring it, which can be undone', async () => {
    await page.evaluate(() => window.scribe.replace('All gone'))
    await text('All gone')
    await enter(page, '#history')
    await appears(page, '#past-slider')
    await page.waitFor(() => document.querySelector('#past-text')?.textContent === 'All gone', { what: 'the newest version' })
    assert.ok(await page.evaluate(() => document.activeElement.id === 'past-slider'), 'the slider has the focus')
    await passesAxe(page, 'scribe looking back')
    await page.press('ArrowLeft')
    await page.waitFor(() => document.querySelector('#past-text')?.textContent.includes('two words'), { what: 'an earlier version' })
    const earlier = await page.evaluate(() => document.querySelector('#past-text').textContent)
    await enter(page, '.past-row button')
    await text(earlier)
    await enter(page, '#toasts button')
    await text('All gone')
  })

  it('downloads the text as a file', async () => {
    // What the browser is asked to save, taken just before it does.
    await page.evaluate(() => {
      const make = URL.createObjectURL
      let blob
      URL.createObjectURL = (made) => make.call(URL, (blob = made))
      HTMLAnchorElement.prototype.click = async function () {
        window.asked = [this.download, await blob.text()]
      }
    })
    await page.click('#download')
    assert.deepEqual(await page.waitFor(() => window.asked, { what: 'the download' }), ['My plan.txt', 'All gone'])
  })

  it('lists the text, and opens it from there', async () => {
    await enter(page, '.bar h1 a')
    await appears(page, '.texts a')
    assert.equal(await textOf(page, '.texts'), 'My plan')
    await enter(page, '.texts a')
    await appears(page, '#saved')
    await text('All gone')
  })

  it('shows who else is here, by name, and where; pages of one’s own that were left are not', async () => {
    await ada.open('other', 'me', 'scribe/My plan', 'none', 'Ben')
    await ada.page.evaluate(() => window.texts.docs.get('other').cursor(2, 4))
    await page.waitFor(() => document.querySelector('.here')?.innerText.trim() === 'Ben', { what: 'Ben in the list', timeout: NETWORK_MS })
    await page.waitFor(() => document.querySelector('#editor').shadowRoot.querySelector('.kith-name')?.textContent === 'Ben', { what: 'his caret in the text' })
  })

  for (const colorScheme of ['light', 'dark']) {
    for (const size of SIZES) {
      it(`passes axe and fits at ${size.width} px, ${colorScheme}, with a text and a cursor`, async () => {
        await page.native.setViewportSize(size)
        await page.native.emulateMedia({ colorScheme, reducedMotion: 'reduce' })
        await page.evaluate(() => window.scribe.replace(`${'A line that is long enough to be wrapped on every phone there is. '.repeat(4)}\n\n${'x'.repeat(300)}`))
        const fits = () => {
          const { scrollWidth, scrollHeight, clientWidth, clientHeight } = document.querySelector('#editor').shadowRoot.querySelector('.cm-scroller')
          return scrollWidth <= clientWidth && scrollHeight <= clientHeight
        }
        await page.waitFor(fits, { what: 'the editor, carets of others included, laid out anew' })
        await passesAxe(page, `scribe with a text, ${colorScheme}`)
        assert.ok((await page.evaluate(() => document.documentElement.scrollWidth - window.innerWidth)) <= 0, 'the page is no wider than the window')
        const file = process.env.KITH_SHOTS && `${process.env.KITH_SHOTS}/scribe-${size.width}-${colorScheme}.png`
        if (file) await page.native.screenshot({ path: file })
      })
    }
  }

  it('is blocked by no policy and fails in no way', () => {
    assert.deepEqual(page.console.filter(({ type, text: line }) => type === 'pageerror' || /content security policy/i.test(line)), [])
  })
})
