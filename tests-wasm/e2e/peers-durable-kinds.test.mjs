// lane: beside
// What was acknowledged survives, for values of kinds: the worker is stopped, tabs crash and the whole browser is killed, all at random moments
// under edits of a text, of lists (insertions, moves, deletions) and of a counter, and under moves of what has a text in it; the worker also while
// what was purged is being erased and while the file of a space is taken in; and with the disk full in between.
//
//   KITH_KILLS=200   how often the worker is stopped in each test        KITH_SEED=12345   the same moments again
import assert from 'node:assert/strict'
import { describe, it } from 'node:test'
import { LONG, missing, openBrowser, PATIENCE_MS, waitFor, within } from '../harness/index.mjs'
import { endTab, KILLS, open, pause, say, SEED, seeded, someMoment, stopWorkers, writeAgain } from './durable/deaths.mjs'
import { readFeed, startDiary, told } from './durable/diary.mjs'
import { begin, checkKinds, followKinds, kindsOf, startWriting } from './durable/kinds.mjs'
import { meet, NETWORK_MS } from './peers-support.mjs'

const TABS = LONG ? 20 : 2
const BROWSERS = LONG ? 15 : 1
/** Texts and lists that are purged, and edits of each. */
const JUNK = LONG ? 20 : 6
/** Values of so many bytes that make a file of a space large. */
const [BIG, BIG_ONES] = [400_000, LONG ? 40 : 20]
/** The room there is for the test of a full disk, and how much more there is after each time it was full. */
const [ROOM, MORE_ROOM] = [24 * 1024 * 1024, 4 * 1024 * 1024]

