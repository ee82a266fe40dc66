// What a page does in the durability tests: it writes without pause, follows what changes, and tells the test's own server of everything,
// so that the test knows it even if this page, its worker or the whole browser is gone a moment later. Plain `fetch` and `EventSource`.
const asked = new URLSearchParams(location.search)
const LOG = asked.get('log')
const SESSION = asked.get('session')
/** How long an answer is waited for; a worker that was stopped can leave a request without any. Doubled each time. */
const ANSWER_MS = 2_000
const LONGEST_ANSWER_MS = 16_000
/** Fields of the one object that all patches go to. */
const FIELDS = 40

const pause = (ms) => new Promise((resolve) => setTimeout(resolve, ms))

let told = 0
let telling
const untold = []

/** Tells the test; in order, each thing once. Resolves when the test has it. */
function tell(event) {
  untold.push(event)
  telling ??= tellAll()
  return telling
}

async function tellAll() {
  while (untold.length > 0) {
    const batch = untold.slice()
    try {
      await fetch(LOG, { method: 'POST', body: JSON.stringify({ session: SESSION, first: told, batch }), signal: AbortSignal.timeout(ANSWER_MS) })
      told += batch.length
      untold.splice(0, batch.length)
    } catch {
      // Also this request is seen by the worker first, and it may just have been stopped.
      await pause(50)
    }
  }
  telling = undefined
}

/** Does one write until it is answered. Every try has the same `Version`, so that a write whose answer was lost is not done twice. */
async function write({ id, method, path, value, headers, body = JSON.stringify(value) }) {
  const type = method === 'PATCH' ? 'application/merge-patch+json' : 'application/json'
  let trouble
  let silent = 0
  for (let tries = 1; ; tries++) {
    try {
      const answer = await fetch(path, {
        method,
        headers: { 'Content-Type': type, Version: JSON.stringify(id), ...headers },
        body,
        signal: AbortSignal.timeout(Math.min(LONGEST_ANSWER_MS, ANSWER_MS * 2 ** silent)),
      })
      const { status } = answer
      if (status === 200 || status === 201) return tell({ type: 'stored', id, tries, version: answer.headers.get('version') })
      if (status < 500 && status !== 429) return tell({ type: 'refused', id, status, text: await answer.text() })
      trouble = `${status} ${await answer.text()}`
    } catch (error) {
      // Not answered: it may be stored or not.
      silent++
      trouble = String(error)
    }
    // Said now and then, so that a test that waits in vain can tell why.
    if (tries % 5 === 0) tell({ type: 'trouble', id, tries, trouble })
    await pause(Math.min(20 * tries, 500))
  }
}

/** The n-th write of each kind. */
const WRITES = [
  (base, n, id) => ({ id, method: 'PUT', path: `${base}/keys/${SESSION}-${n}`, value: id }),
  (base, n, id) => ({ id, method: 'PUT', path: `${base}/objects/${SESSION}-${n}`, value: { id, n, even: n % 2 === 0 } }),
  (base, n, id) => ({ id, method: 'PATCH', path: `${base}/doc`, value: { [`f${n % FIELDS}`]: id } }),
]

/** The same for values of kinds: a text, a list that grows and is moved about, one that grows and shrinks, a counter; and moves. */
const KINDS = [
  (base, n, id) => insertion(`${base}/text`, n, id),
  (base, n, id) => edit(base, 'list', id, { op: 'add', path: n % 2 ? '/-' : '/1', value: id }),
  (base, _n, id) => edit(base, 'list', id, { op: 'move', from: '/0', path: '/2' }),
  (base, n, id) => edit(base, 'churn', id, n % 3 === 2 ? { op: 'remove', path: '/0' } : { op: 'add', path: '/0', value: id }),
  (base, _n, id) => ({ id, method: 'PATCH', path: `${base}/count`, headers: { 'Content-Type': 'application/vnd.kith.counter+json' }, body: '1' }),
  // A parcel with a text in it goes from place to place, and is written to between.
  (base, n, id) => {
    const [at, to] = [0, 1].map((more) => `${base}/parcels/p${Math.floor(n / 3) + more}`)
    if (n % 3 === 0) return { id, method: 'PUT', path: `${to}?move=${encodeURIComponent(at.split('/').slice(3).join('/'))}`, headers: {}, body: undefined }
    if (n % 3 === 1) return { id, method: 'PUT', path: `${to}/w${n % FIELDS}`, value: id }
    return insertion(`${to}/text`, n, id)
  },
]
const insertion = (path, n, id) => ({ id, method: 'PUT', path, headers: { 'Content-Type': 'text/plain', 'Merge-Type': 'simpleton', 'Content-Range': `text [${n % 3}:${n % 3}]` }, body: `<${id}>` })
const edit = (base, name, id, step) => ({ id, method: 'PATCH', path: `${base}/${name}`, headers: { 'Content-Type': 'application/json-patch+json' }, body: JSON.stringify([step]) })

let writing = false
let writers = []

