// The steps that make Kith from its sources. Each is skipped when its result is still good.
import { cpSync, existsSync, mkdirSync, readdirSync, readFileSync, renameSync, rmSync, statSync, writeFileSync } from 'node:fs'
import { join, relative } from 'node:path'
import { brotliCompressSync, constants, gzipSync } from 'node:zlib'
import { at, BINDGEN, DIST, EXE, have, ROOT, SCRATCH, WASM_TARGET } from './paths.mjs'
import { cargo, run } from './run.mjs'
import { PlainError, say, size } from './say.mjs'
import { digest, filesBelow, fresh, remember } from './stamp.mjs'

/** The cargo profile of the wasm: small and slow to build, or quick for trying things. */
const wasmProfile = (dev) => (dev ? 'wasm-dev' : 'wasm')

/** For the step that makes code of everything: nothing is copied into its callers that does not ask for it (note 0108). */
const SMALL = ['-C', 'llvm-args=--inline-threshold=0']

/** Does the classic worker want the `no-modules` glue? Said in sw-host/package.json: `"kith": {"noModules": true}`. */
const wantsNoModules = () =>
  have('sw-host', 'package.json') && JSON.parse(readFileSync(at('sw-host', 'package.json'), 'utf8')).kith?.noModules === true

/** Compiles the peer to wasm and writes its JavaScript glue into `BINDGEN` (`peer.js`, `peer_bg.wasm`). */
export async function buildWasm({ dev = false } = {}) {
  const profile = wasmProfile(dev)
  const args = ['rustc', '--locked', '--profile', profile, '--target', WASM_TARGET, '-p', 'kith-peer', '--lib', '--crate-type', 'cdylib']
  await cargo('wasm', dev ? args : [...args, '--', ...SMALL], {
    cwd: ROOT,
    fail: 'The peer did not compile to WebAssembly; what the compiler said is above.',
  })
  const wasm = at('target', WASM_TARGET, profile, 'kith_peer.wasm')
  await cargo('wasm', ['build', '--locked', '-p', 'kith-bindgen'], { cwd: ROOT, fail: 'The wasm-bindgen tool did not compile.' })
  const kinds = wantsNoModules() ? ['web', 'no-modules'] : ['web']
  const stamp = digest(wasm, at('Cargo.lock'), at('peer-wasm', 'bindgen', 'src'), { text: kinds.join() })
  const folder = { web: BINDGEN, 'no-modules': join(BINDGEN, 'no-modules') }
  if (fresh('bindgen', stamp, kinds.map((kind) => join(folder[kind], 'peer_bg.wasm')))) return
  rmSync(BINDGEN, { recursive: true, force: true })
  for (const kind of kinds) {
    mkdirSync(folder[kind], { recursive: true })
    await run(at('target', 'debug', `kith-bindgen${EXE}`), [wasm, folder[kind], 'peer', kind], {
      cwd: ROOT,
      fail: 'wasm-bindgen could not write the JavaScript glue.',
    })
  }
  remember('bindgen', stamp)
  say('wasm', `peer_bg.wasm ${size(statSync(join(BINDGEN, 'peer_bg.wasm')).size)}, glue ${size(statSync(join(BINDGEN, 'peer.js')).size)}`)
}

/** Bundles the worker, the page SDK and the demos into `DIST`. */
export async function buildWeb({ dev = false } = {}) {
  const parts = ['sw-host', 'demo-pwas'].filter((part) => have(part, 'build.mjs'))
  const stamp = digest(BINDGEN, at('package-lock.json'), ...['sw-host', 'demo-pwas'].map((part) => at(part)), { text: `dev ${dev}` })
  if (fresh('web', stamp, [DIST, join(DIST, 'sizes.json')])) return
  // Built aside and swapped in whole, so that a relay serving dist/ never shows half of it.
  const next = scratch(`dist-${process.pid}`)
  if (!have('sw-host', 'build.mjs') && existsSync(join(BINDGEN, 'peer.js'))) cpSync(BINDGEN, join(next, 'kith'), { recursive: true })
  for (const part of parts) {
    await run(process.execPath, [at(part, 'build.mjs')], {
      cwd: at(part),
      prefix: 'web',
      env: { ...process.env, KITH_DIST: next, KITH_BINDGEN: BINDGEN, KITH_DEV: dev ? '1' : '' },
      fail: `The web files of ${part} could not be built; what the bundler said is above.`,
    })
  }
  const sizes = measure(next, dev)
  writeFileSync(join(next, 'sizes.json'), `${JSON.stringify(sizes, null, 1)}\n`)
  rmSync(DIST, { recursive: true, force: true })
  renameSync(next, DIST)
  const total = Object.values(sizes).reduce((sum, file) => sum + file.brotli, 0)
  say('web', `${Object.keys(sizes).length} files in dist/, ${size(total)} compressed${dev ? ' (quick build: sizes are not those of a release)' : ''}`)
  remember('web', stamp)
}

/** Bytes of every file below a folder: as it is, gzip 9, brotli 11 (quick builds: brotli 5). */
export function measure(folder, quick = false) {
  const sizes = {}
  for (const file of filesBelow(folder)) {
    const bytes = readFileSync(file)
    const params = { [constants.BROTLI_PARAM_QUALITY]: quick ? 5 : 11, [constants.BROTLI_PARAM_SIZE_HINT]: bytes.length }
    sizes[relative(folder, file).replaceAll('\\', '/')] = {
      raw: bytes.length,
      gzip: gzipSync(bytes, { level: 9 }).length,
      brotli: brotliCompressSync(bytes, { params }).length,
    }
  }
  return sizes
}

/** Compiles the relay; returns the path of its binary. The release one has the web files inside, so build those first. */
export async function buildRelay({ release = true } = {}) {
  const args = ['build', '--locked', '-p', 'kith-relay', ...(release ? ['--release'] : [])]
  await cargo('relay', args, { cwd: ROOT, fail: 'The relay did not compile; what the compiler said is above.' })
  return relayBinary(release ? 'release' : 'debug')
}

/** Where cargo puts the relay's binary. */
export function relayBinary(profile) {
  const binary = at('target', profile, `kith-relay${EXE}`)
  if (!existsSync(binary)) throw new PlainError(`The relay's binary is not at ${relative(ROOT, binary)}: does relay-server still build a program called kith-relay?`)
  return binary
}

/** Leaves a folder for scratch files, empty. */
export function scratch(name) {
  const folder = join(SCRATCH, name)
  rmSync(folder, { recursive: true, force: true })
  mkdirSync(folder, { recursive: true })
  return folder
}

/** The entries of a project folder that match, as absolute paths, sorted; none if the folder is missing. */
export function listing(pattern, ...parts) {
  if (!have(...parts)) return []
  return readdirSync(at(...parts))
    .filter((name) => pattern.test(name))
    .sort()
    .map((name) => at(...parts, name))
}
