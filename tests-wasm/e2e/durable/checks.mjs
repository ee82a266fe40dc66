// What must be true after everything the browser did to a peer that was writing.
import assert from 'node:assert/strict'
import { waitFor } from '../../harness/index.mjs'
import { NETWORK_MS } from '../peers-support.mjs'
import { readAll, readFeed } from './diary.mjs'

/** Where the tests write in their space. */
export const BASE = 't'

const local = (path, space) => path.replace(`/~/${space}/`, '')
/** Paths in the feed are relative to the space. */
const within = (path, top) => path === top || path.startsWith(`${top}/`)

/** Every acknowledged write is there, exactly once: in the values and in the feed. Gives the feed. */
export async function checkWrites(page, space, diaries) {
  const writes = diaries.flatMap((diary) => [...diary.writes.values()])
  assert.deepEqual(diaries.flatMap(({ refused }) => refused), [], 'no write and no subscription was refused')
  const unanswered = writes.filter(({ stored }) => !stored)
  assert.deepEqual(unanswered, [], 'every write was answered in the end')

  const keys = await readAll(page, `/~/${space}/${BASE}/keys`)
  const objects = await readAll(page, `/~/${space}/${BASE}/objects`)
  const puts = writes.filter(({ method }) => method === 'PUT')
  for (const { path, value } of puts) {
    const name = path.split('/').at(-1)
    assert.deepEqual((path.includes('/keys/') ? keys : objects)[name], value, `${path} is there as it was written`)
  }
  assert.equal(Object.keys(keys).length + Object.keys(objects).length, puts.length, 'nothing is there that nobody wrote')

  const feed = await readFeed(page, space)
  const cursors = feed.map(({ cursor }) => cursor)
  assert.equal(new Set(cursors).size, cursors.length, 'no cursor comes twice')
  const places = feed.map(({ version, path }) => `${version} ${path}`)
  assert.equal(new Set(places).size, places.length, `no version comes twice at a place: ${places.find((place, at) => places.indexOf(place) !== at)}`)

  const below = (top) => feed.filter(({ path }) => within(path, top))
  for (const { id, path, stored } of puts) {
    const found = new Set(below(local(path, space)).map(({ version }) => version))
    assert.equal(found.size, 1, `the write ${id} is in the feed once, not ${found.size} times: ${[...found]}`)
    assert.ok(found.has(stored.version.replaceAll('"', '')), `${id} was answered with ${stored.version} and is in the feed as ${[...found]}`)
  }
  // Patches of one object: as many versions as writes, and every one that was answered at the first try is there.
  const patches = writes.filter(({ method }) => method === 'PATCH')
  const patched = new Set(below(`${BASE}/doc`).map(({ version }) => version))
  assert.equal(patched.size, patches.length, 'every patch made one version')
  const all = new Set(feed.map(({ version }) => version))
  assert.equal(all.size, writes.length, 'as many versions as writes, of all kinds')
  return feed
}

/** What the fields of the one object must be: the last patch of each, where one peer alone wrote. */
export async function checkFields(page, space, diary) {
  const doc = await readAll(page, `/~/${space}/${BASE}/doc`)
  const last = {}
  for (const { method, value } of diary.writes.values()) if (method === 'PATCH') Object.assign(last, value)
  assert.deepEqual(doc, last)
}

/** Every subscription has heard everything, without a gap and without repetition. */
export async function checkHeard(page, space, diary, feed, fresh = '') {
  const caughtUp = (probe, what) => waitFor(probe, { what, timeout: 2 * NETWORK_MS })
  const last = feed.at(-1).cursor
  const wanted = feed.map(({ cursor, path }) => `${cursor} ${path}`)
  const compare = (heard, name) => {
    const at = heard.findIndex((item, i) => item !== wanted[i])
    assert.equal(at, -1, `${name} is right up to place ${at}: wanted ${wanted.slice(at - 1, at + 3)}; heard ${heard.slice(at - 1, at + 3)}${fresh}`)
    assert.equal(heard.length, wanted.length, `${name} has everything`)
  }

  await caughtUp(() => diary.place('feed') === last, 'the feed by events to be complete')
  compare(events(diary, 'feed').map(({ data }) => JSON.parse(data)).map(({ cursor, path }) => `${cursor} ${path}`), 'the feed by events')

  const framed = () => changesOf(diary)
  await caughtUp(() => framed().at(-1)?.cursor === last, 'the feed by frames to be complete')
  compare(framed().map(({ cursor, path }) => `${cursor} ${path}`), 'the feed by frames')

  const doc = await readAll(page, `/~/${space}/${BASE}/doc`)
  await caughtUp(() => same(listingOf(diary), doc), 'the listing by events to be complete')
  checkListing(diary)

  const frames = (diary.heard.doc ?? []).filter(({ type }) => type === 'frame')
  await caughtUp(() => same(JSON.parse(diary.heard.doc.findLast(({ type }) => type === 'frame').body || '{}'), doc), 'the object by frames to be complete')
  frames.forEach(({ headers: { version, parents } }, i) => {
    if (i === 0) return
    const before = frames[i - 1].headers
    assert.equal(parents, before.version, `frame ${i} goes on where the one before ended`)
    // What another peer shows before the logs are here counts for no version: such a frame stands at the version there was, and so may the one
    // after it, when what was shown has come in its log or has gone.
    const shown = [frames[i].headers, before].some((headers) => headers['sync-status'] === 'arriving')
    // Who was told that nothing is there, and was cut off then, has no version to go on from and is told again.
    if (version !== '' && !shown) assert.notEqual(version, parents, `frame ${i} brings something new`)
    if (version === '' && !shown) assert.equal(frames[i].body ?? '', '', `frame ${i} has no version, so it has nothing to bring`)
  })
  return { events: wanted.length, frames: frames.length }
}

const events = (diary, name) => (diary.heard[name] ?? []).filter(({ type }) => type === 'event')
const same = (one, two) => JSON.stringify(Object.entries(one).sort()) === JSON.stringify(Object.entries(two).sort())

/** The changes that came in frames: the first frame is the whole document, later ones add to its items. */
const changesOf = (diary) =>
  (diary.heard.changes ?? []).filter(({ type }) => type === 'frame').flatMap(({ body }) => {
    const given = JSON.parse(body)
    return Array.isArray(given) ? given : given.items
  })

/** The listing as its reader would have it now. */
function listingOf(diary) {
  let items = {}
  for (const { kind, data } of events(diary, 'listing')) {
    if (kind === 'reset') items = {}
    const { key, value } = JSON.parse(data)
    if (kind === 'message') items[key] = value
    if (kind === 'delete') delete items[key]
  }
  return items
}

/** A listing that was opened again may tell again what is there; while it is open it tells each change once. */
function checkListing(diary) {
  let seen = new Set()
  for (const { type, kind, data } of diary.heard.listing) {
    if (type === 'opened' || kind === 'reset') seen = new Set()
    if (kind !== 'message') continue
    const { key, version } = JSON.parse(data)
    assert.ok(!seen.has(`${key} ${version}`), `the listing tells ${key} ${version} once`)
    seen.add(`${key} ${version}`)
  }
}
