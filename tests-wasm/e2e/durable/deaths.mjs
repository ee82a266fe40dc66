// What dies in the durability tests, and when: random moments that a seed repeats, tabs that crash, and what is done afterwards.
import { meet } from '../peers-support.mjs'
import { told } from './diary.mjs'

/** The same moments again: `KITH_SEED=12345`. */
export const SEED = Number(process.env.KITH_SEED ?? Math.floor(Math.random() * 2 ** 31))

/** Numbers from 0 to 1, the same for the same seed. */
function randomness(seed) {
  let state = seed >>> 0
  return () => {
    state = (state + 0x6d2b79f5) >>> 0
    let mixed = Math.imul(state ^ (state >>> 15), state | 1)
    mixed ^= mixed + Math.imul(mixed ^ (mixed >>> 7), mixed | 61)
    return ((mixed ^ (mixed >>> 14)) >>> 0) / 2 ** 32
  }
}

/** Random numbers of their own for each test of each browser. */
export const seeded = (kind, name) => randomness([...`${kind} ${name}`].reduce((sum, letter) => Math.imul(sum, 31) + letter.charCodeAt(0), SEED))

const pause = (ms) => new Promise((resolve) => setTimeout(resolve, ms))

/** A random moment: anywhere in the next second and a half, or just after a write has begun, when its answer is on the way. */
export async function someMoment(random, diary, longest = 1500) {
  if (random() < 0.5) return pause(random() * longest)
  await told(diary, () => new Promise((resolve) => (diary.onNotice = ({ type }) => type === 'begun' && resolve(true))), 'a write to begin')
  diary.onNotice = () => {}
  await pause(random() * 60)
}

/** Opens the page that writes, under a session name of its own. */
export const open = async (browser, diary, session) => (await meet(browser, await browser.newPage(diary.page(session)))).page

/** Ends the process a tab runs in. Firefox keeps all tabs of a site, and their worker, in one process: there it takes them all. */
export async function crash(kind, browser, page) {
  if (kind === 'chromium') return page.crash()
  await page.show()
  const pid = await browser.native.chrome(
    `return Services.wm.getMostRecentWindow('navigator:browser').gBrowser.selectedBrowser.frameLoader.remoteTab.osPid`,
  )
  process.kill(pid, 'SIGKILL')
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
