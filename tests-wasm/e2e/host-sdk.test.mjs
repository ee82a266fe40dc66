// The page SDK against the real peer: every call as its documentation says, subscriptions through the worker's deaths, a new release under writes.
import assert from 'node:assert/strict'
import { existsSync } from 'node:fs'
import { join } from 'node:path'
import { before, describe, test } from 'node:test'
import { availableBrowsers, LONG, openBrowser, ROOT, startSite, tempDir } from '../harness/index.mjs'
import { buildHost, deploy } from './host/build.mjs'

const PAGE = '<!doctype html><title>a page</title><script type="module" src="/kith.js" data-relay="none"></script><h1>Hello</h1>'
const built = existsSync(join(ROOT, 'target', 'kith', 'bindgen', 'peer_bg.wasm'))

let dir
before(async () => {
  if (built) dir = await buildHost({ peer: 'real' })
})

/** A relay that is not there: an invite needs to name one, not to reach it. */
const RELAY = '/ip4/127.0.0.1/tcp/9/ws/p2p/12D3KooWEyoppNCUx8Yx66oV9fJnriXwCcXwDDUA2kj6vnc6iDEp'

/** How often the worker is stopped under writes, and how many writes it gets in between. */
const KILLS = LONG ? 100 : 6
const WRITES_PER_LIFE = 10

async function open(kind, relay = 'none') {
  const { url } = await startSite({ dir, files: { '/': PAGE.replace('"none"', `"${relay}"`) } })
  const browser = await openBrowser(kind)
  const page = await browser.newPage(url)
  await page.evaluate(() => window.kith.ready)
  return { browser, page, url }
}

