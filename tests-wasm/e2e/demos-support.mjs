// What the tests of the demos share: pages that are ready, keys pressed as a person would, and axe.
import { readFileSync } from 'node:fs'
import { createRequire } from 'node:module'
import assert from 'node:assert/strict'
import { waitFor } from '../harness/index.mjs'

const AXE = readFileSync(createRequire(import.meta.url).resolve('axe-core/axe.min.js'), 'utf8')
/** More presses of Tab than any demo has stops. */
const TABS = 120

/** The demos, and what is on the page once it works. */
export const DEMOS = [
  { name: 'home', path: '', ready: '.spaces [data-space]' },
  { name: 'board', path: 'board/', ready: '.notes' },
  { name: 'scribe', path: 'scribe/', ready: '.texts, .lists .empty' },
  { name: 'explorer', path: 'explorer/', ready: '#start:not([disabled])' },
]

/** Waits until something is on the page. */
export const appears = (page, selector, what = `${selector} on the page`) =>
  page.waitFor((wanted) => Boolean(document.querySelector(wanted)), { args: [selector], what, timeout: 60_000 })

/** Text of the first element that matches, as a person sees it, without surrounding space; undefined if there is none. */
export const textOf = (page, selector) => page.evaluate((wanted) => document.querySelector(wanted)?.innerText.trim().replace(/\s+/g, ' '), selector)

/** Runs axe on the page as it is and fails with a readable list of what it found. */
export async function passesAxe(page, state) {
  if (!(await page.evaluate(() => 'axe' in window))) await page.inject(AXE)
  const violations = await page.evaluate(async () => {
    const { violations } = await window.axe.run()
    return violations.map(
      ({ id, nodes }) => `${id}: ${nodes.map((node) => `${node.target.join(' ')} (${node.failureSummary?.split('\n')[1]?.trim()})`).join('; ')}`,
    )
  })
  assert.deepEqual(violations, [], `axe found something on ${state}`)
}

/** Presses Tab until the element has the focus; fails if the keyboard cannot reach it. */
export async function tabTo(page, selector) {
  for (let press = 0; press < TABS; press += 1) {
    if (await page.evaluate((wanted) => Boolean(document.activeElement?.matches(wanted)), selector)) return
    await page.press('Tab')
  }
  assert.fail(`${selector} is not reached with the Tab key`)
}

/** Reaches an element by keyboard and presses Enter on it. */
export async function enter(page, selector) {
  await tabTo(page, selector)
  await page.press('Enter')
}

/** A value as the page's own fetch sees it, or undefined. */
export const read = (page, place) =>
  page.evaluate(async (url) => {
    const response = await fetch(url)
    return response.ok ? response.json() : undefined
  }, `/~/${place}`)

/** Waits until the notes of the space's board, as this page's peer has them, satisfy a condition; returns them. */
export const notesUntil = (page, space, condition, what) =>
  waitFor(
    async () => {
      const listing = await read(page, `${space}/board/notes/?values=1`)
      const notes = (listing?.items ?? []).map(({ key, value }) => ({ id: key, ...value }))
      return condition(notes) ? notes : undefined
    },
    { what, timeout: 30_000 },
  )

/** The space in the page's address. */
export const spaceOf = (page) => page.evaluate(() => new URLSearchParams(location.search).get('space'))

/** By keyboard alone: makes a space on home, and an invite into it; returns the link. */
export async function inviteByKeyboard(page, name) {
  await tabTo(page, '.spaces ~ form input[name="name"]')
  await page.type(name)
  await page.press('Enter')
  await appears(page, '.fresh button')
  await enter(page, '.fresh button')
  await appears(page, '#invite[open] form')
  await tabTo(page, '#invite form > button')
  await page.press('Enter')
  await appears(page, '#invite .qr')
  return page.evaluate(() => document.querySelector('#invite-link').value)
}
