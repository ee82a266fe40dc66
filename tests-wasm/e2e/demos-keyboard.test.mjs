// Everything a person does in the demos, done by keyboard alone against the real peer.
import assert from 'node:assert/strict'
import { after, before, describe, it } from 'node:test'
import { missing, openBrowser, startRelay, waitFor } from '../harness/index.mjs'
import { appears, enter, inviteByKeyboard, notesUntil, passesAxe, read, spaceOf, tabTo, textOf } from './demos-support.mjs'

describe('the demos by keyboard', { skip: missing('chromium') }, () => {
  let relay
  let browser
  let page
  before(async () => {
    relay = await startRelay()
    browser = await openBrowser('chromium')
    page = await browser.newPage(relay.url)
    await appears(page, '.spaces [data-space]')
  })
  after(async () => {
    await browser?.close()
    await relay?.kill()
  })

  it('home: sets a name', async () => {
    await tabTo(page, 'input[name="name"][autocomplete="nickname"]')
    await page.type('Ada')
    await page.press('Enter')
    await waitFor(async () => (await read(page, 'me/profile'))?.name === 'Ada', 'the name in the private space')
    assert.match(await textOf(page, '.you'), /^Ada /)
  })

  it('home: creates a space and makes an invite with a QR code, in a dialog that passes axe and closes with Escape', async () => {
    const link = await inviteByKeyboard(page, 'Picnic')
    assert.match(link, new RegExp(`^${relay.url}board/#kith=.+`))
    await passesAxe(page, 'the invite dialog')
    await page.press('Escape')
    await page.waitFor(() => !document.querySelector('#invite').open)
    assert.match(await textOf(page, '.fresh'), /Picnic/)
    const status = await read(page, 'peer')
    assert.equal(status.spaces.find(({ name }) => name === 'Picnic')?.role, 'owner')
  })

  it('home: says in plain words that a pasted text is no invite', async () => {
    await tabTo(page, 'input[name="link"]')
    await page.type('not an invite')
    await page.press('Enter')
    await appears(page, '#toasts .bad')
    assert.match(await textOf(page, '#toasts .bad'), /\w+ .*\./)
    await passesAxe(page, 'home with an error message')
  })

  it('board: adds a note, writes in it, moves it with the arrow keys, colours it, deletes it, and takes that back', async () => {
    await enter(page, '.fresh a[href^="/board/"]')
    await appears(page, '.notes')
    const space = await spaceOf(page)
    await enter(page, '#add')
    await appears(page, '.note textarea:focus')
    await page.type('Bring the tent')
    const [written] = await notesUntil(page, space, ([note]) => note?.text === 'Bring the tent', 'the text of the note')
    assert.equal(written.by, 'Ada')

    await page.press('Escape')
    await tabTo(page, '.note .handle')
    for (const key of ['ArrowRight', 'ArrowRight', 'ArrowDown']) await page.press(key)
    const [moved] = await notesUntil(page, space, ([note]) => note.x === written.x + 48 && note.y === written.y + 24, 'the new place of the note')
    assert.equal(moved.text, 'Bring the tent')
    assert.ok(await page.evaluate(() => document.activeElement.matches('.note .handle')), 'the handle keeps the focus')

    await enter(page, '.note [title="Colour"]')
    await notesUntil(page, space, ([note]) => note.color !== written.color, 'another colour')
    await passesAxe(page, 'the board with a note')

    await enter(page, '.note [title="Delete"]')
    await notesUntil(page, space, (notes) => notes.length === 0, 'the note to be gone')
    await enter(page, '#toasts button')
    const [back] = await notesUntil(page, space, (notes) => notes.length === 1, 'the note to be back')
    assert.equal(back.text, 'Bring the tent')
  })

  it('explorer: finds the note in the tree, changes a value, and writes random data', async () => {
    const space = await spaceOf(page)
    await enter(page, '.apps a[href^="/explorer/"]')
    await appears(page, '#start:not([disabled])')
    assert.equal(await spaceOf(page), space, 'the header keeps the space')
    await appears(page, '.key[data-path="board"]')
    await tabTo(page, '.key[data-path="board"]')
    await page.press('ArrowRight')
    await appears(page, '.key[data-path="board/notes"]')
    await page.press('ArrowDown')
    await page.press('Enter')
    await page.waitFor(() => document.querySelector('[name="value"]').value.includes('Bring the tent'), {
      what: 'the value of the branch in the editor',
    })

    await page.evaluate(() => document.querySelector('[name="path"]').select())
    await tabTo(page, '[name="path"]')
    await page.press('Control+a')
    await page.type('list/first key')
    await page.press('Tab')
    await page.press('Control+a')
    await page.type('{"n": 1}')
    await enter(page, '.editor .row button')
    await waitFor(async () => (await read(page, `${space}/list/first%20key`))?.n === 1, 'the value that was typed')

    await tabTo(page, '[name="rate"]')
    await page.press('Control+a')
    await page.type('200')
    await tabTo(page, '[name="count"]')
    await page.press('Control+a')
    await page.type('60')
    await page.press('Enter')
    await page.waitFor(() => /^60 of 60 written/.test(document.querySelector('#run').textContent.trim()), { what: 'sixty writes', timeout: 60_000 })
    const times = await textOf(page, '.gauges')
    assert.match(times, /PUT answered \d[\d.,]* ms .* 60 measured/)
    await page.waitFor(() => / 60 measured/.test(document.querySelectorAll('.gauges dd')[1].textContent), { what: 'sixty own changes in the feed' })
    const { items } = await read(page, `${space}/explorer/random/`)
    assert.equal(items.length, 1)
    assert.equal((await read(page, `${space}/explorer/random/${items[0].key}/?limit=1000`)).items.length, 60)
    await passesAxe(page, 'the explorer after a run')
  })

  it('explorer: stops a run, and deletes what was generated', async () => {
    const space = await spaceOf(page)
    await tabTo(page, '[name="count"]')
    await page.press('Control+a')
    await page.type('5000')
    await page.press('Enter')
    await appears(page, '#stop')
    await tabTo(page, '#stop')
    await page.press('Enter')
    await appears(page, '#start')
    const words = await textOf(page, '#run')
    assert.ok(Number(/^([\d,]+) of/.exec(words)[1].replaceAll(',', '')) < 5000, words)
    await tabTo(page, '#start ~ .danger')
    await page.press('Enter')
    await waitFor(async () => (await read(page, `${space}/explorer/random/`))?.items?.length === 0, 'the generated values to be gone')
  })
})
