// The libraries that only some benchmarks compare with, and our text engine as wasm beside them.
import { spawn } from 'node:child_process'
import { mkdirSync } from 'node:fs'
import { dirname, join } from 'node:path'
import { fileURLToPath } from 'node:url'
import { ROOT } from '../../harness/index.mjs'
import { installPackages } from '../../harness/packages.mjs'
import { bundle } from '../baseline/pages.mjs'

const RIVALS = join(dirname(dirname(fileURLToPath(import.meta.url))), 'rivals')
const GLUE = join(ROOT, 'target', 'kith', 'text-page')
const TARGET = 'wasm32-unknown-unknown'

/** Runs a program to its end; gives what it printed. */
export const run = (command, args) =>
  new Promise((resolve, reject) => {
    const child = spawn(command, args, { cwd: ROOT, stdio: ['ignore', 'pipe', 'inherit'] })
    let out = ''
    child.stdout.on('data', (part) => (out += part))
    child.once('error', reject)
    child.once('close', (code) => (code === 0 ? resolve(out) : reject(new Error(`${command} ${args.join(' ')} ended with ${code}`))))
  })

const install = () => installPackages(RIVALS, 'what benchmarks compare with')

/** A script of `rivals/`, bundled. */
export async function bundleRival(script) {
  await install()
  return bundle(join(RIVALS, script))
}

/** The text engines, bundled; ours compiled as the product's is. */
export async function bundleEngines() {
  await install()
  await run('cargo', ['build', '-q', '--locked', '--profile', 'wasm', '--target', TARGET, '-p', 'kith-text-page'])
  await run('cargo', ['build', '-q', '--locked', '-p', 'kith-bindgen'])
  mkdirSync(GLUE, { recursive: true })
  await run(join(ROOT, 'target', 'debug', 'kith-bindgen'), [join(ROOT, 'target', TARGET, 'wasm', 'kith_text_page.wasm'), GLUE, 'text_page', 'web'])
  return bundle(join(RIVALS, 'texts-run.mjs'), { 'kith-text-page': join(GLUE, 'text_page.js'), 'kith-text-page/wasm': join(GLUE, 'text_page_bg.wasm') })
}
