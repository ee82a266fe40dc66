// The longest task of a page that shows a text while another peer's large part of it merges in: both wrote while they were apart.
// Against Yjs merging the same in the page. Chromium tells of tasks of 50 ms and more.
import { cleanup } from '../harness/index.mjs'
import { tracesFolder } from '../harness/traces.mjs'
import { openYjsPage, serveYjs } from './baseline/pages.mjs'
import { startYjsServer } from './baseline/yjs-server.mjs'
import { makeWall } from './support/clock.mjs'
import { figure, publish, QUICK, show, times } from './support/figures.mjs'
import { playKith, playYjs, tasksSeen, watchTasks } from './support/text-pages.mjs'
import { NO_TRACES, takeTurns } from './support/traces.mjs'
import { openBrowser, someone, startWorld } from './support/world.mjs'

const TRACE = QUICK ? 'sveltecomponent' : 'automerge-paper'
const ROUNDS = times(3, 1)
const EVERY = 50
/** What the one that is watched writes meanwhile, at the beginning of the text. */
const OWN = times(1_000, 100)
const PATIENCE_MS = 600_000

/** Opens the text and writes at its beginning, one character at a turn of the page. */
const writeOwn = async (space, name, count) => {
  const { connect } = await import('/kith.js')
  const doc = connect().space(space).text(name)
  await doc.ready
  globalThis.doc = doc
  for (let n = 0; n < count; n++) {
    doc.edit([{ from: n, to: n, insert: 'o' }])
    await new Promise((resolve) => setTimeout(resolve))
  }
  await doc.saved()
}

/** Resolves once the open text is this long: when it began to change and when it was done, after the call, in milliseconds. */
const whenLong = (length) =>
  new Promise((resolve) => {
    const began = performance.now()
    let first
    const stop = doc.on('change', ({ remote }) => {
      if (remote) first ??= performance.now() - began
      if (doc.value.length !== length) return
      stop()
      resolve({ first, done: performance.now() - began })
    })
  })

async function kith({ edits, text }, files) {
  const half = Math.floor(edits.length / 2)
  let relay = await startWorld({ files })
  // Over the relay alone, so that they are apart while it is down.
  const [ada, bob] = [await someone(relay, { webrtc: 'blocked' }), await someone(relay, { webrtc: 'blocked' })]
  try {
    for (const one of [ada, bob]) {
      one.page.evaluateTimeout = PATIENCE_MS
      await one.page.evaluate(makeWall)
    }
    const space = await ada.space('Texts')
    await bob.join(await ada.invite(space))
    const first = await ada.page.evaluate(playKith, space, TRACE, 0, half, EVERY)
    await bob.page.evaluate(writeOwn, space, TRACE, 0)
    await bob.page.waitFor((length) => globalThis.doc.value.length === length, { args: [first.length], what: 'the first half of the text', timeout: PATIENCE_MS })
    // What a page needs is there before it is gone.
    await ada.page.evaluate(async (name) => void (globalThis.edits = await (await fetch(`/${name}.json`)).json()), TRACE)
    await relay.kill()
    await bob.page.evaluate(writeOwn, space, TRACE, OWN)
    await ada.page.evaluate(playKept, space, TRACE, half, EVERY)
    await bob.page.evaluate(watchTasks)
    const merged = bob.page.evaluate(whenLong, text.length + OWN)
    relay = await relay.restart()
    const { first: begun, done } = await merged
    return { ...(await bob.page.evaluate(tasksSeen)), took: done - begun }
  } finally {
    await Promise.all([ada.close(), bob.close(), relay.kill()])
  }
}

/** Plays the rest of the edits the page holds already. */
const playKept = async (space, name, from, every) => {
  const { connect } = await import('/kith.js')
  const { edits } = globalThis.edits
  const doc = connect().space(space).text(name)
  await doc.ready
  for (let at = from; at < edits.length; ) {
    for (const end = Math.min(at + every, edits.length); at < end; at++) doc.edit([{ from: edits[at][0], to: edits[at][0] + edits[at][1], insert: edits[at][2] }])
    await new Promise((resolve) => setTimeout(resolve))
  }
  await doc.saved()
  await doc.close()
}

async function yjsInPage({ edits, text }, files) {
  const half = Math.floor(edits.length / 2)
  const site = await serveYjs(files)
  const [first, second] = [await startYjsServer(), await startYjsServer()]
  const browser = await openBrowser('chromium')
  const visit = (visitor) => openYjsPage(visitor, site, PATIENCE_MS)
  const connect = async (url) => void (await yjs.start(url, { persist: true }))
  try {
    // The writer's page has the whole; the watched one has the first half from elsewhere, and its own.
    const writer = await visit(browser)
    await writer.evaluate(connect, first.url)
    await writer.evaluate(playYjs, TRACE, 0, half, EVERY)
    const other = await openBrowser('chromium')
    const page = await visit(other)
    await page.evaluate(connect, first.url)
    await first.close()
    await writer.evaluate(playYjs, TRACE, half, edits.length, EVERY)
    await page.evaluate((count) => {
      for (let n = 0; n < count; n++) yjs.doc.getText('text').insert(n, 'o')
    }, OWN)
    await writer.evaluate(connect, second.url)
    // The server says when it has all of the writer's.
    while (second.doc.getText('text').length !== text.length) await new Promise((resolve) => second.doc.once('update', resolve))
    await page.evaluate(watchTasks)
    const took = await page.evaluate(async (url) => {
      const began = performance.now()
      await yjs.start(url)
      return performance.now() - began
    }, second.url)
    const length = await page.evaluate(() => yjs.doc.getText('text').length)
    if (length !== text.length + OWN) throw new Error(`the merged text has ${length} characters`)
    const found = { ...(await page.evaluate(tasksSeen)), took }
    await other.close()
    return found
  } finally {
    await Promise.all([browser.close(), second.close()])
    await site.close()
  }
}

if (!tracesFolder()) process.stdout.write(NO_TRACES)
else {
  try {
    const { trace, found } = await takeTurns(TRACE, ROUNDS, kith, yjsInPage)
    const worst = (rounds, what) => Math.max(...rounds.map((round) => round[what]))
    show(`half of ${TRACE} (${trace.edits.length} edits) merging into a page with ${OWN} edits of its own; the worst of ${ROUNDS}`, [
      ['', 'longest task, ms', 'tasks of 50 ms and more', 'all of them, ms', 'from first to last change, s'],
      ...Object.entries(found).map(([name, rounds]) => [name, Math.round(worst(rounds, 'longest')), worst(rounds, 'n'), Math.round(worst(rounds, 'all')), figure(worst(rounds, 'took') / 1000)]),
    ])
    publish('merging', { trace: TRACE, own: OWN, found })
  } finally {
    await cleanup()
  }
}