for (const kind of availableBrowsers()) {
  describe(kind, { skip: !built && 'the peer is not built: npm run build' }, () => {
    test('values: put, get, read, patch, delete, conditions, other media types', async () => {
      const { browser, page } = await open(kind)
      const seen = await page.evaluate(async () => {
        const space = window.kith.space()
        const refused = (promise) => promise.then(() => 'no error', ({ name, status, type, detail }) => ({ name, status, type, plain: detail.length > 10 }))
        const made = await space.put('notes/1', { title: 'Tea', done: false })
        const again = await space.put('notes/1', { title: 'Tee', done: false })
        await space.patch('notes/1', { done: true })
        await space.patch('notes/1', [{ op: 'add', path: '/tags', value: ['hot'] }])
        const { value, version, etag } = await space.read('notes/1')
        await space.put(['a/b', 'c d'], 'odd keys')
        await space.put('photo', new Blob([new Uint8Array([1, 2, 3])], { type: 'image/png' }))
        const photo = await space.get('photo')
        const before = [made.created, made.version.length, made.sync, again.created]
        const stale = await refused(space.put('notes/1', {}, { ifMatch: made.etag }))
        const fresh = await space.put('notes/1/title', 'Coffee', { ifMatch: (await space.read('notes/1/title')).etag })
        const taken = await refused(space.put('notes/1', {}, { ifNoneMatch: '*' }))
        await space.delete('notes/1/tags')
        return {
          before, value, versions: version.length > 0, etag: Boolean(etag),
          odd: await space.get(['a/b', 'c d']), photo: [photo.type, [...new Uint8Array(await photo.arrayBuffer())]],
          stale, fresh: fresh.created, taken, left: await space.get('notes/1'), none: await space.get('nothing/here') ?? 'undefined',
          missing: await refused(window.kith.space('not-a-space').get('x')),
        }
      })
      assert.deepEqual(seen.before, [true, 1, 'local', false])
      assert.deepEqual(seen.value, { title: 'Tee', done: true, tags: ['hot'] })
      assert.equal(seen.versions && seen.etag, true)
      assert.equal(seen.odd, 'odd keys')
      assert.deepEqual(seen.photo, ['image/png', [1, 2, 3]])
      assert.equal(seen.stale.status, 412)
      assert.equal(seen.taken.status, 412)
      assert.deepEqual(seen.left, { title: 'Coffee', done: true })
      assert.equal(seen.none, 'undefined')
      assert.equal(seen.missing.name, 'KithError')
      assert.equal(seen.missing.status, 404)
      await browser.close()
    })

    test('listings, spaces, invites, members and status', async () => {
      const { browser, page, url } = await open(kind, RELAY)
      await page.waitFor(async () => (await window.kith.status()).relays.length === 1, { what: 'the relay to be told' })
      const seen = await page.evaluate(async () => {
        const { kith } = window
        const made = await kith.createSpace('Trip')
        const space = kith.space(made.id)
        for (const key of ['a', 'b', 'c', 'd']) await space.put(`stops/${key}`, { at: key })
        const first = await space.list('stops', { limit: 2, values: true })
        const rest = await space.list('stops/', { start: first.next })
        const back = await space.list('stops', { reverse: true, limit: 1 })
        const invite = await space.invite({ role: 'reader', app: '/board/' })
        return { made, first, rest, back, invite, spaces: await kith.spaces(), members: await space.members(), status: await kith.status() }
      })
      assert.equal(seen.made.role, 'owner')
      assert.deepEqual(seen.first.items.map(({ key, value }) => [key, value]), [['a', { at: 'a' }], ['b', { at: 'b' }]])
      assert.deepEqual(seen.rest.items.map(({ key }) => key), ['c', 'd'])
      assert.ok([...seen.first.items, ...seen.rest.items].every(({ version }) => Array.isArray(version) && version.length === 1))
      assert.equal(seen.back.items[0].key, 'd')
      assert.ok(seen.invite.url.startsWith(`${url}board/#kith=`), seen.invite.url)
      assert.ok(seen.spaces.some(({ id, name }) => id === seen.made.id && name === 'Trip'))
      assert.equal(seen.members.length, 1)
      assert.ok(seen.status.spaces.some(({ id }) => id === seen.made.id))
      await browser.close()
    })

    test('subscriptions go on through the deaths of the worker: no state missed at the end, none out of order, none twice', { skip: kind === 'webkit' && 'WebKitGTK has no way to stop a Service Worker from outside' }, async () => {
      const { browser, page } = await open(kind)
      await page.evaluate(() => {
        window.values = []
        window.lists = []
        window.changes = []
        const space = window.kith.space()
        void (async () => { for await (const { value } of space.subscribe('count')) window.values.push(value) })()
        void (async () => { for await (const { value } of space.subscribe('items/')) window.lists.push(value) })()
        void (async () => { for await (const { path } of space.changes()) window.changes.push(path) })()
      })
      for (let n = 1; n <= 8; n++) {
        await page.evaluate((count) => Promise.all([window.kith.space().put('count', count), window.kith.space().put(`items/${count}`, count)]), n)
        if (n % 2 === 0) await browser.killWorker()
      }
      await page.waitFor(() => window.values.at(-1) === 8 && Object.keys(window.lists.at(-1) ?? {}).length === 8 && window.changes.length >= 16, { what: 'the last states' })
      const { values, lists, changes } = await page.evaluate(() => ({ values: window.values.filter((value) => value !== undefined && value !== null), lists: window.lists.at(-1), changes: window.changes }))
      assert.deepEqual(values, [...new Set(values)].sort((a, b) => a - b), `in order, none twice: ${values}`)
      assert.deepEqual(lists, { 1: 1, 2: 2, 3: 3, 4: 4, 5: 5, 6: 6, 7: 7, 8: 8 })
      assert.equal(new Set(changes).size, changes.filter((path) => path.startsWith('items/')).length + 1, `every change once: ${changes}`)
      await browser.close()
    })

    test('breaking off a subscription ends it', async () => {
      const { browser, page } = await open(kind)
      const got = await page.evaluate(async () => {
        const space = window.kith.space()
        await space.put('a', 1)
        for await (const { value } of space.subscribe('a')) return value
      })
      assert.equal(got, 1)
      const aborted = await page.evaluate(async () => {
        const end = new AbortController()
        const states = []
        for await (const status of window.kith.watchStatus({ signal: end.signal })) {
          states.push(typeof status.id)
          end.abort()
        }
        return states
      })
      assert.deepEqual(aborted, ['string'])
      await browser.close()
    })

    test('writes through killed workers are stored once: none lost, none twice', { skip: kind === 'webkit' && 'WebKitGTK has no way to stop a Service Worker from outside' }, async () => {
      const { browser, page } = await open(kind)
      await page.evaluate((writes) => {
        window.work = { acknowledged: [], failed: [] }
        window.work.done = (async () => {
          for (let n = 0; n < writes; n++) {
            try {
              await window.kith.space().patch('list', { [`k${n}`]: n })
              window.work.acknowledged.push(`k${n}`)
            } catch (error) {
              window.work.failed.push(String(error))
            }
          }
        })()
      }, (KILLS + 1) * WRITES_PER_LIFE)
      for (let n = 1; n <= KILLS; n++) {
        await page.waitFor((count) => window.work.acknowledged.length >= count, { args: [n * WRITES_PER_LIFE], every: 5 })
        await browser.killWorker()
      }
      const { acknowledged, failed, stored, feed } = await page.evaluate(async () => {
        const { work, kith } = window
        await work.done
        const stored = await kith.space().get('list')
        const feed = []
        for (let since = ''; ; ) {
          const { items, next } = await (await fetch(`/~/me/$changes?limit=1000${since && `&since=${encodeURIComponent(since)}`}`)).json()
          if (items.length === 0) return { ...work, done: undefined, stored: Object.keys(stored), feed }
          feed.push(...items.map(({ path }) => path))
          since = next
        }
      })
      assert.deepEqual(failed, [])
      assert.deepEqual(acknowledged.filter((key) => !stored.includes(key)), [])
      assert.equal(new Set(feed).size, feed.length, 'no write happened twice')
      await browser.close()
    })

    test('a new release takes over under writes: the real peer changes hands', async () => {
      const two = await buildHost({ peer: 'real', suffix: '-two' })
      const site = tempDir('kith-site')
      await deploy(dir, site)
      const { url } = await startSite({ dir: site, files: { '/': PAGE } })
      const browser = await openBrowser(kind)
      const page = await browser.newPage(url)
      await page.evaluate(() => window.kith.ready)
      const id = (await page.evaluate(() => window.kith.status())).id
      await deploy(two, site)
      const { acknowledged, failed, missing, releases } = await page.evaluate(async () => {
        const acknowledged = []
        const failed = []
        const releases = new Set()
        const registration = await navigator.serviceWorker.getRegistration()
        const found = new Promise((resolve) => registration.addEventListener('updatefound', resolve, { once: true }))
        void registration.update()
        await found
        const end = Date.now() + 30_000
        for (let n = 0; Date.now() < end && ![...releases].some((name) => name?.endsWith('-two')); n++) {
          const reply = await fetch(`/~/me/n/${n}`, { method: 'PUT', body: '1', headers: { 'content-type': 'application/json' } })
          // While a browser changes workers it may ask the network. Such an answer does not carry the worker's name: nothing was written.
          if (reply.headers.has('kith-worker')) {
            releases.add(reply.headers.get('kith-worker'))
            if (reply.ok) acknowledged.push(n)
            else failed.push(await reply.text())
          }
          await new Promise((resolve) => setTimeout(resolve, 20))
        }
        const stored = await window.kith.space().get('n')
        return { acknowledged, failed, missing: acknowledged.filter((n) => stored[n] !== 1), releases: [...releases] }
      })
      assert.ok(acknowledged.length > 0)
      assert.deepEqual(failed, [])
      assert.deepEqual(missing, [])
      assert.equal(releases.at(-1)?.endsWith('-two'), true, `answered by ${releases}`)
      assert.equal((await page.evaluate(() => window.kith.status())).id, id, 'still the same peer')
      await browser.close()
    })
  })
}
