// A text server in memory that follows the contract of docs/http-api.md for collaborative text: the reference the SDK's unit tests run
// against. One process decides the order, so it needs no CRDT: for every version it keeps the text and what leads from there to the present.
// It is kept as hard on clients as the contract allows: a repeated PUT moves nothing, and what a subscriber ignores is not sent again.
import { load } from '../load.mjs'

const { apply, compose, rebase, regular } = await load('page/text/splices.ts')
const { diff } = await load('page/text/diff.ts')
const { toPatches } = await load('page/text/code-points.ts')

const encoder = new TextEncoder()
const decoder = new TextDecoder('utf-8', { ignoreBOM: true })
const ids = (header) => [...(header ?? '').matchAll(/"([^"]*)"/g)].map(([, id]) => id).sort()
const quoted = (versions) => versions.map((id) => `"${id}"`).join(', ')
const unquoted = (peer) => peer?.replace(/^"|"$/g, '')
/** UTF-16 position of a code point, by the language's own iteration. */
const unit = (text, point) => [...text].slice(0, point).join('').length
const point = (text, at) => [...text.slice(0, at)].length
const CURSORS = 'application/text-cursors+json'

/** Reads `text [a:b]` and the patch blocks of a request's body. */
function readPatches(headers, body) {
  const range = (text) => /^text \[(\d+):(\d+)\]$/.exec(text).slice(1).map(Number)
  if (headers.has('content-range')) {
    const [from, to] = range(headers.get('content-range'))
    return [{ from, to, insert: decoder.decode(body) }]
  }
  if (!headers.has('patches')) return undefined
  const patches = []
  let at = 0
  for (let count = Number(headers.get('patches')); count > 0; count--) {
    while (body[at] === 13 || body[at] === 10) at++
    let end = at
    while (!(body[end] === 13 && body[end + 1] === 10 && body[end + 2] === 13 && body[end + 3] === 10)) end++
    const head = decoder.decode(body.subarray(at, end))
    const length = Number(/content-length: (\d+)/i.exec(head)[1])
    const [from, to] = range(/content-range: (.*)/i.exec(head)[1].trim())
    at = end + 4 + length
    patches.push({ from, to, insert: decoder.decode(body.subarray(end + 4, at)) })
  }
  return patches
}

/** One text: its present, its frontier, and every version it ever had. */
class Text {
  value = ''
  frontier = []
  revisions = []
  /** By the ids joined: { text, revision, delta } where delta leads from that text to the value at that revision. */
  known = new Map([['', { text: '', revision: 0, delta: [] }]])
  history = []
  subscribers = new Set()

  /** What leads from a version to the present; undefined if the version is not known. */
  since(versions) {
    const record = this.known.get(versions.join())
    if (!record) return undefined
    for (; record.revision < this.revisions.length; record.revision++) record.delta = compose(record.delta, this.revisions[record.revision])
    return record
  }

  put(version, parents, patches, author) {
    if (this.known.has(version)) return 'repeated'
    const record = this.since(parents)
    if (!record) return 'unknown'
    const { text, delta } = record
    const points = [...text].length
    if (patches.some(({ from, to }) => from > to || to > points)) return 'outside'
    const change = regular(patches.map(({ from, to, insert }) => ({ from: unit(text, from), to: unit(text, to), insert })), text.length)
    const weight = patches.reduce((sum, { from, to, insert }) => sum + to - from + [...insert].length, 0)
    const [, agent, seq] = /^(.*)-(\d+)$/.exec(version)
    const before = this.history.filter((one) => one.agent === agent).reduce((sum, one) => sum + one.weight, 0)
    if (Number(seq) !== before + weight - 1) return 'uncounted'
    const merged = rebase(change, delta, true)
    this.value = apply(this.value, merged)
    this.revisions.push(merged)
    this.known.set(version, { text: apply(text, change), revision: this.revisions.length, delta: rebase(delta, change, false) })
    this.frontier = [...this.frontier.filter((id) => !parents.includes(id)), version].sort()
    if (this.frontier.length > 1) this.known.set(this.frontier.join(), { text: this.value, revision: this.revisions.length, delta: [] })
    this.history.push({ version, agent, weight, author: author ?? 'nobody', time: Date.now(), size: encoder.encode(this.value).length, kind: 'text', text: this.value })
    return 'stored'
  }
}

/** The server. `fetch` is what pages call. */
export class TextServer {
  texts = new Map()
  cursors = new Map()
  streams = new Set()
  log = []
  /** Called before each request: may wait, or throw to lose it. `(stage, request)`; stages `arrive`, `answer`. */
  fault = async () => undefined

