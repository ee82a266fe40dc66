// lane: beside
// The store on IndexedDB, inside a Service Worker of real browsers: the conformance suite, and what only a browser can do to a database.
import assert from 'node:assert/strict'
import { readdirSync, readFileSync, statSync, truncateSync } from 'node:fs'
import { join } from 'node:path'
import { after, before, describe, test } from 'node:test'
import { dice, LONG, missing, openBrowser, waitFor } from '../harness/index.mjs'
import { openStorePage, serveStorePage } from '../store-page/site.mjs'

/** How often the worker is stopped in the middle of writing. WebKit under automation can stop no worker and keeps nothing on disk. */
const KILLS = { chromium: LONG ? 300 : 60, firefox: LONG ? 100 : 20 }
/** How often the whole browser is killed. */
const BROWSER_KILLS = LONG ? 10 : 2
/** How often the worker is stopped while a database of an older layout is brought up, and how many rows that has. */
const UPGRADE_KILLS = LONG ? 40 : 8
const UPGRADE_ROWS = 10_000
/** How often it is stopped at any moment from the opening on, and how many rows there are then: few, so that it may be any step. */
const OPENING_KILLS = LONG ? 200 : 40
const OPENING_ROWS = 300
/** Fewer pages than these rows need. */
const UPGRADE_PUTS = 120
/** More than a worker can write before it is killed. */
const ENDLESS = 1_000_000
/** The browser's own limit in the tests of a full disk, in bytes. */
const QUOTA = 5 * 1024 * 1024

