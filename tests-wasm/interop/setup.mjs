// Installs js-libp2p for these tests alone and bundles its page.
import { dirname, join } from 'node:path'
import { fileURLToPath } from 'node:url'
import { build } from 'esbuild'
import { ROOT } from '../harness/index.mjs'
import { installPackages } from '../harness/packages.mjs'

const HERE = dirname(fileURLToPath(import.meta.url))
const OUT = join(ROOT, 'target', 'kith', 'interop')

/** Installs what the lockfile says unless it is there. */
export const installJsLibp2p = () => installPackages(HERE, 'js-libp2p')

/** The folder with the bundled page script `page.js`. */
export async function bundleJsPage() {
  await build({ entryPoints: [join(HERE, 'page.js')], bundle: true, format: 'esm', platform: 'browser', outdir: OUT, logLevel: 'error', define: { global: 'globalThis' } })
  return OUT
}
