// Builds the worker, the page script and their types into the folder the relay serves.
// KITH_DIST names that folder (default ../dist), KITH_BINDGEN the folder with the peer's glue and wasm (peer.js, peer_bg.wasm).
import { createHash } from 'node:crypto'
import { existsSync } from 'node:fs'
import { copyFile, mkdir, readFile, readdir, writeFile } from 'node:fs/promises'
import { dirname, join, resolve } from 'node:path'
import { fileURLToPath } from 'node:url'
import { build } from 'esbuild'
import { declarations } from './declarations.mjs'

const here = dirname(fileURLToPath(import.meta.url))
const at = (...parts) => join(here, ...parts)
const dist = resolve(process.env.KITH_DIST ?? at('..', 'dist'))
const bindgen = resolve(
  process.env.KITH_BINDGEN ?? [at('..', 'target', 'kith', 'bindgen'), at('..', 'target', 'bindgen', 'web')].find((folder) => existsSync(folder)) ?? at('..', 'target', 'kith', 'bindgen'),
)
const sha256 = (...parts) => parts.reduce((hash, part) => hash.update(part), createHash('sha256')).digest('hex')

const shared = {
  bundle: true,
  write: false,
  target: ['es2022', 'chrome105', 'firefox128', 'safari16.4'],
  minify: process.env.KITH_DEV !== '1',
  keepNames: false,
  legalComments: 'none',
  charset: 'utf8',
  logLevel: 'warning',
}

/** One bundled file as text. */
async function bundle(entry, options) {
  const { outputFiles } = await build({ ...shared, entryPoints: [at(entry)], ...options })
  return outputFiles[0].text
}

/** Every source file, so that the release name changes with any of them. */
async function sources() {
  const entries = await readdir(at('src'), { recursive: true, withFileTypes: true })
  const files = entries.filter((entry) => entry.isFile()).map((entry) => join(entry.parentPath ?? entry.path, entry.name))
  return Promise.all(files.sort().map((file) => readFile(file)))
}

/**
 * The wasm-bindgen glue as a factory. Its module keeps one wasm instance in module variables; a crashed instance must be
 * replaceable, so each call of the factory makes a scope of its own. Every export of the wasm is entered through a guard that
 * notices traps and refuses entry once the instance was dropped.
 */
async function glueFactory() {
  const glue = await readFile(join(bindgen, 'peer.js'), 'utf8')
  const assignment = 'wasm = instance.exports;'
  if (glue.split(assignment).length !== 2) {
    throw new Error(`peer.js does not contain "${assignment}" exactly once. wasm-bindgen changed its glue: adapt sw-host/build.mjs.`)
  }
  const { outputFiles } = await build({
    stdin: { contents: glue.replace(assignment, 'wasm = guarded(instance.exports);'), resolveDir: bindgen, loader: 'js' },
    bundle: true,
    write: false,
    format: 'cjs',
    target: shared.target,
    logLevel: 'error',
    define: { 'import.meta.url': 'undefined' },
  })
  return `export function createGlue(hooks) {
  const module = { exports: {} }
  const { WebSocket } = hooks
  const guarded = (exports) => {
    const guards = Object.create(null)
    for (const [name, value] of Object.entries(exports)) {
      guards[name] = typeof value !== 'function' ? value : name.endsWith('_free') ? (...args) => hooks.dead ? undefined : value(...args) : (...args) => {
        hooks.enter()
        try { return value(...args) } catch (error) { hooks.leave(error); throw error }
      }
    }
    return guards
  }
  ${outputFiles[0].text}
  return module.exports
}`
}

if (!existsSync(join(bindgen, 'peer_bg.wasm'))) {
  console.error(`sw-host: there is no peer in ${bindgen}. Build it first (npm run build does), or name its folder in KITH_BINDGEN.`)
  process.exit(1)
}

const { version } = JSON.parse(await readFile(at('package.json'), 'utf8'))
const wasm = await readFile(join(bindgen, 'peer_bg.wasm'))
const factory = await glueFactory()
const digest = sha256(wasm)
const release = `${version}-${sha256(digest, factory, ...(await sources())).slice(0, 12)}${process.env.KITH_RELEASE_SUFFIX ?? ''}`
const heartbeat = await bundle('src/shared/heartbeat-thread.ts', { format: 'iife' })
const define = { KITH_RELEASE: JSON.stringify(release) }
const worker = {
  define: {
    ...define,
    KITH_WASM_SHA256: JSON.stringify(digest),
    KITH_WASM_PATH: JSON.stringify('kith/peer_bg.wasm'),
    KITH_HEARTBEAT: JSON.stringify(heartbeat),
  },
  plugins: [
    {
      name: 'glue',
      setup(esbuild) {
        esbuild.onResolve({ filter: /^kith:glue$/ }, ({ path }) => ({ path, namespace: 'kith' }))
        esbuild.onLoad({ filter: /.*/, namespace: 'kith' }, () => ({ contents: factory, loader: 'js', resolveDir: bindgen }))
      },
    },
  ],
}

const files = {
  'kith.js': await bundle('src/page/index.ts', { format: 'esm', define }),
  'kith-worker.js': await bundle('src/worker/kith-worker.ts', { format: 'esm', ...worker }),
  'kith-worker-classic.js': await bundle('src/worker/kith-worker.ts', { format: 'iife', ...worker }),
  // Beside it for those who want them: editors on a text. CodeMirror itself is the author's.
  'kith-editors.js': await bundle('src/page/bindings/index.ts', { format: 'esm' }),
  'kith-codemirror.js': await bundle('src/page/bindings/codemirror.ts', { format: 'esm', external: ['@codemirror/*'] }),
  'kith.d.ts': await declarations(at('src')),
}
await mkdir(join(dist, 'kith'), { recursive: true })
for (const [name, text] of Object.entries(files)) await writeFile(join(dist, name), text)
await copyFile(join(bindgen, 'peer_bg.wasm'), join(dist, 'kith', 'peer_bg.wasm'))
const manifest = { release, files: { ...Object.fromEntries(Object.entries(files).map(([name, text]) => [name, sha256(text)])), 'kith/peer_bg.wasm': digest } }
await writeFile(join(dist, 'kith', 'manifest.json'), `${JSON.stringify(manifest, null, 1)}\n`)
console.log(`host: release ${release} in ${dist}`)
