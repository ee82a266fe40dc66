// Installs js-libp2p for these tests alone and bundles its page.
import { spawn } from 'node:child_process'
import { existsSync, readFileSync } from 'node:fs'
import { dirname, join } from 'node:path'
import { fileURLToPath } from 'node:url'
import { build } from 'esbuild'
import { ROOT } from '../harness/index.mjs'

const HERE = dirname(fileURLToPath(import.meta.url))
const OUT = join(ROOT, 'target', 'kith', 'interop')

/** Installs what the lockfile says unless it is there. */
export async function installJsLibp2p() {
  const wanted = JSON.parse(readFileSync(join(HERE, 'package.json'), 'utf8')).dependencies
  const has = ([name, version]) => {
    const file = join(HERE, 'node_modules', name, 'package.json')
    return existsSync(file) && JSON.parse(readFileSync(file, 'utf8')).version === version
  }
  if (Object.entries(wanted).every(has)) return
  await new Promise((resolve, reject) => {
    const child = spawn('npm', ['ci', '--loglevel=error'], { cwd: HERE, stdio: ['ignore', 'inherit', 'inherit'] })
    child.once('error', reject)
    child.once('exit', (code) => (code === 0 ? resolve() : reject(new Error('js-libp2p could not be installed from the npm registry'))))
  })
}

/** The folder with the bundled page script `page.js`. */
export async function bundleJsPage() {
  await build({ entryPoints: [join(HERE, 'page.js')], bundle: true, format: 'esm', platform: 'browser', outdir: OUT, logLevel: 'error', define: { global: 'globalThis' } })
  return OUT
}
