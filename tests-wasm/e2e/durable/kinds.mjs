// What must be true of a text, lists and a counter after everything the browser did to a peer that was writing them.
import assert from 'node:assert/strict'
import { LONG, openBrowser, startRelay, waitFor } from '../../harness/index.mjs'
import { meet, NETWORK_MS } from '../peers-support.mjs'
import { readFeed, startDiary } from './diary.mjs'

/** Where the tests write values of kinds. */
const KINDS = 'k'
/** A writer's rest between two writes, in milliseconds. */
const REST_MS = LONG ? 40 : 15

/** Where a space has values of kinds. */
export const kindsOf = (space) => `/~/${space}/${KINDS}`

const JSON_TYPE = { 'Content-Type': 'application/json' }

/** Makes the values that are written to. */
async function makeKinds(page, space) {
  const made = await page.evaluate(
    async (base, json) => {
      const put = async (name, headers, body) => (await fetch(`${base}/${name}`, { method: 'PUT', headers, body })).status
      return [
        await put('text', { 'Content-Type': 'text/plain', 'Merge-Type': 'simpleton' }, '....'),
        await put('list', { ...json, 'Merge-Type': 'list' }, '["one","two","three"]'),
        await put('churn', { ...json, 'Merge-Type': 'list' }, '[]'),
        await put('count', { ...json, 'Merge-Type': 'counter' }, '0'),
        await put('parcels/p0/text', { 'Content-Type': 'text/plain', 'Merge-Type': 'simpleton' }, '....'),
      ]
    },
    kindsOf(space),
    JSON_TYPE,
  )
  assert.deepEqual(made, [201, 201, 201, 201, 201])
}

/** Follows the text and the counter, each from where it stood. */
export const followKinds = (page, space, diary) =>
  page.evaluate(
    (top, at) => {
      for (const name of ['text', 'count']) window.listen(name, `${top}/${name}`, at[name])
    },
    kindsOf(space),
    { text: diary.place('text'), count: diary.place('count') },
  )

/** Starts writing, each kind from where the page before stopped. Ids are `session.kind.n`. */
export const startWriting = (page, space, diary) => {
  const from = {}
  for (const id of diary.writes.keys()) from[id.split('.')[1]] = (from[id.split('.')[1]] ?? 0) + 1
  return page.evaluate((top, rest, starts) => window.startWriting(top, rest, starts), kindsOf(space), REST_MS, from)
}

/** A browser of this kind with a space whose values of kinds are followed; `prepare(browser, diary)` comes before its page. */
export async function begin(kind, prepare = () => {}) {
  const relay = await startRelay()
  const diary = await startDiary(relay.url)
  const browser = await openBrowser(kind)
  await prepare(browser, diary)
  const ada = await meet(browser, await browser.newPage(diary.page('a')))
  ada.page.evaluateTimeout = 2 * NETWORK_MS
  const space = await ada.space('Durable')
  await makeKinds(ada.page, space)
  await followKinds(ada.page, space, diary)
  const start = () => startWriting(ada.page, space, diary)
  const stop = () => ada.page.evaluate(() => window.stopWriting())
  const world = { relay, diary, browser, ada, space, start, stop }
  world.end = async () => {
    await world.browser.close()
    await relay.kill()
  }
  return world
}

const times = (list) => list.reduce((counts, item) => counts.set(item, (counts.get(item) ?? 0) + 1), new Map())

/** Each edit is in a text once. Insertions may stand inside one another: taken out from the innermost, nothing else is left. */
function checkText(text, edits) {
  let rest = text
  for (const { id } of edits.reverse()) {
    assert.equal(rest.split(`<${id}>`).length, 2, `${id} is in the text once: ${rest.slice(0, 200)}`)
    rest = rest.replace(`<${id}>`, '')
  }
  assert.equal(rest, '....', 'nothing is in the text that nobody wrote')
}

/** What is moved about stands where the last move put it, and only there, with all that was written to it on its way. */
async function checkParcel(page, base, writes) {
  const mine = writes.filter(({ path }) => path.startsWith(`${base}/`))
  const { [`p${mine.filter(({ path }) => path.includes('?move=')).length}`]: parcel, ...elsewhere } = await page.evaluate(async (path) => (await fetch(path)).json(), base)
  assert.deepEqual(elsewhere, {}, 'nothing is left where the parcel was')
  const { text, ...values } = parcel
  const inside = (write) => write.path.slice(base.length).split('/')[2]
  const wanted = mine.filter((write) => inside(write)?.startsWith('w')).map((write) => [inside(write), write.id])
  assert.deepEqual(values, Object.fromEntries(wanted), 'what was put into it')
  checkText(text, mine.filter((write) => inside(write) === 'text'))
}

/** Every acknowledged edit is there, exactly once: in the values, in the feed, and with those who follow. */
export async function checkKinds(page, space, diary) {
  assert.deepEqual(diary.refused, [], 'no write and no subscription was refused')
  assert.deepEqual(diary.unanswered(), [], 'every write was answered in the end')
  const base = kindsOf(space)
  const read = (name) => page.evaluate(async (path) => (await fetch(path)).text(), `${base}/${name}`)
  const to = (name) => [...diary.writes.values()].filter(({ path }) => path === `${base}/${name}`)
  const ids = (writes) => writes.map(({ id }) => id).sort()

  const text = await read('text')
  checkText(text, to('text'))
  await checkParcel(page, `${base}/parcels`, [...diary.writes.values()])

  const list = JSON.parse(await read('list'))
  const added = to('list').filter(({ body }) => body.includes('"add"'))
  assert.deepEqual([...list].sort(), [...ids(added), 'one', 'two', 'three'].sort(), 'each element is in the list once')
  const churn = []
  for (const { body } of to('churn')) for (const { op, value } of JSON.parse(body)) op === 'add' ? churn.unshift(value) : churn.shift()
  assert.deepEqual(JSON.parse(await read('churn')), churn, 'what was put in and taken out again')
  assert.equal(JSON.parse(await read('count')), to('count').length, 'each increment counts once')

  const feed = (await readFeed(page, space)).filter(({ path }) => path.startsWith(`${KINDS}/`))
  const versions = times(feed.map(({ version, path }) => `${version} ${path}`))
  assert.deepEqual([...versions].filter(([, count]) => count > 1), [], 'no version comes twice at a place')
  for (const name of ['text', 'list', 'churn', 'count']) {
    assert.equal(feed.filter(({ path }) => path === `${KINDS}/${name}`).length, to(name).length + 1, `as many versions of ${name} as writes, and the one that made it`)
  }

  for (const [name, wanted] of [['text', text], ['count', String(to('count').length)]]) {
    const heard = () => (diary.heard[name] ?? []).filter(({ type, kind }) => type === 'event' && kind === 'message')
    // Each event of a text is the whole text.
    await waitFor(() => heard().at(-1)?.data === wanted, { what: `who follows the ${name} to have it`, timeout: 2 * NETWORK_MS })
  }
  const counts = (diary.heard.count ?? []).filter(({ type, kind }) => type === 'event' && kind === 'message').map(({ data }) => JSON.parse(data))
  assert.ok(counts.every((count, at) => at === 0 || count >= counts[at - 1]), `the counter never runs back: ${counts}`)
}
