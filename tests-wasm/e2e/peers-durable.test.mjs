// What was acknowledged survives: the worker is stopped, tabs are closed and crashed, the whole browser is killed, all at random moments
// while a page writes. Every acknowledged write is there afterwards exactly once, and subscriptions go on without a gap or repetition.
//
//   KITH_KILLS=500   how often the worker is stopped        KITH_SEED=12345   the same moments again
import assert from 'node:assert/strict'
import { describe, it } from 'node:test'
import { LONG, missing, openBrowser, PATIENCE_MS, startRelay, waitFor, within } from '../harness/index.mjs'
import { BASE, checkFields, checkHeard, checkWrites } from './durable/checks.mjs'
import { endTab, open, say, seeded, someMoment, writeAgain } from './durable/deaths.mjs'
import { startDiary, told } from './durable/diary.mjs'
import { meet, NETWORK_MS } from './peers-support.mjs'

const KILLS = Number(process.env.KITH_KILLS ?? (LONG ? 300 : 20))
const TABS = LONG ? 30 : 4
const BROWSERS = LONG ? 20 : 2
/** Milliseconds between two writes of one kind. */
const REST_MS = LONG ? 40 : 10

/** Follows everything there is in four ways, each from where it stood. */
const followAll = (page, space, diary) =>
  page.evaluate(
    (id, base, at) => {
      window.listen('feed', `/~/${id}/$changes`, at.feed)
      window.listen('listing', `/~/${id}/${base}/doc/?values=1`, at.listing)
      window.follow('changes', `/~/${id}/$changes`, at.changes)
      window.follow('doc', `/~/${id}/${base}/doc`, at.doc)
    },
    space,
    BASE,
    Object.fromEntries(['feed', 'listing', 'changes', 'doc'].map((name) => [name, diary.place(name)])),
  )
const startWriting = (page, space, rest = REST_MS) => page.evaluate((base, ms) => window.startWriting(base, ms), `/~/${space}/${BASE}`, rest)
const stopWriting = async (page) => {
  page.evaluateTimeout = 2 * NETWORK_MS
  await page.evaluate(() => window.stopWriting())
}

for (const kind of ['chromium', 'firefox']) {
  const other = kind === 'chromium' ? 'firefox' : 'chromium'

  describe(`${kind}: acknowledged writes`, { skip: missing(kind) }, () => {
    it(`survive ${KILLS} stops of the worker`, async (t) => {
      const random = seeded(kind, 'worker')
      const relay = await startRelay()
      const diary = await startDiary(relay.url)
      const browser = await openBrowser(kind)
      const ada = await meet(browser, await browser.newPage(diary.page('a')))
      const space = await ada.space('Durable')
      await followAll(ada.page, space, diary)
      await startWriting(ada.page, space)
      let stops = 0
      for (let kill = 0; kill < KILLS; kill++) {
        const before = diary.stored().length
        await someMoment(random, diary)
        stops += (await browser.killWorker()) > 0 ? 1 : 0
        // Now and then it gets to work in between.
        if (random() < 0.3) await told(diary, () => diary.stored().length > before + 2, 'writes to go on')
      }
      await stopWriting(ada.page)
      say(t, diary, kind, `${stops} stops`)
      assert.ok(stops > KILLS / 2, `the worker was running at most of its stops: ${stops}`)
      const feed = await checkWrites(ada.page, space, [diary])
      await checkFields(ada.page, space, diary)
      await checkHeard(ada.page, space, diary, feed)
      await browser.close()
      await relay.kill()
    })

    it(`survive ${TABS} tabs that are closed or crash`, async (t) => {
      const random = seeded(kind, 'tabs')
      const relay = await startRelay()
      const diary = await startDiary(relay.url)
      const browser = await openBrowser(kind)
      // One tab stays and listens as long as it can; those that write come and go.
      let ada = await meet(browser, await browser.newPage(diary.page('listener')))
      const space = await ada.space('Durable')
      await followAll(ada.page, space, diary)
      let crashes = 0
      for (let round = 0; round < TABS; round++) {
        const page = await open(browser, diary, `tab${round}`)
        const before = diary.stored().length
        await startWriting(page, space)
        await told(diary, () => diary.stored().length > before, 'the tab to write')
        await someMoment(random, diary)
        const crashed = round % 2 === 0
        await endTab(kind, browser, page, crashed)
        crashes += crashed ? 1 : 0
        if (crashed && kind === 'firefox') {
          const old = ada.page
          ada = await meet(browser, await browser.newPage(diary.page(`listener${round}`)))
          await within(old.close(), PATIENCE_MS, 'end of the tab').catch(() => {})
          await followAll(ada.page, space, diary)
        }
        await ada.page.show()
        await writeAgain(ada.page, diary)
      }
      say(t, diary, kind, `${TABS - crashes} tabs closed, ${crashes} crashed`)
      const feed = await checkWrites(ada.page, space, [diary])
      await checkFields(ada.page, space, diary)
      await checkHeard(ada.page, space, diary, feed)
      await browser.close()
      await relay.kill()
    })

    it(`survive ${BROWSERS} times SIGKILL of the browser, and a second peer ends with the same`, { skip: missing(other) }, async (t) => {
      const random = seeded(kind, 'browser')
      const relay = await startRelay()
      const [mine, theirs] = [await startDiary(relay.url), await startDiary(relay.url)]
      let browser = await openBrowser(kind)
      let ada = await meet(browser, await browser.newPage(mine.page('ada0')))
      const second = await openBrowser(other)
      const ben = await meet(second, await second.newPage(theirs.page('ben')))
      const space = await ada.space('Durable')
      await ben.join(await ada.invite(space))
      await followAll(ada.page, space, mine)
      await followAll(ben.page, space, theirs)
      // Both patch the same object, so it is the peers that have to agree on it.
      await startWriting(ben.page, space, 20 * REST_MS)
      for (let round = 1; round <= BROWSERS; round++) {
        const before = mine.stored().length
        await startWriting(ada.page, space)
        await told(mine, () => mine.stored().length > before + 5, 'writes to go on')
        await someMoment(random, mine)
        await browser.sigkill()
        browser = await browser.reopen()
        ada = await meet(browser, await browser.newPage(mine.page(`ada${round}`)))
        await followAll(ada.page, space, mine)
        await writeAgain(ada.page, mine)
        if (random() < 0.5) await second.killWorker()
      }
      await stopWriting(ben.page)
      say(t, mine, kind, `${BROWSERS} times SIGKILL`)
      const whole = (who) => who.ask('GET', `/~/${space}/${BASE}`).then(({ text }) => text)
      await waitFor(async () => (await whole(ada)) === (await whole(ben)), { what: 'both peers to have the same', timeout: 2 * NETWORK_MS })
      for (const [who, diary] of [[ada, mine], [ben, theirs]]) {
        const feed = await checkWrites(who.page, space, [mine, theirs])
        await checkHeard(who.page, space, diary, feed)
      }
      await Promise.all([browser.close(), second.close()])
      await relay.kill()
    })
  })
}