for (const kind of ['chromium', 'firefox']) {
  describe(`${kind}: acknowledged edits`, { skip: missing(kind) }, () => {
    it(`of texts, lists and counters, and moves, survive ${KILLS} stops of the worker`, async (t) => {
      const world = await begin(kind)
      await world.start()
      const stops = await stopWorkers(world, seeded(kind, 'edits'), (kill) => kill >= KILLS)
      await world.stop()
      t.diagnostic(`${stops} stops, ${world.diary.writes.size} writes (KITH_SEED=${SEED})`)
      assert.ok(stops > KILLS / 2, `the worker was running at most of its stops: ${stops}`)
      await checkKinds(world.ada.page, world.space, world.diary)
      await world.end()
    })

    it(`survive ${TABS} tabs that are closed or crash`, async (t) => {
      const world = await begin(kind)
      const { browser, diary, space } = world
      const random = seeded(kind, 'tabs')
      let listener = world.ada.page
      let [crashes, again] = [0, 0]
      for (let round = 0; round < TABS; round++) {
        const page = await open(browser, diary, `tab${round}`)
        const before = diary.stored().length
        await startWriting(page, space, diary)
        await told(diary, () => diary.stored().length > before + 12, 'the tab to write')
        await someMoment(random, diary)
        const crashed = round % 2 === 0
        await endTab(kind, browser, page, crashed)
        crashes += crashed ? 1 : 0
        if (crashed && kind === 'firefox') {
          const old = listener
          listener = await open(browser, diary, `listener${round}`)
          await within(old.close(), PATIENCE_MS, 'end of the tab').catch(() => {})
          await followKinds(listener, space, diary)
        }
        await listener.show()
        again += await writeAgain(listener, diary)
      }
      say(t, diary, kind, `${TABS - crashes} tabs closed, ${crashes} crashed, ${again} writes died with them`)
      await checkKinds(listener, space, diary)
      await world.end()
    })

    it(`survive ${BROWSERS} times SIGKILL of the browser`, async (t) => {
      const world = await begin(kind)
      const { diary, space } = world
      const random = seeded(kind, 'browser')
      let { page } = world.ada
      let again = 0
      for (let round = 1; round <= BROWSERS; round++) {
        const before = diary.stored().length
        await startWriting(page, space, diary)
        await told(diary, () => diary.stored().length > before + 30, 'writes to go on')
        await someMoment(random, diary)
        await world.browser.sigkill()
        world.browser = await world.browser.reopen()
        page = await open(world.browser, diary, `ada${round}`)
        await followKinds(page, space, diary)
        again += await writeAgain(page, diary)
      }
      say(t, diary, kind, `${BROWSERS} times SIGKILL, ${again} writes died with it`)
      await checkKinds(page, space, diary)
      await world.end()
    })

    it('survive stops while what was purged is being erased, and it is erased in the end', async (t) => {
      const world = await begin(kind)
      const { ada, space, diary } = world
      const top = `/~/${space}/junk`
      await ada.page.evaluate(
        async (path, count) => {
          for (let n = 0; n < count; n++) {
            await window.insist('PUT', `${path}/t${n}`, { 'Content-Type': 'text/plain', 'Merge-Type': 'simpleton' }, `secret ${n} `)
            await window.insist('PUT', `${path}/l${n}`, { 'Content-Type': 'application/json', 'Merge-Type': 'list' }, JSON.stringify([`secret ${n}`]))
            for (let edit = 0; edit < 10; edit++) {
              await window.insist('PUT', `${path}/t${n}`, { 'Merge-Type': 'simpleton', 'Content-Range': 'text [0:0]' }, `secret ${edit} `)
              await window.insist('PUT', `${path}/l${n}/0`, { 'Content-Type': 'application/json' }, `"secret ${edit}"`)
            }
          }
        },
        top,
        JUNK,
      )
      await world.start()
      const random = seeded(kind, 'purge')
      const places = Array.from({ length: JUNK }, (_, n) => [`${top}/t${n}`, `${top}/l${n}`]).flat()
      const left = () => ada.page.evaluate(async (id) => JSON.parse((await window.insist('GET', '/~/peer')).text).spaces.find((one) => one.id === id).collecting, space)
      let collecting
      const stops = await stopWorkers(world, random, async (kill) => {
        const place = places.pop()
        if (place) await ada.page.evaluate((path) => window.insist('DELETE', `${path}?purge=1`), place)
        collecting = await left()
        return places.length === 0 && kill >= KILLS
      })
      await waitFor(async () => (collecting = await left()) === 0, { what: 'all of it to be erased', timeout: 2 * NETWORK_MS })
      await world.stop()
      t.diagnostic(`${stops} stops, ${diary.writes.size} writes, ${JUNK * 2} purges (KITH_SEED=${SEED})`)
      await checkKinds(ada.page, space, diary)
      const items = await ada.page.evaluate(async (path) => (await (await fetch(`${path}/`)).json()).items, top)
      assert.deepEqual([collecting, items], [0, []])
      await world.end()
    })

    it('survive stops of a worker that takes in the file of a space', async (t) => {
      const world = await begin(kind)
      const { ada, space, diary } = world
      await world.start()
      await told(diary, () => diary.stored().length > (LONG ? 1500 : 120), 'enough to be written')
      await world.stop()
      await ada.page.evaluate(
        async (base, count, size) => {
          const random = () => btoa(String.fromCharCode(...crypto.getRandomValues(new Uint8Array(3_000))))
          for (let n = 0; n < count; n++) await window.insist('PUT', `${base}/b${n}`, { 'Content-Type': 'text/plain', 'Merge-Type': 'lww' }, Array.from({ length: size / 4_000 }, random).join(''))
        },
        `/~/${space}/big`,
        BIG_ONES,
        BIG,
      )
      const file = await ada.page.evaluate((id) => window.saveSpace(id), space)
      const wanted = await ada.ask('GET', kindsOf(space))
      // On a device that has nothing of it.
      const notes = await startDiary(world.relay.url)
      const other = await openBrowser(kind)
      const ben = await meet(other, await other.newPage(notes.page('b')))
      ben.page.evaluateTimeout = 2 * NETWORK_MS
      const bytes = await ben.page.evaluate((base64) => window.keepSpace(base64), file)
      const random = seeded(kind, 'import')
      const taken = () => ben.page.evaluate(() => window.taken)
      let [stops, tries, imports] = [0, 0, 0]
      let answer
      // A file is taken in within a second or two, each time from where it stood. Where no stop fell into that, it is taken in once more.
      for (; tries === imports && imports < 10; tries += answer.tries, imports++) {
        await ben.page.evaluate(() => window.takeSpace())
        for (let kill = 0; kill < KILLS && !(await taken()); kill++) {
          await pause(random() * (kill % 2 ? 600 : 100))
          stops += (await other.killWorker()) > 0 ? 1 : 0
        }
        answer = await waitFor(taken, { what: 'the file to be taken in', timeout: 2 * NETWORK_MS })
        if (answer.error) break
      }
      t.diagnostic(`${stops} stops, ${tries} tries in ${imports} imports of ${bytes} bytes, ${diary.writes.size} writes (KITH_SEED=${SEED})`)
      assert.equal(answer.error, undefined)
      assert.ok(stops > 0 && tries > imports, `the worker was stopped while it took the file in: ${stops} stops, ${tries} tries`)
      await waitFor(async () => (await ben.ask('GET', kindsOf(space))).text === wanted.text, { what: 'the same to be there', timeout: 2 * NETWORK_MS })
      const places = async (page) => (await readFeed(page, space)).map(({ version, path }) => `${version} ${path}`).sort()
      assert.deepEqual(await places(ben.page), await places(ada.page), 'each version is there once, as where it came from')
      await checkKinds(ada.page, space, diary)
      await other.close()
      await world.end()
    })
  })
}

