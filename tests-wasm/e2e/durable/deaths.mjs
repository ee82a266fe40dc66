// What dies in the durability tests, and when: random moments that a seed repeats, tabs that crash, and what is done afterwards.
import { dice, LONG, PATIENCE_MS, within } from '../../harness/index.mjs'
import { meet } from '../peers-support.mjs'
import { told } from './diary.mjs'

/** The same moments again: `KITH_SEED=12345`. */
export const SEED = Number(process.env.KITH_SEED ?? Math.floor(Math.random() * 2 ** 31))

/** How often the worker is stopped in each test: `KITH_KILLS=200`. */
export const KILLS = Number(process.env.KITH_KILLS ?? (LONG ? 150 : 10))

/** Random numbers of their own for each test of each browser. */
export const seeded = (kind, name) => dice([...`${kind} ${name}`].reduce((sum, letter) => Math.imul(sum, 31) + letter.charCodeAt(0), SEED))

/** Some time. */
export const pause = (ms) => new Promise((resolve) => setTimeout(resolve, ms))

/** A random moment: anywhere in the next second and a half, or just after a write has begun, when its answer is on the way. */
export async function someMoment(random, diary, longest = 1500) {
  if (random() < 0.5) return pause(random() * longest)
  await told(diary, () => new Promise((resolve) => (diary.onNotice = ({ type }) => type === 'begun' && resolve(true))), 'a write to begin')
  diary.onNotice = () => {}
  await pause(random() * 60)
}

/** Stops the worker now and then, after at most `longest` ms each time, until `enough` says so. @returns how often it was running then */
export async function stopWorkers({ browser, diary }, random, enough, longest = 900) {
  let stops = 0
  for (let kill = 0; !(await enough(kill)); kill++) {
    const before = diary.stored().length
    await pause(random() * (random() < 0.5 ? 80 : longest))
    stops += (await browser.killWorker()) > 0 ? 1 : 0
    if (random() < 0.4) await told(diary, () => diary.stored().length > before + 2, 'writes to go on')
  }
  return stops
}

/** Opens the page that writes, under a session name of its own. */
export const open = async (browser, diary, session) => (await meet(browser, await browser.newPage(diary.page(session)))).page

/** Ends the process a tab runs in. Firefox keeps all tabs of a site, and their worker, in one process: there it takes them all. */
async function crash(kind, browser, page) {
  if (kind === 'chromium') return page.crash()
  await page.show()
  const pid = await browser.native.chrome(
    `return Services.wm.getMostRecentWindow('navigator:browser').gBrowser.selectedBrowser.frameLoader.remoteTab.osPid`,
  )
  process.kill(pid, 'SIGKILL')
}

/** Ends a tab: it crashes, or is closed. */
export async function endTab(kind, browser, page, crashed) {
  if (crashed) await crash(kind, browser, page)
  await within(page.close(), PATIENCE_MS, 'end of the tab').catch((error) => crashed || Promise.reject(error))
}

/** Writes that died with their page are done again, under the names they had. */
export async function writeAgain(page, diary) {
  const list = diary.unanswered()
  await page.evaluate((writes) => void window.writeAgain(writes), list)
  await told(diary, () => list.every(({ id }) => diary.writes.get(id).stored), 'the unanswered writes to be answered')
  return list.length
}

/** Says in the test's report what died and how much was written meanwhile. */
export function say(t, diary, kind, deaths) {
  const again = diary.stored().filter(({ stored }) => stored.tries > 1).length
  t.diagnostic(`${kind}: ${deaths}, ${diary.writes.size} writes, ${again} of them tried more than once (KITH_SEED=${SEED})`)
}