  fetch = async (input, init = {}) => {
    const request = { url: new URL(input, 'http://test').pathname, query: new URL(input, 'http://test').searchParams, method: init.method ?? 'GET', headers: new Headers(init.headers), body: typeof init.body === 'string' ? encoder.encode(init.body) : (init.body ?? new Uint8Array(0)), signal: init.signal }
    request.signal?.throwIfAborted()
    await this.fault('arrive', request)
    const answer = await this.patient(request)
    await this.fault('answer', request)
    request.signal?.throwIfAborted()
    return answer
  }

  /** How long a change waits for those it builds on, in milliseconds. */
  hold = 0
  waiters = new Set()

  async patient(request) {
    for (const until = Date.now() + this.hold; ; ) {
      const answer = this.handle(request)
      const left = until - Date.now()
      if (answer.status !== 432 || request.method !== 'PUT' || left <= 0) return answer
      await new Promise((resolve) => {
        const timer = setTimeout(resolve, left)
        this.waiters.add(() => (clearTimeout(timer), resolve()))
      })
    }
  }

  handle(request) {
    const { method, headers, url, query } = request
    const cursors = `${headers.get('accept')} ${headers.get('content-type')}`.includes(CURSORS)
    this.log.push(`${method} ${headers.get('version') ?? ''}`)
    if (cursors) return method === 'PUT' ? this.putCursor(request) : this.getCursors(request)
    if (method === 'PUT') return this.put(request)
    const text = this.texts.get(url)
    if (headers.has('subscribe')) return this.subscribe(request)
    if (!text) return answer(404, { type: 'urn:kith:problem:not-found', title: 'There is nothing here', status: 404, detail: 'There is nothing here.' })
    if (query.has('history')) {
      return answer(200, { items: [...text.history].reverse().map(({ version, author, time, size, kind }) => ({ version, author, time, size, kind })) })
    }
    const old = query.get('version') && text.known.get(query.get('version'))
    return answer(200, old ? old.text : text.value, { 'content-type': 'text/plain; charset=utf-8', version: quoted(text.frontier), 'merge-type': 'simpleton' })
  }

  put({ url, headers, body }) {
    const patches = readPatches(headers, body)
    let text = this.texts.get(url)
    if (text && headers.get('if-none-match') === '*') return answer(412, { status: 412, title: 'There already' })
    const created = !text
    const peer = unquoted(headers.get('peer'))
    if (!text) {
      this.texts.set(url, (text = new Text()))
      text.subscribers = this.waiting(url)
    }
    if (patches || body.length > 0) {
      const changes = patches ?? toPatches(text.value, diff(text.value, decoder.decode(body)))
      const weight = changes.reduce((sum, { from, to, insert }) => sum + to - from + [...insert].length, 0)
      const [version = `server${text.history.length}-${weight - 1}`] = ids(headers.get('version'))
      const outcome = text.put(version, patches ? ids(headers.get('parents')) : text.frontier, changes, peer)
      if (outcome === 'unknown') return answer(432, { status: 432, title: 'Version not known', missing: ids(headers.get('parents')) })
      if (outcome === 'outside' || outcome === 'uncounted') return answer(422, { status: 422, title: `The change is ${outcome}` })
      if (outcome === 'stored') {
        this.tell(text, created, peer, version)
        for (const wake of this.waiters) wake()
        this.waiters.clear()
      }
    } else if (created) this.tell(text, true)
    return answer(created ? 201 : 200, '', { version: quoted(text.frontier) })
  }

  /** Subscribers of a place where nothing was. */
  waiting(url) {
    return new Set([...this.streams].filter((stream) => stream.url === url && !stream.cursors))
  }

  tell(text, created, peer, version) {
    for (const stream of text.subscribers) {
      if (created) {
        stream.send({ version: text.frontier, parents: [], body: text.value, media: 'text/plain; charset=utf-8' })
        stream.at = text.frontier
        continue
      }
      if (stream.peer === peer && peer) stream.at = [version]
      if (stream.at.join() === text.frontier.join()) continue
      const { text: base, delta } = text.since(stream.at)
      const patches = delta.map(({ from, to, insert }) => ({ range: `text [${point(base, from)}:${point(base, to)}]`, insert }))
      // A version in which the text stays as it is, for example where two deleted the same, is said either way by servers.
      const same = this.log.length % 2 ? [] : [{ range: 'text [0:0]', insert: '' }]
      stream.send({ version: text.frontier, parents: stream.at, patches: patches.length > 0 ? patches : same })
      stream.at = text.frontier
    }
  }

