// Two people write in scribe, key by key: one on a slow phone (the page at a quarter of its speed), one who loses the network twice. Half a
// minute; ten minutes in the long form. With KITH_SHOTS the screens are kept.
// limit: 15 min
import assert from 'node:assert/strict'
import { after, before, describe, it } from 'node:test'
import { quantile } from '../bench/support/figures.mjs'
import { dice, LONG, missing } from '../harness/index.mjs'
import { appears } from './demos-support.mjs'
import { NETWORK_MS, together } from './peers-support.mjs'
import { textWorld } from './text-support.mjs'

/** How long they write, in milliseconds. */
const WRITING_MS = LONG ? 600_000 : 30_000
/** From one key to the next: two to eight a second, with a pause for thought at the end of a sentence. */
const KEY_MS = [120, 480]
const PAUSE_MS = 1500
const WORDS_IN_A_SENTENCE = 9
const START = 'Ada writes here:\n\nBen writes here:\n'

/** In a page: notes when each word came to be in the text, how long a key took until the next frame was drawn, and the longest task. */
const watch = () => {
  const seen = {}
  const keys = []
  const long = []
  const look = () => {
    for (const word of window.scribe.value.match(/\b(ada|ben)\d+\b(?=[ .])/g) ?? []) seen[word] ??= Date.now()
  }
  addEventListener('keydown', (event) => {
    const at = event.timeStamp
    requestAnimationFrame(() => setTimeout(() => keys.push(performance.now() - at)))
  }, true)
  window.scribe.on('change', look)
  new MutationObserver(look).observe(document.querySelector('#editor').shadowRoot, { subtree: true, childList: true, characterData: true })
  if (PerformanceObserver.supportedEntryTypes.includes('longtask')) new PerformanceObserver((list) => long.push(...list.getEntries().map(({ duration }) => duration))).observe({ type: 'longtask' })
  window.watched = { seen, keys, long }
}

const focus = () => document.querySelector('#editor').shadowRoot.querySelector('.cm-content').focus()
const table = (numbers) => (numbers.length ? `p50 ${Math.round(quantile(numbers, 0.5))}, p95 ${Math.round(quantile(numbers, 0.95))}, most ${Math.round(Math.max(...numbers))} ms of ${numbers.length}` : 'none')

