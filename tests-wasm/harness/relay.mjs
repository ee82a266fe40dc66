// A real relay process, as an operator would run it.
import { existsSync, statSync } from 'node:fs'
import { dirname, join, relative } from 'node:path'
import { fileURLToPath } from 'node:url'
import { startProcess, tempDir } from './processes.mjs'
import { hopeless, PATIENCE_MS, waitFor } from './wait.mjs'

export const ROOT = dirname(dirname(dirname(fileURLToPath(import.meta.url))))
/** The built web files. */
export const DIST = join(ROOT, 'dist')

/** The relay's binary: `KITH_RELAY_BIN`, or the newest one that cargo built. */
export function relayBinary() {
  if (process.env.KITH_RELAY_BIN) return process.env.KITH_RELAY_BIN
  const built = ['debug', 'release'].map((profile) => join(ROOT, 'target', profile, 'kith-relay')).filter(existsSync)
  if (built.length === 0) throw new Error('No relay was built yet: run `cargo build -p kith-relay`, or the whole `npm test`.')
  return built.sort((a, b) => statSync(b).mtimeMs - statSync(a).mtimeMs)[0]
}

/**
 * Starts a relay on a free port (or `port`) with its data in a temporary folder (or `dataDir`).
 *
 * @param {object} [options]
 * @param {string|false} [options.web] folder it serves; `dist/` by default, `false` for what is inside the binary
 * @param {string[]} [options.args] more flags
 * @param {Record<string, string>} [options.env]
 * @returns {Promise<Relay>} when it has said `ready`. `url` ends in `/`; `peerId` and `addrs` come from `/.well-known/kith.json`;
 *   `kill(signal)` resolves with `{code, signal}`; `restart()` brings it back on the same port with the same data.
 */
export async function startRelay({ web = DIST, args = [], env = {}, port = 0, dataDir = tempDir('kith-relay'), binary = relayBinary() } = {}) {
  if (web && !existsSync(web)) throw new Error(`${relative(ROOT, web)}/ is not built yet: run \`npm run build\`.`)
  const flags = ['--listen', `127.0.0.1:${port}`, '--data', dataDir, ...(web ? ['--web', web] : []), ...args]
  const running = startProcess(binary, flags, { name: 'relay', env, cwd: dataDir })
  const url = await waitFor(
    () => {
      if (!running.running) throw hopeless('the relay ended instead of getting ready')
      return running.lines.map((line) => /^ready (http\S+)/.exec(line)?.[1]).find(Boolean)
    },
    { what: 'the relay to say `ready`', every: 20 },
  ).catch(async (error) => {
    await running.kill()
    throw new Error(`${error.message}\n--- relay log\n${running.lines.slice(-40).join('\n')}`)
  })
  const about = await (await fetch(new URL('/.well-known/kith.json', url))).json()
  const relay = {
    url: url.endsWith('/') ? url : `${url}/`,
    port: Number(new URL(url).port),
    peerId: about.peerId,
    addrs: about.addrs,
    about,
    dataDir,
    pid: running.pid,
    process: running,
    /** What it printed so far, line by line. */
    get log() {
      return running.lines
    },
    kill: (signal = 'SIGTERM') => running.kill(signal),
    /** Stops it (SIGKILL unless told otherwise) and starts it again where it was. */
    async restart({ signal = 'SIGKILL', ...changes } = {}) {
      await running.kill(signal)
      return startRelay({ web, args, env, dataDir, binary, port: relay.port, ...changes })
    },
    /** The figures of `/metrics`, by name with labels: `{'kith_relay_circuits{…}': 3}`. */
    async metrics() {
      const text = await (await fetch(new URL('/metrics', relay.url), { signal: AbortSignal.timeout(PATIENCE_MS) })).text()
      const pairs = text.split('\n').filter((line) => line && !line.startsWith('#')).map((line) => /^(.*) (\S+)$/.exec(line))
      return Object.fromEntries(pairs.filter(Boolean).map(([, name, value]) => [name, Number(value)]))
    },
  }
  return relay
}
