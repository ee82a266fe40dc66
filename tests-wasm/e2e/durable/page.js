// What a page does in the durability tests: it writes without pause, follows what changes, and tells the test's own server of everything,
// so that the test knows it even if this page, its worker or the whole browser is gone a moment later. Plain `fetch` and `EventSource`.
const asked = new URLSearchParams(location.search)
const LOG = asked.get('log')
const SESSION = asked.get('session')
/** How long an answer is waited for; a worker that was stopped can leave a request without any. Doubled with each try. */
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
async function write({ id, method, path, value }) {
  const type = method === 'PATCH' ? 'application/merge-patch+json' : 'application/json'
  let trouble
  for (let tries = 1; ; tries++) {
    try {
      const answer = await fetch(path, {
        method,
        headers: { 'Content-Type': type, Version: JSON.stringify(id) },
        body: JSON.stringify(value),
        signal: AbortSignal.timeout(Math.min(LONGEST_ANSWER_MS, ANSWER_MS * 2 ** (tries - 1))),
      })
      const { status } = answer
      if (status === 200 || status === 201) return tell({ type: 'stored', id, tries, version: answer.headers.get('version') })
      if (status < 500 && status !== 429) return tell({ type: 'refused', id, status, text: await answer.text() })
      trouble = `${status} ${await answer.text()}`
    } catch (error) {
      // Not answered: it may be stored or not.
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

let writing = false
let writers = []

/** Starts writing below a path, every kind beside the others. */
window.startWriting = (base, rest) => {
  writing = true
  writers = WRITES.map(async (make, kind) => {
    for (let n = 0; writing; n++) {
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