for (const kind of ['chromium', 'firefox', 'webkit']) {
  const unkillable = KILLS[kind] ? false : 'this engine cannot be killed and started anew under automation'
  describe(`store in ${kind}`, { skip: missing(kind) }, () => {
    let site
    let browser
    let page

    before(async () => {
      site = await serveStorePage()
      browser = await openBrowser(kind)
      page = await openStorePage(browser, site)
    })
    after(async () => {
      await browser?.close()
      await site?.close()
    })

    test('every case of the contract', async (t) => {
      const names = await page.call('caseNames')
      assert.ok(names.length >= 75, `${names.length} cases`)
      for (const name of names) await t.test(name, () => page.call('runCase', name, `case-${name}-`))
    })

    test('rows lie in the browser as plain buffers under binary keys', async () => {
      const { version, keys, values } = await page.call('rawRows', 'case-tables_are_apart-apart', 'meta')
      assert.deepEqual({ version, keys, values }, { version: 5, keys: ['ArrayBuffer'], values: ['ArrayBuffer'] })
    })

    test('opening gives up when an older connection does not let go, and works once it does', async () => {
      const { refused, waited, after } = await page.call('blockOpening', 'blocked')
      assert.equal(refused, 'Blocked')
      assert.ok(waited >= 2_900 && waited < 30_000, `waited ${waited} ms`)
      assert.equal(after, undefined)
    })

    test('our connection lets a newer release in, loses no write, and says that it is closed', async () => {
      const seen = await page.call('letNewerIn', 'newer-release')
      assert.deepEqual(seen, { before: null, writing: null, rows: 2, after: 'Closed', blocked: 'not blocked' })
      assert.equal(await page.call('tryOpen', 'newer-release'), 'Newer { found: 7, known: 5 }')
      assert.equal(await page.call('removeDatabase', 'newer-release'), undefined)
      assert.equal(await page.call('tryOpen', 'newer-release'), undefined)
    })

    /** Stops the worker so many times in bringing up an older database, when `underWay` says; it must be the old one or the new one. */
    async function stopInUpgrade(t, kills, rows, underWay) {
      const found = {}
      for (let round = 0; round < kills; round++) {
        const name = `upgrade-${rows}-${round}`
        await page.call('plantSecond', name, rows)
        await underWay(name)
        await browser.killWorker()
        assert.equal(await page.evaluate(() => globalThis.failed), undefined)
        const layout = await page.call('layout', name)
        found[layout] = (found[layout] ?? 0) + 1
        await page.call('checkUpgraded', name, rows)
        await page.call('removeDatabase', name)
      }
      t.diagnostic(`${kills} kills; layouts left: ${JSON.stringify(found)}`)
    }

    test('the worker is stopped while an older database is packed into pages: it is the old one or the new one', { skip: unkillable }, async (t) => {
      const random = dice(3)
      await stopInUpgrade(t, UPGRADE_KILLS, UPGRADE_ROWS, async (name) => {
        const at = 1 + Math.floor(random() * UPGRADE_PUTS)
        await page.evaluate(
          (name, rows, at) => {
            globalThis.acknowledged = -1
            globalThis.call('upgradeReporting', name, rows, at).catch((error) => (globalThis.failed = String(error)))
          },
          name, UPGRADE_ROWS, at,
        )
        await page.waitFor((at) => globalThis.failed ?? globalThis.acknowledged === at, { args: [at], what: 'the upgrade under way', every: 2 })
      })
    })

    test('the worker is stopped at any moment of bringing up an older database: the same', { skip: unkillable }, async (t) => {
      const random = dice(5)
      await stopInUpgrade(t, OPENING_KILLS, OPENING_ROWS, async (name) => {
        await page.evaluate((name, rows) => void globalThis.call('checkUpgraded', name, rows).catch(() => {}), name, OPENING_ROWS)
        // At any moment: this wait is the throw of the dice, nothing is waited for.
        await new Promise((resolve) => setTimeout(resolve, random() * 20))
      })
    })

    test('the worker is stopped in the middle of writing: no batch torn, none acknowledged lost', { skip: unkillable }, async (t) => {
      const random = dice(7)
      let count = 0
      let interrupted = 0
      for (let round = 0; round < KILLS[kind]; round++) {
        await page.evaluate((from) => {
          globalThis.acknowledged = from - 1
          globalThis.call('write', 'killed', from, 1_000_000).catch((error) => (globalThis.failed = String(error)))
        }, count)
        await page.waitFor((from) => globalThis.failed ?? globalThis.acknowledged >= from, { args: [count], what: 'an acknowledged batch', every: 2 })
        // At any moment: this wait is the throw of the dice, nothing is waited for.
        await new Promise((resolve) => setTimeout(resolve, random() * 40))
        await browser.killWorker()
        const acknowledged = await page.evaluate(() => globalThis.failed ?? globalThis.acknowledged)
        assert.equal(typeof acknowledged, 'number', acknowledged)
        const found = await page.call('checkBatches', 'killed')
        assert.ok(found > acknowledged, `round ${round}: batch ${acknowledged} was acknowledged, only ${found} are there`)
        interrupted += found > acknowledged + 1 ? 1 : 0
        count = found
        if (count > 400) {
          await page.call('removeDatabase', 'killed')
          count = 0
        }
      }
      t.diagnostic(`${KILLS[kind]} kills, ${interrupted} with whole batches not yet acknowledged`)
    })

    test('the whole browser is killed in the middle of writing: the same', { skip: unkillable }, async () => {
      const random = dice(11)
      let found = 0
      for (let round = 0; round < BROWSER_KILLS; round++) {
        const began = site.reports.length
        await page.evaluate((from) => {
          globalThis.reporting = true
          globalThis.call('write', 'sigkill', from, 1_000_000).catch(() => {})
        }, found)
        await waitFor(() => site.reports.length > began + 5, 'acknowledged batches')
        await new Promise((resolve) => setTimeout(resolve, random() * 200))
        await browser.sigkill()
        const acknowledged = Math.max(...site.reports.slice(began).map(({ data }) => data.acknowledged))
        browser = await browser.reopen()
        page = await openStorePage(browser, site)
        found = await page.call('checkBatches', 'sigkill')
        assert.ok(found > acknowledged, `${kind}, kill ${round + 1}: batch ${acknowledged} was acknowledged, only ${found} are there; databases: ${JSON.stringify(await page.call('databases'))}`)
      }
    })
  })
}

/** Bytes that are missing at the end of a log whose last write was cut short. */
const TORN = 1000
/** Longer than Chromium keeps a site's files open that nobody uses, in milliseconds. */
const UNUSED_MS = 3_000

describe('store after a crash within a write', () => {
  test('chromium: nothing is lost but what was never acknowledged, now and at later starts', { skip: missing('chromium') }, async () => {
    const site = await serveStorePage()
    let browser = await openBrowser('chromium')
    try {
      let page = await openStorePage(browser, site)
      await page.evaluate(() => {
        globalThis.reporting = true
        globalThis.call('write', 'torn', 0, 1_000_000).catch(() => {})
      })
      await waitFor(() => site.reports.length > 20, 'acknowledged batches')
      await browser.sigkill()
      // What a kill in the middle of a write leaves, or a loss of power: the record at the end of the log is not whole.
      const databases = join(browser.profileDir, 'Default', 'IndexedDB')
      const files = join(databases, readdirSync(databases).find((name) => name.endsWith('.leveldb')))
      const log = join(files, readdirSync(files).filter((name) => name.endsWith('.log')).sort().at(-1))
      truncateSync(log, statSync(log).size - TORN)
      browser = await browser.reopen()
      page = await openStorePage(browser, site)
      const count = await page.call('checkBatches', 'torn')
      assert.ok(count >= 20, `${count} batches`)
      await page.call('write', 'torn', count, 1)
      const opened = () => readFileSync(join(files, 'LOG'), 'utf8').slice(0, 40)
      const before = opened()
      // Chromium lets go of the files, and reads them anew.
      await waitFor(async () => (await page.call('checkBatches', 'torn')) !== count + 1 || opened() !== before, { what: 'the files to be opened anew', every: UNUSED_MS })
      assert.equal(await page.call('checkBatches', 'torn'), count + 1)
    } finally {
      await browser.close()
      await site.close()
    }
  })
})

