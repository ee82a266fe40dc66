// What the pages of the durability tests told, kept outside every browser: which writes were begun, which were answered, what each subscription heard.
import { readFileSync } from 'node:fs'
import { join } from 'node:path'
import { startSite, waitFor } from '../../harness/index.mjs'
import { NETWORK_MS } from '../peers-support.mjs'

const PAGE = `<!doctype html><title>durable</title><script type="module" src="/kith.js"></script><script type="module" src="/durable.js"></script>`

/** A site with the test's page in front of a relay, and the server that the pages tell. One for each browser. */
export async function startDiary(relayUrl) {
  const script = readFileSync(join(import.meta.dirname, 'page.js'))
  const site = await startSite({ upstream: relayUrl, files: { '/durable': PAGE, '/durable.js': { body: script, type: 'text/javascript' } } })
  const diary = {
    /** Every write begun, by id: `{id, method, path, value, stored?: {tries, version}}`. */
    writes: new Map(),
    /** What each subscription heard, in order, over all its pages. */
    heard: {},
    /** Called with every notice. */
    onNotice: () => {},
    refused: [],
    /** The last trouble a writer had, for when a test waits in vain. */
    trouble: undefined,
    /** Where a subscription stands: what it would resume with. */
    place: (name) => diary.heard[name]?.findLast(({ at }) => at)?.at,
    /** Writes begun whose fate nobody knows. */
    unanswered: () => [...diary.writes.values()].filter(({ stored }) => !stored),
    /** Writes that were answered with success. */
    stored: () => [...diary.writes.values()].filter(({ stored }) => stored),
    /** The address of a page under a session name of its own. */
    page: (session) => `${site.url}durable?session=${session}&log=${encodeURIComponent(log.url)}`,
    url: site.url,
    /** Files of the site that stand before the relay's. */
    files: site.files,
  }
  const known = new Map()
  const log = await startSite({ files: { '/': (asked, response) => take(asked, response) } })

  function take(asked, response) {
    const parts = []
    asked.on('data', (part) => parts.push(part))
    asked.on('end', () => {
      try {
        const { session, first, batch } = JSON.parse(Buffer.concat(parts).toString())
        // A page repeats what it does not know to have arrived.
        const fresh = batch.slice(Math.max(0, (known.get(session) ?? 0) - first))
        known.set(session, Math.max(known.get(session) ?? 0, first + batch.length))
        fresh.forEach(note)
      } catch {
        // Half a request of a page that died.
      }
      response.writeHead(204, { 'access-control-allow-origin': '*' })
      response.end()
    })
  }

  function note(notice) {
    const { type, name, id } = notice
    if (type === 'begun') diary.writes.set(id, notice)
    if (type === 'stored') diary.writes.get(id).stored = notice
    if (type === 'refused' || type === 'lost') diary.refused.push(notice)
    if (type === 'trouble') diary.trouble = notice
    diary.heard[name] ??= []
    if (type === 'event') diary.heard[name].push({ ...notice, at: notice.id })
    if (type === 'frame') diary.heard[name].push({ ...notice, at: notice.headers.version })
    if (type === 'opened') diary.heard[name].push(notice)
    diary.onNotice(notice)
  }
  return diary
}

/** Everything in a feed, from the beginning, page by page. */
export const readFeed = (page, space) =>
  page.evaluate(async (id) => {
    const all = []
    for (let since = ''; ; ) {
      const answer = await fetch(`/~/${id}/$changes?limit=500${since && `&since=${encodeURIComponent(since)}`}`)
      if (!answer.ok) throw new Error(`the feed gave ${answer.status}: ${await answer.text()}`)
      const { items, next } = await answer.json()
      if (items.length === 0) return all
      all.push(...items)
      since = next
    }
  }, space)

/** Every child below a prefix with its value, page by page. */
export const readAll = (page, prefix) =>
  page.evaluate(async (path) => {
    const all = {}
    for (let start = ''; ; ) {
      const answer = await fetch(`${path}/?values=1&limit=500${start && `&start=${encodeURIComponent(start)}`}`)
      if (!answer.ok) throw new Error(`the listing gave ${answer.status}: ${await answer.text()}`)
      const { items, next } = await answer.json()
      for (const { key, value } of items) all[key] = value
      if (!next) return all
      start = next
    }
  }, prefix)

/** Waits for something in a diary. */
export const told = (diary, probe, what) =>
  waitFor(() => probe(diary), { what, timeout: 2 * NETWORK_MS }).catch((error) => {
    throw new Error(`${error.message}; refused: ${JSON.stringify(diary.refused)}; last trouble: ${JSON.stringify(diary.trouble)}`)
  })
