// A text typed in one page while another page follows it, through everything there is: SDK, worker, IndexedDB, WebRTC. First by hand: the page's own
// time for a keystroke, and until the other page has it. Then a recording as fast as it goes: until it is stored, until the other page has all of it,
// bytes. Against Yjs with a central server and y-indexeddb in both pages.
import { cleanup, waitFor } from '../harness/index.mjs'
import { tracesFolder } from '../harness/traces.mjs'
import { openYjsPage, serveYjs } from './baseline/pages.mjs'
import { startYjsServer } from './baseline/yjs-server.mjs'
import { makeWall } from './support/clock.mjs'
import { figure, megabytes, publish, QUICK, quantile, ratio, show, showSpreads, spread, times } from './support/figures.mjs'
import { follow, openKith, openYjs, playKith, playYjs, pressKeys, whenSeen } from './support/text-pages.mjs'
import { NO_TRACES, takeTurns } from './support/traces.mjs'
import { openBrowser, someone, startWorld } from './support/world.mjs'

const TRACE = QUICK ? 'sveltecomponent' : 'rustcode'
const ROUNDS = times(3, 1)
const KEYS = times(400, 40)
/** From one key to the next, in milliseconds: faster than anybody types. */
const KEY_MS = 40
/** Edits between two turns of the page, where a recording is played as fast as it goes. */
const EVERY = 50
const PATIENCE_MS = 600_000

/** How long each key took until the other page had it: a text is so long once the key is in it. */
const delays = (pressed, seen) => pressed.map((at, n) => seen.find(({ length }) => length > n).at - at)

async function kith({ edits, text }, files) {
  const relay = await startWorld({ files })
  const [ada, bob] = [await someone(relay), await someone(relay)]
  try {
    for (const { page } of [ada, bob]) {
      page.evaluateTimeout = PATIENCE_MS
      await page.evaluate(makeWall)
    }
    const space = await ada.space('Texts')
    await bob.join(await ada.invite(space))
    await Promise.all([ada.linked('webrtc'), bob.linked('webrtc')])
    for (const { page } of [ada, bob]) await page.evaluate(openKith, space, 'keys')
    await bob.page.evaluate(follow, 'x'.repeat(KEYS))
    const keys = await ada.page.evaluate(pressKeys, KEYS, KEY_MS)
    const heard = await bob.page.evaluate(whenSeen)
    const sent = async () => (await ada.status()).links.reduce((sum, { bytesOut }) => sum + bytesOut, 0)
    // Counted anew when a worker starts, and then only now and then.
    const stored = async () => {
      await ada.browser.killWorker()
      return waitFor(async () => (await ada.status()).storage.used, { what: 'the worker to know what it has stored' })
    }
    const had = await stored()
    await Promise.all([ada.linked('webrtc'), bob.linked('webrtc')])
    const before = await sent()
    await bob.page.evaluate(openKith, space, TRACE)
    await bob.page.evaluate(follow, text)
    const played = await ada.page.evaluate(playKith, space, TRACE, 0, edits.length, EVERY)
    const there = await bob.page.evaluate(whenSeen)
    const bytes = (await sent()) - before
    return { key: keys.busy, delay: delays(keys.pressed, heard.seen), busy: played.busy, saved: played.saved, there: there.at - played.wall, stored: (await stored()) - had, sent: bytes }
  } finally {
    await Promise.all([ada.close(), bob.close(), relay.kill()])
  }
}

async function yjsInPages({ edits, text }, files) {
  const site = await serveYjs(files)
  const server = await startYjsServer()
  const browsers = [await openBrowser('chromium'), await openBrowser('chromium')]
  try {
    const [ada, bob] = await Promise.all(
      browsers.map(async (browser) => {
        const page = await openYjsPage(browser, site, PATIENCE_MS)
        await page.evaluate(async (url) => void (await yjs.start(url, { persist: true })), server.url)
        return page
      }),
    )
    for (const page of [ada, bob]) await page.evaluate(openYjs, 'keys')
    await bob.evaluate(follow, 'x'.repeat(KEYS))
    const keys = await ada.evaluate(pressKeys, KEYS, KEY_MS)
    const heard = await bob.evaluate(whenSeen)
    const before = [await ada.evaluate(() => yjs.storedBytes()), server.counts.received]
    await bob.evaluate(openYjs, 'text')
    await bob.evaluate(follow, text)
    const played = await ada.evaluate(playYjs, TRACE, 0, edits.length, EVERY)
    const there = await bob.evaluate(whenSeen)
    const stored = (await ada.evaluate(() => yjs.storedBytes())) - before[0]
    return { key: keys.busy, delay: delays(keys.pressed, heard.seen), busy: played.busy, saved: played.saved, there: there.at - played.wall, stored, sent: server.counts.received - before[1] }
  } finally {
    await Promise.all([...browsers.map((browser) => browser.close()), server.close()])
    await site.close()
  }
}

if (!tracesFolder()) process.stdout.write(NO_TRACES)
else {
  try {
    const { trace, found } = await takeTurns(TRACE, ROUNDS, kith, yjsInPages)
    const both = (what) => Object.fromEntries(Object.entries(found).map(([name, rounds]) => [name, spread(rounds.flatMap((round) => round[what]))]))
    const key = both('key')
    const delay = both('delay')
    showSpreads(`a key every ${KEY_MS} ms: the page's own time for it`, key, 'Yjs')
    showSpreads('a key until the other page has it', delay, 'Yjs')
    const median = (name, what) => quantile(found[name].map((round) => round[what]), 0.5)
    const row = (name) => [
      name,
      figure((median(name, 'busy') * 1000) / trace.edits.length),
      figure(median(name, 'saved') / 1000),
      figure(median(name, 'there') / 1000),
      ratio(median(name, 'there'), median('Yjs', 'there')),
      megabytes(median(name, 'stored')),
      megabytes(median(name, 'sent')),
    ]
    show(`${TRACE}, ${trace.edits.length} edits, ${EVERY} at a turn of the page; the median of ${ROUNDS}`, [
      ['', 'page, us an edit', 'stored after, s', 'there after, s', 'to Yjs', 'stored', 'sent'],
      ...Object.keys(found).map(row),
    ])
    publish('typing', { trace: TRACE, key, delay, found: Object.fromEntries(Object.entries(found).map(([name, rounds]) => [name, rounds.map(({ key: _key, delay: _delay, ...rest }) => rest)])) })
  } finally {
    await cleanup()
  }
}
