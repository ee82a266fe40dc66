// What a fresh machine lacks and a script may add by itself: the wasm target and the npm packages.
import { existsSync, readFileSync } from 'node:fs'
import { join } from 'node:path'
import { at, WASM_TARGET } from './paths.mjs'
import { ask, run } from './run.mjs'
import { PlainError, say } from './say.mjs'

const OLDEST_NODE = 20

/** Node and cargo are there and new enough; the wasm target is installed. */
export async function ensureRust() {
  const major = Number(process.versions.node.split('.')[0])
  if (major < OLDEST_NODE) {
    throw new PlainError(`This needs Node ${OLDEST_NODE} or newer; this is Node ${process.versions.node}. Install a newer one and try again.`)
  }
  const sysroot = ask('rustc', ['--print', 'sysroot'], { cwd: at(), timeout: 600_000 })
  if (!sysroot) {
    throw new PlainError('Rust is missing or its toolchain cannot be used. Install rustup (https://rustup.rs) and try again.')
  }
  if (existsSync(join(sysroot, 'lib', 'rustlib', WASM_TARGET))) return
  say('setup', `adding the Rust target ${WASM_TARGET}`)
  await run('rustup', ['target', 'add', WASM_TARGET], {
    cwd: at(),
    prefix: 'setup',
    fail: `The Rust target ${WASM_TARGET} could not be added. Run \`rustup target add ${WASM_TARGET}\` and try again.`,
  })
}

const readJson = (...parts) => JSON.parse(readFileSync(at(...parts), 'utf8'))

/** Are the installed packages those of the lockfile, and is the lockfile that of the manifests? */
function packagesFresh() {
  if (!existsSync(at('node_modules', '.package-lock.json'))) return false
  const lock = readJson('package-lock.json').packages
  const installed = readJson('node_modules', '.package-lock.json').packages
  for (const [path, entry] of Object.entries(lock)) {
    if (path.includes('node_modules/')) {
      if (entry.link) continue
      const found = installed[path]
      if (found ? found.version !== entry.version : !entry.optional && !entry.peer) return false
      continue
    }
    if (!existsSync(at(path, 'package.json'))) continue
    const manifest = readJson(path, 'package.json')
    for (const kind of ['dependencies', 'devDependencies']) {
      if (JSON.stringify(sorted(manifest[kind])) !== JSON.stringify(sorted(entry[kind]))) return false
    }
  }
  return true
}

const sorted = (object = {}) => Object.entries(object).sort(([a], [b]) => (a < b ? -1 : 1))

/** Installs the npm packages when they are not those of the lockfile. */
export async function ensurePackages() {
  if (packagesFresh()) return
  const clean = Boolean(process.env.CI) || !existsSync(at('node_modules'))
  say('setup', clean ? 'installing npm packages' : 'bringing npm packages up to date')
  const done = await run('npm', [clean ? 'ci' : 'install', '--no-audit', '--no-fund', '--loglevel=error'], {
    cwd: at(),
    allowFailure: true,
    shell: process.platform === 'win32',
  })
  if (done.code === 0) return
  throw new PlainError(
    /in sync/.test(done.output)
      ? 'package-lock.json does not fit the package.json files: run `npm install` and commit both.'
      : 'The npm packages could not be installed. Check the connection to the npm registry and try `npm ci`.',
    done.output.split('\n').slice(0, 15).join('\n'),
  )
}
