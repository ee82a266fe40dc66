// One engine on one editing trace: runs in Node and in pages.
import { engines, start } from './engines.mjs'

/** Between two looks at the clock. */
const LOOK_EVERY = 16
const OPENINGS = 3

/** Does something for every item until the time is up: `{ms, n, all}`. */
function timed(items, giveUp, work) {
  const began = performance.now()
  let n = 0
  for (const item of items) {
    work(item, n++)
    if (n % LOOK_EVERY === 0 && performance.now() - began > giveUp) break
  }
  return { ms: performance.now() - began, n, all: n === items.length }
}

const sum = (lists) => lists.reduce((bytes, list) => bytes + list.reduce((size, update) => size + update.length, 0), 0)

const same = (engine, what, found, expected) => {
  if (found !== expected) throw new Error(`${engine}: ${what} gives another text (${found?.length} characters instead of ${expected?.length})`)
}

/** Others take in every update one by one, its text at hand after each; and all at once. */
function takeIn(engine, updates, giveUp) {
  const each = engine.create(200)
  const remote = timed(updates, giveUp, (list) => list.forEach((update) => engine.take(each, update, true)))
  const text = remote.all ? engine.text(each) : undefined
  engine.free(each)
  const whole = engine.create(201)
  const batch = timed(updates, giveUp, (list) => list.forEach((update) => engine.take(whole, update, false)))
  const began = performance.now()
  engine.settle(whole)
  batch.ms += performance.now() - began
  if (text !== undefined && batch.all) same('an observer', 'all at once', engine.text(whole), text)
  engine.free(whole)
  return { remote, batch, text }
}

/** Its file: bytes, and how long until its text is there. */
function keep(engine, doc, text) {
  const began = performance.now()
  const file = engine.save(doc)
  const save = performance.now() - began
  const openings = Array.from({ length: OPENINGS }, () => {
    const began = performance.now()
    same('a stored text', 'opening', engine.open(file), text)
    return performance.now() - began
  })
  return { size: file.length, save, open: Math.min(...openings) }
}

function sequential(engine, trace, giveUp) {
  const edits = trace.txns.flatMap(({ patches }) => patches)
  const silent = engine.create(1)
  const local = timed(edits, giveUp, ([pos, len, text]) => engine.edit(silent, pos, len, text))
  engine.free(silent)
  const doc = engine.create(1)
  const updates = []
  const typed = timed(edits, giveUp, ([pos, len, text]) => updates.push([engine.tell(doc, pos, len, text)]))
  const text = engine.text(doc)
  if (typed.all && trace.text !== undefined) same('the writer', 'the trace', text, trace.text)
  const { remote, batch, text: there } = takeIn(engine, updates, giveUp)
  if (there !== undefined) same('an observer', 'the trace', there, text)
  const kept = typed.all ? keep(engine, doc, text) : undefined
  engine.free(doc)
  return { local, typed, remote, batch, wire: typed.all ? sum(updates) : undefined, ...kept }
}

/** Brings a replica what these transactions and all before them say. */
function bring(engine, replica, txns, updates, of) {
  const stack = [...of]
  const wanted = []
  while (stack.length > 0) {
    const at = stack.pop()
    if (replica.has[at]) continue
    replica.has[at] = 1
    wanted.push(at)
    stack.push(...txns[at].parents)
  }
  for (const at of wanted.sort((a, b) => a - b)) for (const update of updates[at]) engine.take(replica.doc, update, false)
  if (wanted.length > 0) engine.settle(replica.doc)
}

function concurrent(engine, trace, giveUp) {
  const { txns } = trace
  const replicas = new Map()
  const updates = []
  const live = timed(txns, giveUp, ({ agent, parents, patches }, at) => {
    if (!replicas.has(agent)) replicas.set(agent, { doc: engine.create(agent), has: new Uint8Array(txns.length) })
    const replica = replicas.get(agent)
    bring(engine, replica, txns, updates, parents)
    updates.push(patches.map((patch) => engine.tell(replica.doc, ...patch)))
    replica.has[at] = 1
  })
  const [first] = replicas.values()
  const { remote, batch, text } = takeIn(engine, updates, giveUp)
  let kept
  if (live.all) {
    bring(engine, first, txns, updates, txns.keys())
    const here = engine.text(first.doc)
    if (text !== undefined) same('an observer', 'the trace', text, here)
    kept = keep(engine, first.doc, here)
  }
  for (const { doc } of replicas.values()) engine.free(doc)
  return { typed: live, remote, batch, wire: live.all ? sum(updates) : undefined, ...kept }
}

/** What an engine takes for a trace; whatever takes longer than `giveUp` milliseconds is stopped where it is. */
export async function run(name, trace, giveUp) {
  await start()
  const measure = trace.txns.some(({ agent }) => agent > 0) ? concurrent : sequential
  return measure(engines[name], trace, giveUp)
}

export const names = Object.keys(engines)
globalThis.texts = { run, names }