describe('two writers in scribe', { skip: missing('chromium') || missing('firefox') }, () => {
  let world
  let ada
  let ben
  before(async () => {
    world = await textWorld()
    ada = await world.person('chromium', { webrtc: 'blocked' })
    ben = await world.person('firefox', { webrtc: 'blocked' })
    const space = await together(ada, ben)
    for (const [who, name] of [[ada, 'Ada'], [ben, 'Ben']]) {
      await who.put('/~/me/profile', { name })
      who.name = name.toLowerCase()
      who.page = await who.browser.newPage(new URL(`scribe/?space=${space}&doc=Our story`, who.url).href)
      await appears(who.page, '#editor')
    }
    await ada.page.evaluate((text) => window.scribe.replace(text), START)
    for (const who of [ada, ben]) {
      await who.page.waitFor((text) => window.scribe?.value === text && Boolean(document.querySelector('#editor')?.shadowRoot?.querySelector('.cm-content')), { args: [START], what: 'the first text', timeout: NETWORK_MS })
      await who.page.evaluate(watch)
      await who.page.evaluate(focus)
    }
    await ada.page.native.setViewportSize({ width: 360, height: 740 })
    const devtools = await ada.browser.native.context.newCDPSession(ada.page.native)
    await devtools.send('Emulation.setCPUThrottlingRate', { rate: 4 })
    // Each at the end of their own lines.
    await ada.page.press('Control+Home')
    await ada.page.press('End')
    await ada.page.press('Enter')
    await ben.page.press('Control+End')
  })
  after(() => world?.close())

  const shoot = async (who, name) => {
    if (process.env.KITH_SHOTS) await who.page.native.screenshot({ path: `${process.env.KITH_SHOTS}/scribe-together-${name}.png` })
  }

  /** Types words with a number each until the time is over; at times a slip, taken back. Gives the words. */
  async function write(who, until, seed) {
    const random = dice(seed)
    const words = []
    const key = async (pressed) => {
      await who.page.press(pressed)
      // The pace of a hand, not something waited for.
      await new Promise((resolve) => setTimeout(resolve, KEY_MS[0] + random() * (KEY_MS[1] - KEY_MS[0])))
    }
    while (Date.now() < until) {
      const word = `${who.name}${words.length}`
      for (const letter of word) await key(letter)
      if (random() < 0.15) {
        await key('x')
        await key('Backspace')
      }
      words.push(word)
      if (words.length % WORDS_IN_A_SENTENCE) await key(' ')
      else {
        await key('.')
        await key('Enter')
        await new Promise((resolve) => setTimeout(resolve, random() * PAUSE_MS))
      }
    }
    await key('.')
    return words
  }

  it('everything both typed is there, at both, in their order', async (t) => {
    const began = Date.now()
    const away = []
    // Without WebRTC cut lines are no network at all; either's leads to the relay for both.
    const cut = () => Promise.all([ada, ben].flatMap(({ line, browser }) => [browser.setOffline(true), line.cut()]))
    const mend = async () => {
      await Promise.all([ada, ben].map(({ line }) => line.restore()))
      await Promise.all([ada, ben].map(({ browser }) => browser.setOffline(false)))
    }
    /** The network is gone at two moments, for a tenth of the time each. */
    const network = async () => {
      for (const share of [0.25, 0.65]) {
        await new Promise((resolve) => setTimeout(resolve, began + WRITING_MS * share - Date.now()))
        const from = Date.now()
        await cut()
        await ben.alone()
        await new Promise((resolve) => setTimeout(resolve, WRITING_MS / 10))
        await shoot(ben, `away-${away.length + 1}`)
        await mend()
        const back = Date.now()
        const last = await ben.page.evaluate(() => Object.keys(window.watched.seen).filter((word) => word.startsWith('ben')).at(-1))
        await ada.page.waitFor((word) => window.watched.seen[word], { args: [last], what: `${last}, typed without a network`, timeout: NETWORK_MS })
        away.push({ from, back, met: (await ada.page.evaluate((word) => window.watched.seen[word], last)) - back })
        await shoot(ada, `phone-${away.length}`)
        await shoot(ben, `back-${away.length}`)
      }
    }
    const [adas, bens] = await Promise.all([write(ada, began + WRITING_MS, 5), write(ben, began + WRITING_MS, 9), network()])
    assert.ok(adas.length > 5 && bens.length > 5, 'both wrote')
    assert.equal(away.length, 2)

    const wanted = (words) => `${words.map((word, at) => `${word}${(at + 1) % WORDS_IN_A_SENTENCE ? ' ' : '.\n'}`).join('')}.`
    const text = `Ada writes here:\n${wanted(adas)}\n\nBen writes here:\n${wanted(bens)}`
    for (const who of [ada, ben]) {
      await who.page.waitFor((text) => window.scribe.value === text && window.scribe.isSaved, { args: [text], what: `the whole text at ${who.name}`, timeout: NETWORK_MS }).catch(async (error) => {
        assert.equal(await who.page.evaluate(() => window.scribe.value), text)
        throw error
      })
      assert.equal(await who.page.evaluate(() => window.scribe.problem?.message), undefined)
      const shown = await who.page.evaluate(() => [...document.querySelectorAll('.here')].map((list) => list.innerText.trim()))
      assert.deepEqual(shown, [who === ada ? 'Ben' : 'Ada'])
    }
    await shoot(ada, 'phone-end')
    await shoot(ben, 'end')

    const watched = await Promise.all([ada, ben].map((who) => who.page.evaluate(() => window.watched)))
    const apart = (time) => away.some(({ from, back, met }) => time > from && time < back + met)
    const took = (words, [here, there]) => words.filter((word) => !apart(here.seen[word])).map((word) => there.seen[word] - here.seen[word])
    t.diagnostic(`${adas.length} and ${bens.length} words of ${text.length} characters`)
    t.diagnostic(`a key until its frame, slowed page: ${table(watched[0].keys)}; other: ${table(watched[1].keys)}`)
    t.diagnostic(`a word of Ada's until Ben has it: ${table(took(adas, watched))}; of Ben's until Ada has it: ${table(took(bens, [...watched].reverse()))}`)
    t.diagnostic(`back from the network's loss until the other has what was typed: ${away.map(({ met }) => `${met} ms`).join(', ')}`)
    t.diagnostic(`long tasks of the slowed page: ${table(watched[0].long)}`)
  })
})
