// Two people with two browsers in one text: textarea, editable element and CodeMirror, typing at once, through stopped workers and cut lines.
// limit: 15 min
import assert from 'node:assert/strict'
import { after, before, describe, it } from 'node:test'
import { availableBrowsers, missing, waitFor } from '../harness/index.mjs'
import { NETWORK_MS, together } from './peers-support.mjs'
import { REFERENCE, textWorld } from './text-support.mjs'

const other = availableBrowsers().includes('firefox') ? 'firefox' : 'chromium'
const EDITORS = ['area', 'mirror', 'plain']

describe(`one text in chromium and ${other}`, { skip: missing('chromium') }, () => {
  let world
  let ada
  let ben
  let space
  before(async () => {
    world = await textWorld()
    // WebRTC is off: a cut line is then no network at all.
    ada = await world.person('chromium', { webrtc: 'blocked' })
    ben = await world.person(other, { webrtc: 'blocked' })
    space = await together(ada, ben)
    for (const [who, name] of [[ada, 'Ada'], [ben, 'Ben']]) {
      await who.open('area', space, 'texts/plan', 'textarea', name)
      await who.open('mirror', space, 'texts/plan', 'codemirror', name)
      await who.open('plain', space, 'texts/plan', 'editable', name)
    }
  })
  after(() => world?.close())

  /** Waits until every editor of both shows one text; gives it. */
  const agree = (wanted = () => true) =>
    waitFor(
      async () => {
        const shown = await Promise.all([ada, ben].flatMap((who) => EDITORS.map((as) => who.shown(as))))
        return shown.every((text) => text === shown[0]) && wanted(shown[0]) && { text: shown[0] }
      },
      { what: 'one text in six editors', timeout: 2 * NETWORK_MS },
    )

  it('what is typed on a keyboard appears in every editor of both', async () => {
    await ada.focus('area')
    await ada.page.type('From a textarea. ')
    await agree((text) => text === 'From a textarea. ')
    await ben.focus('mirror')
    await ben.page.type('From CodeMirror. ')
    await agree((text) => text === 'From a textarea. From CodeMirror. ')
    await ada.focus('plain')
    await ada.page.type('Und\u00e9')
    await ada.page.press('Enter')
    await ada.page.type('so')
    await agree((text) => text === 'From a textarea. From CodeMirror. Und\u00e9\nso')
    await ada.page.press('Backspace')
    await agree((text) => text.endsWith('\ns'))
  })

  it('two keyboards at once: every letter is there, each person’s in their order', async () => {
    await Promise.all([ada.focus('area', 0), ben.focus('mirror')])
    await Promise.all([ada.page.type('0123456789'), ben.page.type('abcdefghij')])
    const { text } = await agree()
    assert.ok(text.startsWith('0123456789'), text)
    assert.ok(text.endsWith('abcdefghij'), text)
  })

  it('the caret stays where it was while the other writes before it', async () => {
    await ada.focus('area', 5)
    const before = await ada.page.evaluate(() => document.querySelector('#area').value.slice(5, 15))
    await ben.focus('mirror', 0)
    await ben.page.type('>> ')
    await agree((text) => text.startsWith('>> '))
    assert.deepEqual(await ada.page.evaluate(() => [document.querySelector('#area').selectionStart, document.querySelector('#area').value.slice(8, 18)]), [8, before])
  })

  it('undo takes back one’s own typing and leaves the other’s', async () => {
    const { text: start } = await agree()
    for (const as of ['area', 'mirror', 'plain']) {
      await ada.focus(as)
      await ada.page.type('MINE')
      await agree((text) => text.endsWith('MINE'))
      await ben.focus('area', 0)
      await ben.page.type('+')
      await agree((text) => text.startsWith('+') && text.endsWith('MINE'))
      await ada.page.press('Control+z')
      await agree((text) => text.startsWith('+') && !text.includes('MINE'))
    }
    await agree((text) => text === `+++${start}`)
  })

  it('everybody scribbles in all six editors while workers are stopped', async () => {
    const work = [ada, ben].flatMap((who) => EDITORS.map((as) => who.scribble(as, 40)))
    for (const who of [ada, ben, ada]) {
      await who.page.waitFor(() => [...window.texts.docs.values()].some((doc) => !doc.isSaved), { what: 'something on its way' })
      await who.stop()
    }
    await Promise.all(work)
    for (const who of [ada, ben]) await who.saved(...EDITORS)
    const { text } = await agree()
    assert.ok(text.length > 200, text)
    for (const who of [ada, ben]) assert.deepEqual(await who.page.evaluate(() => [...window.texts.docs.values()].flatMap(({ problems }) => problems)), [])
  })

  it('offline on both sides: both go on writing, and meet when they are back', { skip: REFERENCE && 'one server stands for both peers' }, async () => {
    await Promise.all([ada.line.cut(), ben.line.cut()])
    await Promise.all([ada.alone(), ben.alone()])
    await Promise.all([ada.focus('area', 0), ben.focus('area')])
    await ada.page.type('Ada offline. ')
    await ben.page.type(' Ben offline.')
    for (const who of [ada, ben]) await who.saved('area')
    const apart = await Promise.all([ada.shown('area'), ben.shown('area')])
    assert.notEqual(...apart)
    await ada.stop()
    await Promise.all([ada.line.restore(), ben.line.restore()])
    await agree((text) => text.startsWith('Ada offline. ') && text.endsWith(' Ben offline.'))
  })

  it('each sees where the other is, and that they left', async () => {
    await ada.focus('mirror', 3)
    await ben.page.waitFor(() => window.texts.docs.get('mirror').cursors.some(({ name, to }) => name === 'Ada' && to === 3), { what: 'the cursor of Ada', timeout: NETWORK_MS })
    await ben.page.waitFor(() => [...document.querySelectorAll('#mirror .kith-name')].some(({ textContent }) => textContent === 'Ada'), { what: 'her name in CodeMirror' })
    await ada.page.goto('about:blank')
    await ben.page.waitFor(() => window.texts.docs.get('mirror').cursors.every(({ name }) => name !== 'Ada'), { what: 'Ada to be gone', timeout: NETWORK_MS })
  })
})