/** In the page: writes values, large ones first, until not even a small one fits. */
async function fill(path, round) {
  for (const [n, size] of [900_000, 90_000, 9_000, 900].entries()) {
    for (let value = 0, status = 0; status !== 507; value++) {
      const answer = await fetch(`${path}/${round}-${n}-${value}`, { method: 'PUT', headers: { 'Content-Type': 'text/plain', 'Merge-Type': 'lww' }, body: 'x'.repeat(size) })
      ;({ status } = answer)
      if (status !== 201 && status !== 507) throw new Error(`filling was refused: ${status} ${await answer.text()}`)
    }
  }
}

describe('chromium: with the disk full', { skip: missing('chromium') }, () => {
  it('edits are refused with 507, nothing is half written, and they go on when there is room', async (t) => {
    let limit
    // From before anything is stored: what Chromium once found to be free it does not ask for again for a while.
    const world = await begin('chromium', async (opened, { url }) => {
      const session = await opened.native.context.newCDPSession((await opened.newPage('about:blank')).native)
      limit = (quotaSize) => session.send('Storage.overrideQuotaForOrigin', { origin: new URL(url).origin, quotaSize })
      await limit(ROOM)
    })
    const { ada, browser, diary, space } = world
    const random = seeded('chromium', 'full')
    await world.start()
    let full = 0
    for (let round = 0; round < (LONG ? 12 : 2); round++) {
      const before = diary.stored().length
      await told(diary, () => diary.stored().length > before + 10, 'writes to go on')
      await ada.page.evaluate(fill, `/~/${space}/filling`, round)
      diary.trouble = undefined
      await told(diary, () => diary.trouble?.trouble.startsWith('507'), 'writes to be refused for want of room')
      full++
      // Reads go on, and a worker that starts with the disk full does too.
      if (random() < 0.7) await browser.killWorker()
      const count = await ada.page.evaluate(async (path) => JSON.parse((await window.insist('GET', path)).text), `${kindsOf(space)}/count`)
      assert.ok(count >= 0, `the counter can be read: ${count}`)
      await limit(ROOM + (round + 1) * MORE_ROOM)
    }
    await world.stop()
    t.diagnostic(`full ${full} times, ${diary.writes.size} writes (KITH_SEED=${SEED})`)
    await checkKinds(ada.page, space, diary)
    await world.end()
  })
})

