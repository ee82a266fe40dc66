// Two people, two browsers: one makes an invite on home, the other opens the link, and both work on one board.
import assert from 'node:assert/strict'
import { after, before, describe, it } from 'node:test'
import { availableBrowsers, missing, openBrowser, startRelay } from '../harness/index.mjs'
import { appears, inviteByKeyboard, notesUntil, spaceOf, textOf } from './demos-support.mjs'

const other = availableBrowsers().includes('firefox') ? 'firefox' : 'chromium'
const shows = (page, text) =>
  page.waitFor((wanted) => [...document.querySelectorAll('.note textarea')].some((note) => note.value === wanted), {
    args: [text],
    what: `a note saying “${text}”`,
    timeout: 60_000,
  })

describe(`a board shared by chromium and ${other}`, { skip: missing('chromium') }, () => {
  let relay
  let ada
  let ben
  let adaPage
  let benPage
  let space
  before(async () => {
    relay = await startRelay()
    ada = await openBrowser('chromium')
    ben = await openBrowser(other)
    adaPage = await ada.newPage(relay.url)
    await appears(adaPage, '.spaces [data-space]')
  })
  after(async () => {
    await ada?.close()
    await ben?.close()
    await relay?.kill()
  })

  it('opening the link joins and lands on the board of that space', async () => {
    const link = await inviteByKeyboard(adaPage, 'Trip')
    benPage = await ben.newPage(link)
    await benPage.waitFor(() => location.pathname === '/board/' && new URLSearchParams(location.search).has('space') && !location.hash, {
      what: 'the board of the space',
      timeout: 90_000,
    })
    await appears(benPage, '.notes')
    await benPage.waitFor(() => document.querySelector('.space-picker select').selectedOptions[0]?.textContent === 'Trip', {
      what: 'the name of the space',
      timeout: 60_000,
    })
    space = await spaceOf(benPage)
  })

  it('what one writes appears at the other without reloading, both ways', async () => {
    await adaPage.goto(new URL(`board/?space=${encodeURIComponent(space)}`, relay.url))
    await appears(adaPage, '#add:not([disabled])')
    await adaPage.click('#add')
    await appears(adaPage, '.note textarea:focus')
    await adaPage.type('From Ada')
    await shows(benPage, 'From Ada')
    await benPage.click('#add')
    await benPage.waitFor(() => document.activeElement?.matches('.note textarea') && document.activeElement.value === '', {
      what: 'the new note with the focus',
    })
    await benPage.type('From Ben')
    await shows(adaPage, 'From Ben')
  })

  it('moving a note at one while the other edits its text keeps both', async () => {
    const [before] = await notesUntil(adaPage, space, (notes) => notes.some(({ text }) => text === 'From Ada'), 'the note').then((notes) =>
      notes.filter(({ text }) => text === 'From Ada'),
    )
    const note = `.note[data-id="${before.id}"]`
    await adaPage.evaluate((selector) => document.querySelector(`${selector} .handle`).focus(), note)
    await benPage.evaluate((selector) => {
      const box = document.querySelector(`${selector} textarea`)
      box.focus()
      box.setSelectionRange(box.value.length, box.value.length)
    }, note)
    await Promise.all([adaPage.press('Shift+ArrowDown'), benPage.type(', and Ben')])
    for (const page of [adaPage, benPage]) {
      await notesUntil(
        page,
        space,
        (notes) => notes.some(({ id, text, y }) => id === before.id && text === 'From Ada, and Ben' && y === before.y + 120),
        'both changes in one note',
      )
    }
  })

  it('home says who is connected and how; the board says that everything has arrived', async () => {
    await benPage.waitFor(() => /In step with 1 other/.test(document.querySelector('#sync').textContent), {
      what: 'the sync state on the board',
      timeout: 60_000,
    })
    await adaPage.goto(relay.url)
    await appears(adaPage, '.people [data-path]')
    assert.match(await textOf(adaPage, '.people'), /direct|through the relay/)
    assert.match(await textOf(adaPage, '#net'), /Direct to 1 other|Via relay to 1 other/)
  })

  it('explorer at one sees a change made by the other, with the time it took', async () => {
    await adaPage.goto(new URL(`explorer/?space=${encodeURIComponent(space)}`, relay.url))
    await appears(adaPage, '#start:not([disabled])')
    await benPage.evaluate(
      (place) => fetch(place, { method: 'PUT', headers: { 'content-type': 'application/json' }, body: '"hello"' }),
      `/~/${space}/from-ben`,
    )
    await adaPage.waitFor(() => [...document.querySelectorAll('.changes .path')].some((path) => path.title === 'from-ben'), {
      what: 'the change in the feed',
      timeout: 60_000,
    })
    await appears(adaPage, '.key[data-path="from-ben"]')
    const remote = await adaPage.evaluate(() => document.querySelectorAll('.gauges dd')[2].textContent)
    assert.match(remote, /ms/)
  })

  it('a reader sees the board and cannot change it', async () => {
    const quiet = await adaPage.evaluate(async () => {
      const send = async (url, body) => (await fetch(url, { method: 'POST', headers: { 'content-type': 'application/json' }, body: JSON.stringify(body) })).json()
      const { id } = await send('/~/spaces', { name: 'To read' })
      await fetch(`/~/${id}/board/notes/n1`, { method: 'PUT', headers: { 'content-type': 'application/json' }, body: '{"text":"Look, but do not touch"}' })
      return send(`/~/${id}/$invites`, { role: 'reader', app: '/board/' })
    })
    await benPage.goto(quiet.url)
    await shows(benPage, 'Look, but do not touch')
    await appears(benPage, '.lock')
    assert.deepEqual(
      await benPage.evaluate(() => [document.querySelector('#add').disabled, document.querySelector('.note textarea').readOnly, document.querySelectorAll('.note button').length]),
      [true, true, 0],
    )
  })
})
