// People with browsers: what the tests of several peers share. Plain `fetch` and `EventSource` in the page, nothing else.
import { openBrowser, waitFor } from '../harness/index.mjs'

/** How long things that cross the network may take. */
export const NETWORK_MS = 60_000 * Number(process.env.KITH_PATIENCE ?? 1)

const ask = async (method, path, given, headers) => {
  const body = given ?? undefined
  const type = body === undefined ? {} : { 'Content-Type': 'application/json' }
  const answer = await fetch(path, { method, headers: { ...type, ...headers }, body: body === undefined ? undefined : JSON.stringify(body) })
  const text = await answer.text()
  let json
  try {
    json = JSON.parse(text)
  } catch {}
  return { status: answer.status, headers: Object.fromEntries(answer.headers), text, json }
}

const listen = (path, name) => {
  const heard = { events: [], ids: [], errors: 0 }
  let last
  const open = () => {
    const source = new EventSource(last ? `${path}${path.includes('?') ? '&' : '?'}lastEventId=${encodeURIComponent(last)}` : path)
    source.onmessage = ({ data, lastEventId }) => {
      last = lastEventId
      heard.ids.push(lastEventId)
      heard.events.push(data)
    }
    source.onerror = () => {
      heard.errors++
      if (source.readyState === EventSource.CLOSED) setTimeout(open, 250)
    }
  }
  open()
  window[name] = heard
}

/** Someone with a browser of their own, on a page of the relay. */
export async function person(kind, url, options) {
  const browser = await openBrowser(kind, options)
  const page = await browser.newPage(url)
  return meet(browser, page)
}

/** The person at this page. */
export async function meet(browser, page) {
  await controlled(page)
  const self = {
    browser,
    page,
    ask: (method, path, body, headers) => page.evaluate(ask, method, path, body, headers ?? {}),
    /** Stores a value and makes sure that it was. */
    async put(path, value) {
      const answer = await self.ask('PUT', path, value)
      if (answer.status !== 200 && answer.status !== 201) throw new Error(`PUT ${path} gave ${answer.status}: ${answer.text}`)
      return answer
    },
    status: async () => (await self.ask('GET', '/~/peer')).json,
    /** Follows a path; what comes is kept in the page under `name`. */
    follow: (path, name = 'heard') => page.evaluate(listen, path, name),
    heard: (name = 'heard') => page.evaluate((at) => window[at], name),
    /** Waits until the value at a path is this. */
    sees: (path, value, timeout = NETWORK_MS) =>
      waitFor(
        async () => {
          const answer = await self.ask('GET', path)
          return answer.status === 200 && JSON.stringify(answer.json) === JSON.stringify(value)
        },
        { what: `${browser.kind} to have ${JSON.stringify(value)} at ${path}`, timeout },
      ),
    /** Waits until a link goes this way. */
    linked: (path, timeout = NETWORK_MS) =>
      waitFor(async () => (await self.status())?.links.some((link) => link.path === path && link.state === 'syncing'), {
        what: `${browser.kind} to have a link over ${path}`,
        timeout,
      }),
    /** Waits until there is no link left. */
    alone: (timeout = NETWORK_MS) =>
      waitFor(async () => (await self.status())?.links.length === 0, { what: `${browser.kind} to be alone`, timeout }),
    /** Waits until the relay would let others reach this peer. */
    reachable: (timeout = NETWORK_MS) =>
      waitFor(async () => (await self.status())?.relays.some((relay) => relay.state === 'reserved'), {
        what: `${browser.kind} to be reachable through the relay`,
        timeout,
      }),
    async space(name) {
      const made = await self.ask('POST', '/~/spaces', { name })
      if (made.status !== 201) throw new Error(`creating a space gave ${made.status}: ${made.text}`)
      return made.json.id
    },
    async invite(space, role = 'writer', app = '/board/') {
      await self.reachable()
      const made = await self.ask('POST', `/~/${space}/$invites`, { role, app })
      if (made.status !== 201) throw new Error(`inviting gave ${made.status}: ${made.text}`)
      return made.json.url
    },
    join: (invite) => page.evaluate(joinUntilDone, invite),
    close: () => browser.close(),
  }
  return self
}

/** Joins; where nobody is there yet, again. */
const joinUntilDone = async (invite) => {
  for (let round = 0; round < 6; round++) {
    const answer = await fetch('/~/join', {
      method: 'POST',
      headers: { 'Content-Type': 'application/json' },
      body: JSON.stringify({ invite }),
    })
    const json = await answer.json()
    if (answer.status === 200) return json
    if (answer.status !== 503) throw new Error(`joining gave ${answer.status}: ${JSON.stringify(json)}`)
  }
  throw new Error('joining never ended')
}

/** Waits until the worker answers for this page. */
export const controlled = (page) =>
  page.waitFor(() => Boolean(navigator.serviceWorker?.controller), { what: 'the worker to control the page', timeout: NETWORK_MS })

/** Two people in one space. */
export async function together(first, second, name = 'Trip') {
  const space = await first.space(name)
  const url = await first.invite(space)
  const joined = await second.join(url)
  if (joined.space !== space) throw new Error(`joined ${joined.space} instead of ${space}`)
  return space
}
