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

/** Crates a sans-IO core has no business with: runtimes, networks, JavaScript, clocks, random sources. */
const NOT_IN_CORE =
  /^(tokio|async-std|smol|async-executor|futures-executor|futures-timer|libp2p|wasm-bindgen|js-sys|web-sys|web-time|gloo|rexie|idb|redb|getrandom|rand|instant|chrono|time|mio|socket2|reqwest|hyper)(-|$)/

/** `kith-core` depends on no async runtime, libp2p, wasm-bindgen or JavaScript crate. */
export function coreDependencies() {
  const wrong = new Set()
  for (const target of [WASM_TARGET, undefined]) {
    const text = ask(
      'cargo',
      ['tree', '--locked', '-p', 'kith-core', '-e', 'normal', '--all-features', '--prefix', 'none', '--format', '{p}', ...(target ? ['--target', target] : [])],
      { cwd: ROOT },
    )
    if (text === undefined) return ['`cargo tree -p kith-core` failed']
    for (const line of text.split('\n')) {
      const [name] = line.split(' ')
      // The trait crates of `rand` carry no source of randomness.
      if (NOT_IN_CORE.test(name) && !name.startsWith('rand_core')) wrong.add(`kith-core depends on ${name}`)
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

/** `kith-core` calls no clock and no random source, and does no input or output. */
export function corePurity() {
  const wrong = []
  for (const file of sources(/\.rs$/, 'peer-wasm', 'core', 'src')) {
    for (const [index, line] of code(file).entries()) {
      for (const [pattern, what] of IMPURE) if (pattern.test(line)) wrong.push(named(file, index + 1, `the core ${what}`))
    }
  }
  return wrong
}

/** Methods exported to JavaScript take `&self`: `&mut self` panics when a call comes in while another awaits. */
export function exportsTakeShared() {
  const wrong = []
  let exported = 0
  for (const file of [...sources(/\.rs$/, 'peer-wasm', 'src'), ...sources(/\.rs$/, 'peer-wasm', 'net', 'src'), ...sources(/\.rs$/, 'peer-wasm', 'store', 'src')]) {
    const lines = code(file)
    let waiting = false
    let depth = 0
    for (const [index, line] of lines.entries()) {
      if (depth === 0 && /#\[wasm_bindgen\b/.test(line)) waiting = true
      if (waiting && depth === 0 && /\b(fn|struct|enum|extern)\b/.test(line) && !/\bimpl\b/.test(line)) waiting = false
      if (waiting && depth === 0 && /\bimpl\b/.test(line)) depth = 0.5
      if (depth > 0) {
        depth = Math.floor(depth) + count(line, '{') - count(line, '}') || (depth === 0.5 && !line.includes('{') ? 0.5 : 0)
        if (depth === 0) waiting = false
        if (/\bpub (async )?fn\b/.test(line)) {
          exported += 1
          const receiver = /fn\s+\w+(?:<[^>]*>)?\s*\(\s*([^,)]*)/.exec(`${line} ${lines[index + 1] ?? ''}`)?.[1] ?? ''
          if (/\bself\b/.test(receiver) && !/^&(?:'\w+ )?self$/.test(receiver.trim())) wrong.push(named(file, index + 1, `an export takes \`${receiver.trim()}\`, not \`&self\``))
        }
      }
    }
  }
  if (exported === 0 && existsSync(at('peer-wasm', 'src', 'export.rs'))) wrong.push('peer-wasm/src: no exported method was found: has the layout changed? Then change this check too')
  return wrong
}

const count = (text, character) => text.split(character).length - 1

/** The wasm imports from its own glue only: a stray `env` import means that a crate expects a system that is not there. */
export function wasmImports() {
  const file = join(BINDGEN, 'peer_bg.wasm')
  if (!existsSync(file)) return ['the wasm is not built']
  const modules = new Set(WebAssembly.Module.imports(new WebAssembly.Module(readFileSync(file))).map(({ module }) => module))
  return [...modules].filter((module) => module !== './peer_bg.js' && module !== 'wbg').map((module) => `the wasm imports from \`${module}\``)
}

/** Messages between page and worker are made and read in sw-host/src/shared: elsewhere nothing is posted or picked apart by hand. */
export function messagesInOnePlace() {
  const wrong = []
  for (const file of sources(/\.ts$/, 'sw-host', 'src')) {
    if (relative(at('sw-host', 'src'), file).startsWith('shared')) continue
    for (const [index, line] of code(file).entries()) {
      if (/\bpostMessage\(\s*[{[]/.test(line)) wrong.push(named(file, index + 1, 'posts a message made by hand; make it in sw-host/src/shared'))
      if (/\bevent\.data\??\.\w+/.test(line)) wrong.push(named(file, index + 1, 'picks a message apart by hand; read it in sw-host/src/shared'))
    }
  }
  return wrong
}
