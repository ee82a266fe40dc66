// What a first visit downloads, compressed, by file: the page script, the worker, the peer, and the first page, against the budget and
// against what helia's page bundle weighs. `npm run build` measures every file (`dist/sizes.json`, gzip 9 and brotli 11).
import { readFileSync } from 'node:fs'
import { join } from 'node:path'
import { megabytes, publish, ratio, show, target } from './support/figures.mjs'
import { WEB } from './support/world.mjs'

/** helia 7.1.15, minified for a page, gzip: read off its npm package, not built here. Files and blocks only: no values, spaces or rights. */
const HELIA_GZIP = 327_490
const BUDGET = 600_000
/** What any app with Kith loads. The classic worker is loaded instead of the module one, never with it. */
const PEER = ['kith.js', 'kith-worker.js', 'kith/peer_bg.wasm']

const sizes = JSON.parse(readFileSync(join(WEB, 'sizes.json'), 'utf8'))
const add = (names, how) => names.reduce((sum, name) => sum + sizes[name][how], 0)
// What of it only other pages use comes later, if at all.
const home = Object.keys(sizes).filter((name) => /^(index\.html|home\/|assets\/|shell\.json)/.test(name) && !/LICENSE|uqr|codemirror/.test(name))
const row = (text, names) => [text, ...['raw', 'gzip', 'brotli'].map((how) => add(names, how)), names.length === PEER.length ? ratio(add(names, 'gzip'), HELIA_GZIP) : '']
show('first visit, bytes', [
  ['', 'raw', 'gzip 9', 'brotli 11', 'gzip to helia'],
  ...PEER.map((name) => row(name, [name])),
  row('the peer together', PEER),
  row(`the home page (${home.length} files)`, home),
  row('first visit together', [...PEER, ...home]),
  ['helia 7.1.15 (published)', '', HELIA_GZIP, '', ''],
])
const gzip = add(PEER, 'gzip')
const brotli = add(PEER, 'brotli')
process.stdout.write(`the relay serves brotli where the browser takes it: ${megabytes(brotli)}\n`)
const targets = [target('script and wasm, brotli as served', brotli / 1000, BUDGET / 1000, 'KB'), target('script and wasm, gzip', gzip / 1000, BUDGET / 1000, 'KB')]
publish('size', { files: Object.fromEntries(PEER.map((name) => [name, sizes[name]])), peer: { gzip, brotli }, home: { gzip: add(home, 'gzip'), brotli: add(home, 'brotli') }, helia: { gzip: HELIA_GZIP }, targets })
