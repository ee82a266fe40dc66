// Builds the network's test page and serves it.
import { mkdirSync } from 'node:fs'
import { readFile } from 'node:fs/promises'
import { spawn } from 'node:child_process'
import { createPrivateKey, createPublicKey } from 'node:crypto'
import { dirname, join } from 'node:path'
import { fileURLToPath } from 'node:url'
import { build } from 'esbuild'
import { startSite } from '../harness/index.mjs'

const HERE = dirname(fileURLToPath(import.meta.url))
const ROOT = dirname(dirname(HERE))
const OUT = join(ROOT, 'target', 'kith', 'net-page')
const TARGET = 'wasm32-unknown-unknown'
/** Built quickly: what is measured here is what works. */
const PROFILE = 'wasm-dev'

function run(command, args) {
  return new Promise((resolve, reject) => {
    const child = spawn(command, args, { cwd: ROOT, stdio: ['ignore', 'inherit', 'inherit'] })
    child.once('error', reject)
    child.once('exit', (code) => (code === 0 ? resolve() : reject(new Error(`${command} ${args.join(' ')} ended with ${code}`))))
  })
}

let built
/** Compiles the wasm and bundles the page's carrier. */
export const buildNetPage = () =>
  (built ??= (async () => {
    await run('cargo', ['build', '-q', '--locked', '--profile', PROFILE, '--target', TARGET, '-p', 'kith-net-page'])
    await run('cargo', ['build', '-q', '--locked', '-p', 'kith-bindgen'])
    mkdirSync(OUT, { recursive: true })
    await run(join(ROOT, 'target', 'debug', 'kith-bindgen'), [join(ROOT, 'target', TARGET, PROFILE, 'kith_net_page.wasm'), OUT, 'net_page', 'web'])
    await build({ entryPoints: [join(ROOT, 'sw-host/src/page/carrier.ts')], bundle: true, format: 'esm', outfile: join(OUT, 'carrier.js'), logLevel: 'error' })
  })())

/** Serves the page. */
export async function serveNetPage(extra = {}) {
  await buildNetPage()
  const files = { ...extra }
  for (const name of ['index.html', 'worker.js']) files[`/${name}`] = await readFile(join(HERE, name))
  return startSite({ files, dir: OUT })
}

/** The public key of the seed that is 32 times this byte. */
export function publicKey(seed) {
  const der = Buffer.concat([Buffer.from('302e020100300506032b657004220420', 'hex'), Buffer.alloc(32, seed)])
  const key = createPublicKey(createPrivateKey({ key: der, format: 'der', type: 'pkcs8' }))
  return [...key.export({ format: 'der', type: 'spki' }).subarray(-32)]
}

/** Opens the page in a browser and starts a peer in its worker. */
export async function openPeer(browser, site, seed, relays, { carry = true } = {}) {
  const page = await browser.newPage(site.url)
  await page.waitFor(() => globalThis.ready, { what: 'the worker' })
  const peer = {
    page,
    key: publicKey(seed),
    call: (name, ...args) => page.evaluate((name, args) => globalThis.call(name, ...args), name, args),
    carry: () => page.evaluate(() => globalThis.carry()),
    /** Starts the network in the worker, a new one too. */
    async start() {
      await peer.call('start', seed, relays, peer.key)
      if (carry) await peer.carry()
      await peer.until(({ relay }) => relays.length === 0 || relay === 'reserved', 'a reservation')
    },
    /** Goes on in another tab of the same browser. */
    moveTo(other) {
      peer.page = other
      peer.call = (name, ...args) => other.evaluate((name, args) => globalThis.call(name, ...args), name, args)
      peer.carry = () => other.evaluate(() => globalThis.carry())
    },
    state: () => peer.call('state'),
    /** Waits until what the peer says of itself is as wanted. */
    async until(wanted, what, timeout = 30_000) {
      const end = Date.now() + timeout
      for (;;) {
        const state = await peer.state()
        if (wanted(state)) return state
        if (Date.now() > end) throw new Error(`waited in vain for ${what}: ${JSON.stringify(await peer.call('log'), null, 1)}`)
        await new Promise((resolve) => setTimeout(resolve, 50))
      }
    },
    path: (path, timeout) => peer.until(({ links }) => links.length === 1 && links[0].path === path, `a ${path} link`, timeout),
  }
  await peer.start()
  return peer
}