describe('store when the browser takes or refuses room', () => {
  /** Writes rows until one is refused; gives how many there are. */
  async function fill(page, name) {
    await page.call('hold', name)
    for (let key = 0; key < ENDLESS; key++) {
      const refused = await page.call('heldPut', name, key, 200_000)
      if (refused === undefined) continue
      assert.equal(refused, 'Full')
      return key
    }
    return assert.fail('the browser’s limit was never met')
  }

  test('chromium: full is full, nothing half written, reads go on', { skip: missing('chromium') }, async () => {
    const site = await serveStorePage()
    const browser = await openBrowser('chromium')
    try {
      const page = await openStorePage(browser, site)
      const session = await browser.native.context.newCDPSession(page.native)
      await session.send('Storage.overrideQuotaForOrigin', { origin: new URL(site.url).origin, quotaSize: QUOTA })
      const rows = await fill(page, 'quota')
      assert.ok(rows > 0, 'not one row fitted')
      assert.equal(await page.call('heldCount', 'quota'), rows)
      // The rows' values lie apart, and their keys in a page.
      const used = await page.call('heldUsed', 'quota')
      assert.ok(used > rows * 200_000 && used < rows * 200_200 + 1_000, `${used} bytes for ${rows} rows`)
      for (let again = 0; again < 3; again++) assert.equal(await page.call('heldPut', 'quota', 1_000_000, 200_000), 'Full')
      assert.equal(await page.call('heldCount', 'quota'), rows)
    } finally {
      await browser.close()
      await site.close()
    }
  })

  test('chromium: data cleared by the person closes the store, which can be opened anew', { skip: missing('chromium') }, async () => {
    const site = await serveStorePage()
    const browser = await openBrowser('chromium')
    try {
      const page = await openStorePage(browser, site)
      await page.call('hold', 'cleared')
      assert.equal(await page.call('heldPut', 'cleared', 1, 10), undefined)
      const session = await browser.native.context.newCDPSession(page.native)
      await session.send('Storage.clearDataForOrigin', { origin: new URL(site.url).origin, storageTypes: 'indexeddb' })
      await page.waitFor(() => globalThis.call('heldPut', 'cleared', 2, 10).then((refused) => refused === 'Closed'), { what: 'the store to be closed' })
      await page.call('hold', 'cleared')
      assert.equal(await page.call('heldCount', 'cleared'), 0)
      assert.equal(await page.call('heldPut', 'cleared', 3, 10), undefined)
    } finally {
      await browser.close()
      await site.close()
    }
  })

  test('firefox: full is full, and room made is room', { skip: missing('firefox') }, async () => {
    const site = await serveStorePage()
    // Kibibytes for the whole disk; a site may use half of it.
    const browser = await openBrowser('firefox', { prefs: { 'dom.quotaManager.temporaryStorage.fixedLimit': 20_480 } })
    try {
      const page = await openStorePage(browser, site)
      const rows = await fill(page, 'quota')
      assert.ok(rows > 0, 'not one row fitted')
      assert.equal(await page.call('heldCount', 'quota'), rows)
      // The rows' values lie apart, and their keys in a page.
      const used = await page.call('heldUsed', 'quota')
      assert.ok(used > rows * 200_000 && used < rows * 200_200 + 1_000, `${used} bytes for ${rows} rows`)
      // The first write after that meets Firefox's passing refusal, which the store takes on itself.
      assert.equal(await page.call('heldEmpty', 'quota', rows - 2), undefined)
      assert.equal(await page.call('heldPut', 'quota', 2_000_000, 200_000), undefined)
      assert.equal(await page.call('heldCount', 'quota'), 3)
    } finally {
      await browser.close()
      await site.close()
    }
  })
})
