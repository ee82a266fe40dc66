// Builds the store's test page and serves it.
import { spawn } from 'node:child_process'
import { mkdirSync } from 'node:fs'
import { dirname, join } from 'node:path'
import { fileURLToPath } from 'node:url'
import { readFile } from 'node:fs/promises'
import { startSite } from '../harness/index.mjs'

const HERE = dirname(fileURLToPath(import.meta.url))
const ROOT = dirname(dirname(HERE))
const GLUE = join(ROOT, 'target', 'kith', 'store-page')
const TARGET = 'wasm32-unknown-unknown'

function run(command, args) {
  return new Promise((resolve, reject) => {
    const child = spawn(command, args, { cwd: ROOT, stdio: ['ignore', 'inherit', 'inherit'] })
    child.once('error', reject)
    child.once('exit', (code) => (code === 0 ? resolve() : reject(new Error(`${command} ${args.join(' ')} ended with ${code}`))))
  })
}

let built
/** Compiles the page's wasm, as the product's is compiled, and writes its glue. */
export const buildStorePage = () =>
  (built ??= (async () => {
    await run('cargo', ['build', '-q', '--locked', '--profile', 'wasm', '--target', TARGET, '-p', 'kith-store-page'])
    await run('cargo', ['build', '-q', '--locked', '-p', 'kith-bindgen'])
    mkdirSync(GLUE, { recursive: true })
    const wasm = join(ROOT, 'target', TARGET, 'wasm', 'kith_store_page.wasm')
    await run(join(ROOT, 'target', 'debug', 'kith-bindgen'), [wasm, GLUE, 'store_page', 'web'])
  })())

/** Serves the page. The server has `url`, `reports` and `report(wanted)`; see the harness. */
export async function serveStorePage() {
  await buildStorePage()
  const files = {}
  for (const name of ['index.html', 'worker.js']) files[`/${name}`] = await readFile(join(HERE, name))
  return startSite({ files, dir: GLUE })
}

/** Opens the page in a browser and waits until its worker answers. */
export async function openStorePage(browser, site) {
  const page = await browser.newPage(site.url)
  await page.waitFor(() => globalThis.ready, { what: 'the worker' })
  page.evaluateTimeout = 120_000
  /** Calls a function of the worker. */
  page.call = (name, ...args) => page.evaluate((name, args) => globalThis.call(name, ...args), name, args)
  return page
}