  subscribe({ url, headers, signal }) {
    const text = this.texts.get(url)
    const parents = ids(headers.get('parents'))
    if (text && headers.has('parents') && !text.since(parents)) return answer(432, { status: 432, title: 'Version not known', missing: parents })
    if (!text && parents.length > 0) return answer(432, { status: 432, title: 'Version not known', missing: parents })
    const stream = this.open(url, unquoted(headers.get('peer')), signal)
    if (!text) {
      stream.at = []
      stream.send({ status: '404 Not Found', version: [], parents: [], body: '' })
      return stream.response
    }
    text.subscribers.add(stream)
    if (headers.has('parents')) {
      stream.at = parents
      this.tell({ ...text, since: (versions) => text.since(versions), subscribers: [stream] }, false)
    } else {
      stream.send({ version: text.frontier, parents: [], body: text.value, media: 'text/plain; charset=utf-8' })
      stream.at = text.frontier
    }
    return stream.response
  }

  open(url, peer, signal, cursors = false) {
    const stream = { url, peer, cursors, at: [], ended: false }
    const body = new ReadableStream({
      start: (controller) => {
        controller.enqueue(encoder.encode('\r\n'))
        stream.controller = controller
      },
      cancel: () => this.drop(stream),
    })
    stream.send = (frame) => {
      if (!stream.ended) stream.controller.enqueue(encoder.encode(frameText(frame)))
    }
    signal?.addEventListener('abort', () => {
      if (!stream.ended) stream.controller.error(signal.reason)
      this.drop(stream)
    })
    stream.response = new Response(body, { status: 209, headers: { 'content-type': 'application/http-history', subscribe: '?1', 'kith-worker': 'test' } })
    this.streams.add(stream)
    return stream
  }

  drop(stream) {
    if (stream.ended) return
    stream.ended = true
    this.streams.delete(stream)
    for (const text of this.texts.values()) text.subscribers.delete(stream)
    if (stream.cursors) this.cursorGone(stream)
  }

  /** The worker is stopped: streams break, nobody is remembered, what was stored stays. */
  kill() {
    for (const stream of [...this.streams]) {
      const { controller } = stream
      stream.cursors = false
      this.drop(stream)
      controller.error(new TypeError('network error'))
    }
    this.cursors.clear()
  }

  // Cursors

  getCursors({ url, headers, method, signal }) {
    const all = () => Object.fromEntries(this.cursors.get(url) ?? [])
    if (!headers.has('subscribe')) return answer(200, method === 'HEAD' ? '' : all(), { 'content-type': CURSORS })
    const stream = this.open(url, unquoted(headers.get('peer')), signal, true)
    stream.send({ body: JSON.stringify(all()), media: CURSORS })
    return stream.response
  }

  putCursor({ url, headers, body }) {
    const [peer] = JSON.parse(headers.get('content-range').slice(5))
    if (![...this.streams].some((stream) => stream.cursors && stream.url === url && stream.peer === peer)) return answer(425, { status: 425, title: 'Too early' })
    if (!this.cursors.has(url)) this.cursors.set(url, new Map())
    const list = JSON.parse(decoder.decode(body))
    if (list.length > 0) this.cursors.get(url).set(peer, list)
    else this.cursors.get(url).delete(peer)
    this.tellCursor(url, peer, list.length > 0 ? JSON.stringify(list) : '')
    return answer(200, '')
  }

  tellCursor(url, peer, insert) {
    for (const stream of this.streams) {
      if (stream.cursors && stream.url === url && stream.peer !== peer) stream.send({ patches: [{ range: `json ${JSON.stringify([peer])}`, insert }] })
    }
  }

  cursorGone({ url, peer }) {
    if ([...this.streams].some((stream) => stream.cursors && stream.url === url && stream.peer === peer)) return
    if (this.cursors.get(url)?.delete(peer)) this.tellCursor(url, peer, '')
  }
}

function answer(status, body, headers = {}) {
  const json = typeof body !== 'string'
  return new Response(json ? JSON.stringify(body) : body, { status, headers: { 'kith-worker': 'test', ...(json ? { 'content-type': status < 400 ? 'application/json' : 'application/problem+json' } : {}), ...headers } })
}

function frameText({ status = '200 OK', version, parents, body = '', media, patches }) {
  const head = [`HTTP ${status}`, ...(version ? [`Version: ${quoted(version)}`, `Parents: ${quoted(parents)}`] : []), ...(media ? [`Content-Type: ${media}`] : [])]
  const block = ({ range, insert }) => `Content-Length: ${encoder.encode(insert).length}\r\nContent-Range: ${range}\r\n\r\n${insert}\r\n\r\n`
  if (!patches) return `${[...head, `Content-Length: ${encoder.encode(body).length}`].join('\r\n')}\r\n\r\n${body}\r\n\r\n`
  if (patches.length === 1) return `${head.join('\r\n')}\r\n${block(patches[0])}`
  return `${[...head, `Patches: ${patches.length}`].join('\r\n')}\r\n\r\n${patches.map(block).join('')}`
}
