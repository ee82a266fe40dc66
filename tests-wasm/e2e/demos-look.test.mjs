// Home, board, scribe and explorer: accessible in both colour schemes, no wider than the window, and still while they load.
import assert from 'node:assert/strict'
import { after, before, describe, it } from 'node:test'
import { missing, openBrowser, startRelay } from '../harness/index.mjs'
import { appears, DEMOS, passesAxe, textOf } from './demos-support.mjs'

/** A shift score that people do not notice (web.dev: "good" is up to 0.1). */
const STILL = 0.05
const SIZES = [
  { width: 360, height: 740 },
  { width: 1280, height: 800 },
]

describe('how the demos look', { skip: missing('chromium') }, () => {
  let relay
  let browser
  before(async () => {
    relay = await startRelay()
    browser = await openBrowser('chromium')
  })
  after(async () => {
    await browser?.close()
    await relay?.kill()
  })

  for (const { name, path, ready } of DEMOS) {
    for (const colorScheme of ['light', 'dark']) {
      for (const size of SIZES) {
        it(`${name} passes axe and fits at ${size.width} px, ${colorScheme}`, async () => {
          const page = await browser.newPage()
          await page.native.setViewportSize(size)
          await page.native.emulateMedia({ colorScheme, reducedMotion: 'reduce' })
          await page.goto(new URL(path, relay.url))
          await appears(page, ready)
          await passesAxe(page, `${name}, ${colorScheme}`)
          const { wide, scheme, moving } = await page.evaluate(() => ({
            wide: document.documentElement.scrollWidth - window.innerWidth,
            scheme: getComputedStyle(document.body).colorScheme || getComputedStyle(document.documentElement).colorScheme,
            moving: document.getAnimations().filter((animation) => animation.playState === 'running').length,
          }))
          assert.ok(wide <= 0, `the page is ${wide} px wider than the window`)
          assert.equal(scheme, colorScheme)
          assert.equal(moving, 0, 'something moves although the person asked for reduced motion')
          const blocked = page.console.filter(({ text }) => /content security policy/i.test(text))
          assert.deepEqual(blocked, [], 'the content security policy blocks a part of the page')
          assert.deepEqual(
            page.console.filter(({ type }) => type === 'pageerror'),
            [],
          )
          await page.close()
        })
      }
    }

    it(`${name} stands still while it loads`, async () => {
      const page = await browser.newPage()
      await page.native.setViewportSize(SIZES[0])
      await page.goto(new URL(path, relay.url))
      await appears(page, ready)
      const shift = await page.evaluate(
        () =>
          new Promise((resolve) => {
            let sum = 0
            const observer = new PerformanceObserver((list) => {
              for (const entry of list.getEntries()) if (!entry.hadRecentInput) sum += entry.value
            })
            observer.observe({ type: 'layout-shift', buffered: true })
            requestAnimationFrame(() => requestAnimationFrame(() => resolve(sum)))
          }),
      )
      assert.ok(shift <= STILL, `content moved by ${shift.toFixed(3)} while loading`)
      await page.close()
    })

    it(`${name} says what it is: title, theme colour, manifest with icons, viewport`, async () => {
      const page = await browser.newPage(new URL(path, relay.url).href)
      const about = await page.evaluate(async () => {
        const manifest = await (await fetch(document.querySelector('link[rel="manifest"]').href)).json()
        const icons = await Promise.all(manifest.icons.map(async ({ src }) => (await fetch(src)).status))
        return {
          title: document.title,
          colors: document.querySelectorAll('meta[name="theme-color"]').length,
          viewport: document.querySelector('meta[name="viewport"]').content,
          lang: document.documentElement.lang,
          start: manifest.start_url,
          icons,
        }
      })
      assert.match(about.title, /Kith/)
      assert.equal(about.colors, 2)
      assert.match(about.viewport, /width=device-width/)
      assert.equal(about.lang, 'en')
      assert.equal(about.start, `/${path}`)
      assert.ok(about.icons.length > 0 && about.icons.every((status) => status === 200), `icons answered ${about.icons}`)
      await page.close()
    })

    it(`${name} explains itself where there are no Service Workers`, async () => {
      const plain = await openBrowser('chromium')
      try {
        await plain.native.context.addInitScript("Object.defineProperty(Navigator.prototype, 'serviceWorker', { get: () => undefined })")
        const page = await plain.newPage(new URL(path, relay.url).href)
        await appears(page, '.notice.bad')
        assert.match(await textOf(page, '.notice.bad'), /does not allow Service Workers.*ordinary window/)
        await passesAxe(page, `${name} without Service Workers`)
      } finally {
        await plain.close()
      }
    })
  }

  it('home says what being offline means, and takes it back', async () => {
    const page = await browser.newPage(relay.url)
    await appears(page, DEMOS[0].ready)
    await page.setOffline(true)
    await page.waitFor(() => /You are offline.*kept here/.test(document.querySelector('#app .notice.warn')?.textContent ?? ''))
    await passesAxe(page, 'home while offline')
    await page.setOffline(false)
    await page.waitFor(() => !/You are offline/.test(document.querySelector('#app').textContent))
    await page.close()
  })
})
