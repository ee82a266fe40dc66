// The public editing traces through the whole stack: a page types one in one browser, a page in the other ends with the recorded text. Traces of one
// writer go through the SDK; those of several, who wrote at once, are edits with a history (`Merge-Type: dt`). They are found in KITH_TRACES or beside
// the repository. The beginning of two in ordinary runs, all of all with KITH_LONG=1.
// limit: 15 min
import assert from 'node:assert/strict'
import { readFileSync } from 'node:fs'
import { join } from 'node:path'
import { after, before, describe, it } from 'node:test'
import { gunzipSync } from 'node:zlib'
import { availableBrowsers, missing, waitFor } from '../harness/index.mjs'
import { tracesFolder } from '../harness/traces.mjs'
import { NETWORK_MS, together } from './peers-support.mjs'
import { textWorld } from './text-support.mjs'

const LONG = Boolean(process.env.KITH_LONG)
const SHORT = 600
/** Transactions handed to the page at once. */
const PORTION = 1000
const ONE_WRITER = LONG ? ['sveltecomponent', 'rustcode', 'seph-blog1', 'automerge-paper'] : ['sveltecomponent']
const SEVERAL = LONG ? ['friendsforever', 'clownschool'] : ['friendsforever']
const folder = tracesFolder()
const skip = missing('chromium') || (folder ? false : 'the editing traces are not here; set KITH_TRACES to their folder')
const other = availableBrowsers().includes('firefox') ? 'firefox' : 'chromium'

function trace(name) {
  const all = JSON.parse(gunzipSync(readFileSync(join(folder, `${name}.json.gz`))).toString())
  return { ...all, txns: LONG ? all.txns : all.txns.slice(0, SHORT), whole: LONG }
}

/** The text after transactions of one writer, each replacement in the text after the one before. */
function played(txns) {
  const points = []
  for (const { patches } of txns) for (const [at, gone, text] of patches) points.splice(at, gone, ...text)
  return points.join('')
}

describe(`editing traces from chromium to ${other}`, { skip }, () => {
  let world
  let ada
  let ben
  let space
  before(async () => {
    world = await textWorld()
    ada = await world.person('chromium')
    ben = await world.person(other)
    space = await together(ada, ben)
  })
  after(() => world?.close())

  const read = (who, path) => who.page.evaluate(async (at) => (await fetch(at)).text(), `/~/${space}/${path}`)
  const arrives = (path, text) => waitFor(async () => (await read(ben, path)) === text, { what: `the text of ${path} in the other browser`, timeout: (LONG ? 20 : 2) * NETWORK_MS })

  for (const name of ONE_WRITER) {
    it(`${name}, typed in an editor`, async () => {
      const { txns, endContent, whole } = trace(name)
      const path = `texts/${name}`
      await ada.open(name, space, path, 'none')
      for (let from = 0; from < txns.length; from += PORTION) {
        const portion = txns.slice(from, from + PORTION).map(({ patches }) => patches)
        await ada.page.evaluate(
          async (as, edits) => {
            const doc = window.texts.docs.get(as)
            for (const patches of edits) for (const [at, gone, insert] of patches) doc.edit([{ from: at, to: at + gone, insert }])
            await doc.saved()
          },
          name,
          portion,
        )
      }
      const expected = whole ? endContent : played(txns)
      assert.equal(await read(ada, path), expected)
      await arrives(path, expected)
    })
  }

  for (const name of SEVERAL) {
    it(`${name}, by writers who wrote at once`, async () => {
      const { txns, endContent, whole } = trace(name)
      const path = `texts/${name}`
      // Each replacement is an edit of its own, named as clients with a history name them; of each transaction, the name of its last.
      const counts = []
      const last = []
      const edits = txns.flatMap(({ agent, parents, patches }, number) => {
        let at = parents.map((parent) => last[parent])
        return patches.map(([from, gone, text]) => {
          counts[agent] = (counts[agent] ?? 0) + gone + [...text].length
          const edit = { agent: `writer${agent}`, version: `writer${agent}-${counts[agent] - 1}`, parents: at, patch: [from, from + gone, text] }
          last[number] = edit.version
          at = [edit.version]
          return edit
        })
      })
      // What diamond-types itself makes of them, in the page, is what all must end with.
      await ada.page.evaluate(async (url) => {
        window.oracle = await window.texts.Diamond.open(url)
        window.oracle.stop.abort()
      }, `/~/${space}/${path}-oracle`)
      for (let from = 0; from < edits.length; from += PORTION) {
        const statuses = await ada.page.evaluate(
          async (url, portion) => {
            const under = new Set()
            const bad = []
            for (const { agent, version, parents, patch } of portion) {
              window.oracle.add(agent, parents, [patch])
              const list = (names) => names.map((one) => JSON.stringify(one)).join(', ')
              const headers = { 'Merge-Type': 'dt', Version: list([version]), Parents: list(parents), 'Content-Range': `text [${patch[0]}:${patch[1]}]` }
              const sent = fetch(url, { method: 'PUT', headers, body: patch[2] }).then((answer) => {
                if (!answer.ok) bad.push([version, answer.status])
                under.delete(sent)
              })
              under.add(sent)
              while (under.size >= 10) await Promise.race(under)
            }
            await Promise.all(under)
            return bad
          },
          `/~/${space}/${path}`,
          edits.slice(from, from + PORTION),
        )
        assert.deepEqual(statuses, [])
      }
      const expected = await ada.page.evaluate(() => window.oracle.text)
      if (whole) assert.equal(expected, endContent)
      assert.ok(expected.length > 100, expected)
      assert.equal(await read(ada, path), expected)
      await arrives(path, expected)
    })
  }
})
