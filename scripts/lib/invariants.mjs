// The starred invariants of the architecture, read off the sources and the build. Each gives a list of what breaks it.
import { existsSync, readFileSync } from 'node:fs'
import { join, relative } from 'node:path'
import { at, BINDGEN, ROOT, WASM_TARGET } from './paths.mjs'
import { ask } from './run.mjs'
import { filesBelow } from './stamp.mjs'

const named = (file, line, what) => `${relative(ROOT, file)}:${line}: ${what}`
const sources = (pattern, ...parts) => filesBelow(at(...parts)).filter((file) => pattern.test(file))

/** Comments out, line numbers kept. */
const code = (file) =>
  readFileSync(file, 'utf8')
    .replace(/\/\*[\s\S]*?\*\//g, (comment) => comment.replace(/[^\n]/g, ' '))
    .split('\n')
    .map((line) => line.replace(/(^|\s)\/\/.*$/, '$1'))

/** Crates a sans-IO core has no business with: runtimes, networks, JavaScript, clocks, random sources; and diamond-types, which tests compare the merging with. */
const NOT_IN_CORE =
  /^(tokio|async-std|smol|async-executor|futures-executor|futures-timer|libp2p|wasm-bindgen|js-sys|web-sys|web-time|gloo|rexie|idb|redb|getrandom|rand|instant|chrono|time|mio|socket2|reqwest|hyper|diamond-types|jumprope)(-|$)/

/** `kith-core` and `kith-text` depend on no async runtime, libp2p, wasm-bindgen or JavaScript crate. */
function coreDependencies() {
  const wrong = new Set()
  for (const target of [WASM_TARGET, undefined]) {
    const args = ['tree', '--locked', '-p', 'kith-core', '-p', 'kith-text', '-e', 'normal', '--all-features', '--prefix', 'none', '--format', '{p}']
    const text = ask('cargo', [...args, ...(target ? ['--target', target] : [])], { cwd: ROOT })
    if (text === undefined) return ['`cargo tree -p kith-core -p kith-text` failed']
    for (const line of text.split('\n')) {
      const [name] = line.split(' ')
      // The trait crates of `rand` carry no source of randomness.
      if (name.startsWith('rand_core')) continue
      if (NOT_IN_CORE.test(name)) wrong.add(`kith-core or kith-text depends on ${name}`)
    }
  }
  return [...wrong]
}

const IMPURE = [
  [/\b(Instant|SystemTime)\b/, 'reads a clock: time comes in as a value'],
  [/\b(OsRng|ThreadRng|StdRng|thread_rng|getrandom|from_os_rng|from_entropy)\b/, 'draws random bytes: entropy comes in as a value'],
  [/\brand::/, 'draws random bytes: entropy comes in as a value'],
  [/\bstd::(net|fs|thread|process|env)\b/, 'reaches outside: the core does no input or output'],
  [/\basync\s+(fn|move|\{)|\.await\b/, 'is async: the core is stepped from outside'],
]

/** What in a Rust file would make the core more than a function of its inputs. */
export function impure(file) {
  return code(file).flatMap((line, index) => IMPURE.filter(([pattern]) => pattern.test(line)).map(([, what]) => named(file, index + 1, `the core ${what}`)))
}

/** `kith-core` and `kith-text` call no clock and no random source, and do no input or output. */
const corePurity = () => ['core', 'text'].flatMap((crate) => sources(/\.rs$/, 'peer-wasm', crate, 'src')).flatMap(impure)

/** A Rust file's methods that are exported to JavaScript: how many, and which do not take `&self`. */
export function exportsOf(file) {
  const lines = code(file)
  const wrong = []
  let exported = 0
  // Where we are: `marked` after the attribute, `inside` the braces of an exported impl.
  let marked = false
  let inside = false
  let depth = 0
  for (const [index, line] of lines.entries()) {
    if (!inside) {
      if (/#\[wasm_bindgen\b/.test(line)) marked = true
      else if (marked && /\bimpl\b/.test(line)) inside = true
      else if (/\b(fn|struct|enum|extern|mod)\b/.test(line)) marked = false
      if (!inside) continue
    }
    depth += count(line, '{') - count(line, '}')
    if (/\bpub (async )?fn\b/.test(line)) {
      exported += 1
      const receiver = /fn\s+\w+(?:<[^>]*>)?\s*\(\s*([^,)]*)/.exec(`${line} ${lines[index + 1] ?? ''}`)?.[1]?.trim() ?? ''
      if (/\bself\b/.test(receiver) && !/^&(?:'\w+ )?self$/.test(receiver)) wrong.push(named(file, index + 1, `an export takes \`${receiver}\`, not \`&self\``))
    }
    if (depth === 0 && line.includes('}')) {
      inside = false
      marked = false
    }
  }
  return { exported, wrong }
}

/** Methods exported to JavaScript take `&self`: `&mut self` panics when a call comes in while another awaits. */
function exportsTakeShared() {
  const found = ['src', 'net/src', 'store/src'].flatMap((folder) => sources(/\.rs$/, 'peer-wasm', folder)).map(exportsOf)
  const exported = found.reduce((sum, one) => sum + one.exported, 0)
  if (exported === 0) return ['peer-wasm: no exported method was found: has the layout changed? Then change this check too']
  return found.flatMap(({ wrong }) => wrong)
}

const count = (text, character) => text.split(character).length - 1

/** The wasm imports from its own glue only: a stray `env` import means that a crate expects a system that is not there. */
function wasmImports() {
  const file = join(BINDGEN, 'peer_bg.wasm')
  if (!existsSync(file)) return ['the wasm is not built']
  const modules = new Set(WebAssembly.Module.imports(new WebAssembly.Module(readFileSync(file))).map(({ module }) => module))
  return [...modules].filter((module) => module !== './peer_bg.js' && module !== 'wbg').map((module) => `the wasm imports from \`${module}\``)
}

/** Messages that a TypeScript file makes or picks apart by hand. */
export function handMade(file) {
  const rules = [
    [/\bpostMessage\(\s*[{[]/, 'posts a message made by hand; make it in sw-host/src/shared'],
    [/\bevent\.data\??\.\w+/, 'picks a message apart by hand; read it in sw-host/src/shared'],
  ]
  return code(file).flatMap((line, index) => rules.filter(([pattern]) => pattern.test(line)).map(([, what]) => named(file, index + 1, what)))
}

/** Messages between page and worker are made and read in sw-host/src/shared: elsewhere nothing is posted or picked apart by hand. */
const messagesInOnePlace = () =>
  sources(/\.ts$/, 'sw-host', 'src')
    .filter((file) => !relative(at('sw-host', 'src'), file).startsWith('shared'))
    .flatMap(handMade)

/** All of them, by what they say. */
export const INVARIANTS = {
  'kith-core and kith-text need no runtime, network, JavaScript, clock or random crate, and no other merge engine': coreDependencies,
  'kith-core and kith-text call no clock, no random source, and do no input or output': corePurity,
  'methods exported to JavaScript take &self': exportsTakeShared,
  'the wasm imports from its own glue only': wasmImports,
  'messages between page and worker are made and read in one place': messagesInOnePlace,
}
