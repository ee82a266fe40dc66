// Every kind of client in one text: simpletons and documents of diamond-types, both on packages from npm, and our editors, in two browsers at once.
// limit: 15 min
import assert from 'node:assert/strict'
import { after, before, describe, it } from 'node:test'
import { availableBrowsers, missing, waitFor } from '../harness/index.mjs'
import { NETWORK_MS, together } from './peers-support.mjs'
import { textWorld } from './text-support.mjs'

const other = availableBrowsers().includes('firefox') ? 'firefox' : 'chromium'
/** Changes each client makes. */
const CHANGES = process.env.KITH_LONG ? 300 : 25

describe(`clients of every kind in chromium and ${other}`, { skip: missing('chromium') }, () => {
  let world
  let people
  let space
  before(async () => {
    world = await textWorld()
    people = [await world.person('chromium'), await world.person(other)]
    space = await together(...people)
  })
  after(() => world?.close())

  const send = (who, method, path, headers, body) =>
    who.page.evaluate(
      async (...[how, to, more, text]) => {
        const answer = await fetch(to, { method: how, headers: more, body: text ?? undefined })
        return { status: answer.status, headers: Object.fromEntries(answer.headers), text: await answer.text() }
      },
      method,
      path,
      headers ?? {},
      body ?? null,
    )

  it('a document of diamond-types is told every edit as it was made, writes, and resumes', async () => {
    const [ada] = people
    const at = '/~/me/texts/history'
    const DT = { 'Merge-Type': 'dt' }
    assert.equal((await send(ada, 'PUT', at, { ...DT, Version: '"zoe-4"', Parents: '', 'Content-Range': 'text [0:0]' }, 'Hello')).status, 201)
    assert.match((await send(ada, 'OPTIONS', at)).headers['merge-type'], /\bdt\b/)
    await ada.page.evaluate(async (url) => {
      window.one = await window.texts.Diamond.open(url)
    }, at)
    const shows = (text) => ada.page.waitFor((wanted) => window.one.text === wanted, { args: [text], what: `"${text}" in diamond-types` })
    await shows('Hello')
    // Two edits of one state, by somebody with a history and by somebody without.
    assert.equal((await send(ada, 'PUT', at, { ...DT, Version: '"zoe-5"', Parents: '"zoe-4"', 'Content-Range': 'text [5:5]' }, '!')).status, 200)
    assert.equal((await send(ada, 'PUT', at, { ...DT, Version: '"bob-1"', Parents: '"zoe-4"', 'Content-Range': 'text [0:1]' }, '漢')).status, 200)
    await shows('漢ello!')
    const { headers } = await send(ada, 'GET', at)
    const simpleton = { 'Merge-Type': 'simpleton', Version: '"s-1"', Parents: headers.version, 'Content-Range': 'text [6:6]' }
    assert.equal((await send(ada, 'PUT', at, simpleton, '😀')).status, 200)
    await shows('漢ello!😀')
    const told = await ada.page.evaluate(() => window.one.told)
    assert.deepEqual(told.slice(0, 3), [
      { version: 'zoe-4', parents: [], patches: [[0, 0, 'Hello']] },
      { version: 'zoe-5', parents: ['zoe-4'], patches: [[5, 5, '!']] },
      { version: 'bob-1', parents: ['zoe-4'], patches: [[0, 1, '漢']] },
    ])
    assert.deepEqual([told[3].parents.toSorted(), told[3].patches], [['bob-1', 'zoe-5'], [[6, 6, '😀']]])
    await ada.page.evaluate(() => window.one.edit(0, 1, 'J'))
    assert.equal((await send(ada, 'GET', at)).text, 'Jello!😀')
    // The worker is stopped; it goes on with what it has, and is told only what is new.
    const before = told.length
    await ada.stop()
    assert.equal((await send(ada, 'PUT', at, { 'Merge-Type': 'simpleton' }, 'Jello!😀 again')).status, 200)
    await shows('Jello!😀 again')
    const after = await ada.page.evaluate(() => [window.one.told.length, window.one.errors])
    assert.deepEqual(after, [before + 1, []], 'its own edit and what it had are not told again')
    const unknown = await send(ada, 'PUT', at, { ...DT, Version: '"eve-0"', Parents: '"eve-9"', 'Content-Range': 'text [0:0]' }, 'x')
    assert.deepEqual([unknown.status, JSON.parse(unknown.text).missing], [432, ['eve-9']])
  })

  it('six simpletons, six documents of diamond-types and four editors typing at once end with one text', async () => {
    const at = `/~/${space}/texts/everybody`
    assert.equal((await send(people[0], 'PUT', at, { 'Content-Type': 'text/plain', 'Merge-Type': 'simpleton' }, 'Everybody writes here.\n')).status, 201)
    for (const who of people) {
      await waitFor(async () => (await send(who, 'GET', at)).status === 200, { what: 'the text at both', timeout: NETWORK_MS })
      await who.open('area', space, 'texts/everybody', 'textarea')
      await who.open('mirror', space, 'texts/everybody', 'codemirror')
      await who.page.evaluate(async (url) => {
        const { Simpleton, Diamond } = window.texts
        window.simpletons = [new Simpleton(url), new Simpleton(url), new Simpleton(url)]
        window.diamonds = await Promise.all([Diamond.open(url), Diamond.open(url), Diamond.open(url)])
      }, at)
      await who.page.waitFor(() => [...window.simpletons, ...window.diamonds].every(({ text }) => text.startsWith('Everybody')), { what: 'the text at all clients' })
    }
    const typeAll = (times) =>
      Promise.all(
        people.flatMap((who) => [
          who.scribble('area', times),
          who.scribble('mirror', times),
          who.page.evaluate((count) => Promise.all(window.simpletons.map((one) => one.scribble(count))).then(() => true), times),
          who.page.evaluate((count) => Promise.all(window.diamonds.map((one) => window.texts.scribbleWith(one, count))).then(() => true), times),
        ]),
      )
    const agree = async () => {
      for (const who of people) await who.saved('area', 'mirror')
      return waitFor(
        async () => {
          const shown = []
          for (const who of people) {
            shown.push(await who.shown('area'), await who.shown('mirror'), (await send(who, 'GET', at)).text)
            shown.push(...(await who.page.evaluate(() => [...window.simpletons, ...window.diamonds].map(({ text, outstanding }) => (outstanding ? null : text)))))
          }
          return shown.every((text) => text === shown[0]) && shown[0]
        },
        { what: 'one text everywhere', timeout: 3 * NETWORK_MS },
      )
    }
    await typeAll(CHANGES)
    const first = await agree()
    assert.ok(first.length > 200, first)
    // Again, with a worker that is stopped in the middle of it.
    await Promise.all([typeAll(CHANGES), people[0].stop()])
    assert.notEqual(await agree(), first)
    for (const who of people) {
      const { errors, updates } = await who.page.evaluate(() => ({
        errors: [...window.simpletons, ...window.diamonds].flatMap((one) => one.errors),
        updates: window.diamonds.map((one) => one.updates),
      }))
      assert.deepEqual(errors, [])
      assert.ok(updates.every((count) => count > CHANGES), `the documents of diamond-types saw the others: ${updates}`)
    }
  })
})