/** Starts writing below a path, every kind beside the others; values of kinds from where the page before stopped. */
window.startWriting = (base, rest, kindsFrom) => {
  writing = true
  writers = (kindsFrom ? KINDS : WRITES).map(async (make, kind) => {
    for (let n = kindsFrom?.[kind] ?? 0; writing; n++) {
      const planned = make(base, n, `${SESSION}.${kind}.${n}`)
      await tell({ type: 'begun', ...planned })
      await write(planned)
      await pause(rest)
    }
  })
}

/** Stops; resolves when everything begun is answered. */
window.stopWriting = async () => {
  writing = false
  await Promise.all(writers)
}

/** Asks for something until it is answered with success, however often the worker is stopped meanwhile. */
window.insist = async (method, path, headers, body) => {
  for (let tries = 1; ; tries++) {
    try {
      const answer = await fetch(path, { method, headers, body, signal: AbortSignal.timeout(LONGEST_ANSWER_MS) })
      if (answer.ok) return { tries, status: answer.status, text: await answer.text() }
      if (answer.status < 500 && answer.status !== 429) throw new Error(`${method} ${path} was refused: ${answer.status} ${await answer.text()}`)
    } catch (error) {
      if (String(error).includes('was refused')) throw error
    }
    await pause(Math.min(20 * tries, 500))
  }
}

/** The file of a space, in base64. */
window.saveSpace = async (space) => {
  const bytes = new Uint8Array(await (await fetch(`/~/${space}/$export?keys=1`)).arrayBuffer())
  let text = ''
  for (let at = 0; at < bytes.length; at += 8192) text += String.fromCharCode(...bytes.subarray(at, at + 8192))
  return btoa(text)
}
/** Keeps the file of a space for `takeSpace`. */
window.keepSpace = (base64) => {
  // A `Blob`: bytes in memory would be told to whoever debugs the page, which holds the page up until the file is taken in.
  window.file = new Blob([Uint8Array.from(atob(base64), (char) => char.charCodeAt(0))])
  return window.file.size
}
/** Begins to take in the file that is kept; `window.taken` is the answer once there is one. */
window.takeSpace = () => {
  window.taken = undefined
  window.insist('POST', '/~/import', {}, window.file).then(
    (answer) => (window.taken = answer),
    (error) => (window.taken = { error: String(error) }),
  )
}

/** Does writes again that nobody knows the fate of. */
window.writeAgain = (list) => Promise.all(list.map(write))

/** Follows by events, from an event id if given. */
window.listen = (name, path, last) => {
  let source
  const keep = ({ type, data, lastEventId }) => {
    last = lastEventId || last
    tell({ type: 'event', name, kind: type, id: lastEventId, data })
  }
  const open = () => {
    source = new EventSource(last ? `${path}${path.includes('?') ? '&' : '?'}lastEventId=${encodeURIComponent(last)}` : path)
    source.onmessage = keep
    for (const type of ['delete', 'reset', 'end']) source.addEventListener(type, keep)
    source.onopen = () => tell({ type: 'opened', name })
    // Chromium gives an EventSource up when it stops the worker by force.
    source.onerror = () => source.readyState === EventSource.CLOSED && setTimeout(open, 100)
  }
  open()
}

/** Follows by frames (209), from a version if given, and again from the last one whenever the stream ends. */
window.follow = async (name, path, parents) => {
  for (;;) {
    try {
      const answer = await fetch(path, { headers: { Subscribe: 'true', ...(parents && { Parents: parents }) } })
      if (answer.status === 432 || answer.status === 400) return tell({ type: 'lost', name, status: answer.status, parents })
      if (answer.status === 209) tell({ type: 'opened', name })
      for await (const frame of answer.status === 209 ? frames(answer.body) : []) {
        parents = frame.headers.version ?? parents
        tell({ type: 'frame', name, ...frame })
      }
    } catch {
      // The stream broke off: what had come of a frame is thrown away.
    }
    await pause(100)
  }
}

/** The frames of a 209 body. All of it is ASCII here, so characters are bytes. */
async function* frames(body) {
  const reader = body.pipeThrough(new TextDecoderStream()).getReader()
  let text = ''
  for (;;) {
    const { done, value } = await reader.read()
    if (done) return
    text += value
    for (;;) {
      text = text.replace(/^[\r\n]+/, '')
      const end = text.indexOf('\r\n\r\n')
      if (end < 0) break
      const [first, ...lines] = text.slice(0, end).split('\r\n')
      const headers = Object.fromEntries(lines.map((line) => [line.slice(0, line.indexOf(':')).toLowerCase(), line.slice(line.indexOf(':') + 1).trim()]))
      const length = Number(headers['content-length'])
      if (Number.isNaN(length)) throw new Error(`a frame without a length: ${text.slice(0, end)}`)
      if (text.length < end + 4 + length) break
      yield { status: Number(first.split(' ')[1]), headers, body: text.slice(end + 4, end + 4 + length) }
      text = text.slice(end + 4 + length)
    }
  }
}
