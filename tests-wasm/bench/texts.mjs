// Text engines on the public editing traces, each called by JavaScript once for every keystroke: ours as it is shipped, bare diamond-types compiled for speed, diamond-types-web,
// Yjs, Loro, Automerge, in Node and in Chromium. Before that ours and bare diamond-types natively, without JavaScript.
import { mkdirSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { cleanup } from '../harness/index.mjs'
import { tracesFolder } from '../harness/traces.mjs'
import { servePage } from './baseline/pages.mjs'
import { figure, publish, QUICK, quantile, ratio, show, target, times } from './support/figures.mjs'
import { bundleEngines, run } from './support/rivals.mjs'
import { CONCURRENT, NO_TRACES, readTrace, SEQUENTIAL } from './support/traces.mjs'
import { KEPT, openBrowser } from './support/world.mjs'

const OURS = 'Kith engine'
const BARE = 'diamond-types'
const ROUNDS = times(3, 1)
/** Whatever takes longer, in milliseconds, is stopped where it is and counts for what it did. */
const GIVE_UP_MS = times(10_000, 4_000)
const LIMIT = 1.2
const TRACES = QUICK ? ['rustcode', 'clownschool'] : [...SEQUENTIAL, ...CONCURRENT]
/** Its random numbers come from where Node has none. */
const NOT_IN_NODE = ['diamond-types-web']

const each = (timed) => timed && { us: (timed.ms * 1000) / timed.n, all: timed.all }
const least = (values) => (values.some((value) => value === undefined) ? undefined : Math.min(...values))

/** The quickest of some rounds, by what was measured: others on this machine only ever make things slower. */
function merge(rounds) {
  const timed = (what) => {
    const found = rounds.map((round) => each(round[what])).filter(Boolean)
    return found.length > 0 ? { us: quantile(found.map(({ us }) => us), 0), all: found.every(({ all }) => all) } : undefined
  }
  const { wire, size } = rounds[0]
  return { local: timed('local'), typed: timed('typed'), remote: timed('remote'), batch: timed('batch'), open: least(rounds.map(({ open }) => open)), wire, size }
}

const micro = (one) => (one ? `${figure(one.us)}${one.all ? '' : '*'}` : '')
const kilobytes = (bytes) => (bytes === undefined ? '' : `${(bytes / 1000).toFixed(1)} kB`)
const fold = (ours, theirs, what) => ratio(ours[what]?.us, theirs[what]?.us)

function showOne(where, { name, txns, whole }, found) {
  const bare = found[BARE]
  const rows = Object.entries(found).map(([engine, one]) => [
    engine,
    micro(one.local),
    micro(one.typed),
    engine === BARE ? '' : fold(one, bare, 'typed'),
    micro(one.remote),
    engine === BARE ? '' : fold(one, bare, 'remote'),
    micro(one.batch),
    one.open === undefined ? '' : one.open.toFixed(2),
    kilobytes(one.size),
    kilobytes(one.wire),
  ])
  show(`${where}, ${name}${whole ? '' : ' (its beginning)'}, ${txns.length} transactions; us for each edit, * stopped after ${GIVE_UP_MS / 1000} s`, [
    ['', 'typed', 'and told', 'to bare', 'taken in one by one', 'to bare', 'all at once', 'opened, ms', 'stored', 'told'],
    ...rows,
  ])
}

/** All engines on all traces, taking turns. `play` runs one. */
async function measure(where, engines, play) {
  const found = {}
  for (const name of TRACES) {
    const trace = readTrace(name)
    const rounds = Object.fromEntries(engines.map((engine) => [engine, []]))
    const late = new Set()
    for (let round = 0; round < ROUNDS; round++) {
      for (const engine of engines) {
        // Once is enough for who had to be stopped.
        if (late.has(engine)) continue
        const one = await play(engine, trace)
        rounds[engine].push(one)
        if (![one.typed, one.remote, one.batch].every(({ all }) => all)) late.add(engine)
      }
    }
    found[name] = Object.fromEntries(engines.map((engine) => [engine, merge(rounds[engine])]))
    showOne(where, trace, found[name])
  }
  return found
}

async function inNode(engines) {
  const file = join(KEPT, 'engines.mjs')
  mkdirSync(KEPT, { recursive: true })
  writeFileSync(file, engines)
  const { run, names } = await import(file)
  return measure('Node', names.filter((name) => !NOT_IN_NODE.includes(name)), (engine, trace) => run(engine, trace, GIVE_UP_MS))
}

async function inChromium(engines) {
  const files = Object.fromEntries(TRACES.map((name) => [`/${name}.json`, JSON.stringify(readTrace(name))]))
  const site = await servePage(engines, files)
  const fresh = async (work) => {
    // A browser for each measurement: none inherits the memory of another.
    const browser = await openBrowser('chromium')
    try {
      const page = await browser.newPage(site.url)
      page.evaluateTimeout = 20 * GIVE_UP_MS + 60_000
      await page.waitFor(() => globalThis.texts, { what: "the engines' page", timeout: 60_000 })
      return await work(page)
    } finally {
      await browser.close()
    }
  }
  const play = async (engine, name, giveUp) => globalThis.texts.run(engine, await (await fetch(`/${name}.json`)).json(), giveUp)
  const names = await fresh((page) => page.evaluate(() => globalThis.texts.names))
  const found = await measure('Chromium', names, (engine, { name }) => fresh((page) => page.evaluate(play, engine, name, GIVE_UP_MS)))
  await site.close()
  return found
}

/** What the worst trace takes of us against the one it is compared with. */
function worst(found, what, theirs) {
  const ratios = Object.values(found).map((trace) => trace[OURS][what].us / trace[theirs][what].us)
  return Math.max(...ratios)
}

if (!tracesFolder()) process.stdout.write(NO_TRACES)
else {
  try {
    process.stdout.write(await run('cargo', ['run', '-q', '--release', '--locked', '-p', 'kith-text', '--example', 'traces', '--', tracesFolder(), ...TRACES]))
    process.stdout.write('\n')
    const engines = await bundleEngines()
    const found = { node: await inNode(engines), chromium: await inChromium(engines) }
    const targets = []
    for (const [where, traces] of Object.entries(found)) {
      for (const what of ['typed', 'remote']) {
        targets.push(target(`${where}: ${what}, worst trace, against bare diamond-types`, worst(traces, what, BARE), LIMIT, 'times'))
        for (const rival of ['Yjs', 'Loro', 'Automerge']) targets.push(target(`${where}: ${what}, worst trace, against ${rival}`, worst(traces, what, rival), 1, 'times'))
      }
    }
    publish('texts', { found, targets })
  } finally {
    await cleanup()
  }
}
