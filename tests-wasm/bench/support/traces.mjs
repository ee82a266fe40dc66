// The public editing traces: found in `KITH_TRACES`, or beside the repository.
import { readFileSync } from 'node:fs'
import { join } from 'node:path'
import { gunzipSync } from 'node:zlib'
import { tracesFolder } from '../../harness/traces.mjs'
import { QUICK } from './figures.mjs'

/** Written by one hand, and by several at once. */
export const SEQUENTIAL = ['automerge-paper', 'seph-blog1', 'rustcode', 'sveltecomponent']
export const CONCURRENT = ['friendsforever', 'clownschool']
/** As much of a trace is played to try a benchmark. */
const QUICK_TXNS = 1_500

/** Why there is nothing to measure. */
export const NO_TRACES = 'skipped: the editing traces are not here; set KITH_TRACES to the folder that holds automerge-paper.json.gz and the others\n'

/**
 * `{name, whole, text, txns: [{agent, parents, patches: [[pos, len, text]]}]}`; `text` is how it ends, where all of it is played.
 * All of them have nothing outside the basic plane, so positions are the same in code points and in JavaScript strings.
 */
export function readTrace(name) {
  const { endContent, txns } = JSON.parse(gunzipSync(readFileSync(join(tracesFolder(), `${name}.json.gz`))))
  const played = QUICK ? txns.slice(0, QUICK_TXNS) : txns
  return {
    name,
    whole: played.length === txns.length,
    text: played.length === txns.length ? endContent : undefined,
    txns: played.map(({ agent = 0, parents = [], patches }) => ({ agent, parents, patches })),
  }
}

/** The edits of a trace by one hand, and the text they end in. */
export function editsOf({ txns, text }) {
  const edits = txns.flatMap(({ patches }) => patches)
  return { edits, text: text ?? edits.reduce((before, [pos, len, put]) => before.slice(0, pos) + put + before.slice(pos + len), '') }
}

/** Plays a trace by one hand with Kith and with Yjs, taking turns: what each found, by name. Their pages get the edits as `/<name>.json`. */
export async function takeTurns(name, rounds, kith, yjs) {
  const trace = editsOf(readTrace(name))
  const files = { [`${name}.json`]: JSON.stringify({ edits: trace.edits }) }
  const found = { Kith: [], Yjs: [] }
  for (let round = 0; round < rounds; round++) {
    found.Kith.push(await kith(trace, files))
    found.Yjs.push(await yjs(trace, files))
  }
  return { trace, found }
}
