// lane: beside
// What was deleted long ago is forgotten under kills: a checkpoint lets the rows go that say so, while the worker is stopped at random moments
// under edits of values of kinds. Nothing acknowledged is lost, and in the end nothing of what was deleted is left in the tree.
//
//   KITH_KILLS=200   how often the worker is stopped at least        KITH_SEED=12345   the same moments again
import assert from 'node:assert/strict'
import { readFileSync } from 'node:fs'
import { join } from 'node:path'
import { describe, it } from 'node:test'
import { DIST, missing } from '../harness/index.mjs'
import { KILLS, SEED, seeded, stopWorkers } from './durable/deaths.mjs'
import { begin, checkKinds } from './durable/kinds.mjs'
import { rowsWith } from './http/stored-rows.mjs'

/** Deleted places, so many that forgetting them takes many steps, and how many are deleted at once. */
const [PLACES, AT_ONCE] = [20_000, 1000]
/** The worker is stopped at least this often, in milliseconds: forgetting takes it a second or two. */
const LONGEST_MS = 400
/** Where they are. */
const TOP = 'deleted-long-ago'
/** How the keys of the tree's rows name them (1 stands for the tree, 0 ends a part of a path). The index of the past names them as well, and goes on to. */
const IN_TREE = `\u0001${TOP}\0`
/** What was deleted is forgotten after seven days, if the space is a day older. */
const PAST_MS = 9 * 24 * 3_600_000
const WORKERS = ['kith-worker.js', 'kith-worker-classic.js']

/** The worker with its clock in the past. */
const past = (name) => `{ const now = Date.now; Date.now = () => now() - ${PAST_MS} }\n${readFileSync(join(DIST, name), 'utf8')}`

for (const kind of ['chromium', 'firefox']) {
  describe(`${kind}: forgetting`, { skip: missing(kind) }, () => {
    it('goes on through stops of the worker, and nothing acknowledged is lost', async (t) => {
      const world = await begin(kind, (_, { files }) => {
        for (const name of WORKERS) files[`/${name}`] = { body: past(name), type: 'text/javascript' }
      })
      const { ada, diary, space } = world
      await ada.page.evaluate(
        async (top, count, atOnce) => {
          for (let group = 0; group < count / atOnce; group++) {
            const values = Object.fromEntries(Array.from({ length: atOnce }, (_, n) => [n, 'something']))
            await window.insist('PUT', `${top}/${group}`, { 'Content-Type': 'application/json' }, JSON.stringify(values))
            await window.insist('DELETE', `${top}/${group}`)
          }
        },
        `/~/${space}/${TOP}`,
        PLACES,
        AT_ONCE,
      )
      const left = async () => (await ada.page.evaluate(rowsWith, IN_TREE)).found
      const before = await left()
      assert.ok(before > 10, `what is deleted is remembered: ${before} pages`)

      // The present comes with another worker.
      for (const name of WORKERS) delete diary.files[`/${name}`]
      await ada.page.evaluate(async () => {
        const changed = new Promise((resolve) => navigator.serviceWorker.addEventListener('controllerchange', resolve, { once: true }))
        await (await navigator.serviceWorker.getRegistration()).update()
        await changed
      })
      await world.start()
      const seen = []
      const enough = async (kill) => {
        seen.push(await left())
        assert.ok(kill < 20 * KILLS, `what was deleted is forgotten at last: ${seen}`)
        // A page in which other rows lie as well keeps its bound.
        return kill >= KILLS && seen.at(-1) <= 1
      }
      const stops = await stopWorkers(world, seeded(kind, 'forgotten'), enough, LONGEST_MS)
      await world.stop()
      t.diagnostic(`${stops} stops, ${diary.writes.size} writes, pages of the tree that begin with something deleted: ${before}, then ${[...new Set(seen)].join(', ')} (KITH_SEED=${SEED})`)
      assert.ok(seen.some((pages) => pages > 1 && pages < before), 'the worker was stopped while it forgot')
      await checkKinds(ada.page, space, diary)
      const items = await ada.page.evaluate(async (path) => (await (await fetch(path)).json()).items, `/~/${space}/`)
      assert.deepEqual(items.map(({ key }) => key), ['k'], 'nor is the place above them left')
      await world.end()
    })
  })
}
