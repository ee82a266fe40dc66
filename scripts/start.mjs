// `npm start [-- --listen 127.0.0.1:PORT --data DIR …]`: builds what is missing and runs the relay with the web app inside.
import { createInterface } from 'node:readline'
import { relative } from 'node:path'
import { ROOT } from './lib/paths.mjs'
import { onSignal, start } from './lib/run.mjs'
import { main, PlainError, say } from './lib/say.mjs'
import { ensurePackages, ensureRust } from './lib/setup.mjs'
import { buildRelay, buildWasm, buildWeb } from './lib/steps.mjs'

/** How long the relay may take to say it is ready. */
const READY_WITHIN_MS = 30_000
/** Ctrl-C under npm arrives twice, from the terminal and from npm: within this long it is one. */
const SAME_SIGNAL_MS = 700
/** After a second signal, or this long after the first, the relay is ended the hard way. */
const DRAIN_MS = 40_000

/** The relay's own flags; `--dev` is ours: a quick build for trying things. */
function ownArguments() {
  const dev = process.argv.includes('--dev')
  const args = process.argv.slice(2).filter((arg) => arg !== '--dev')
  const given = (flag) => args.some((arg) => arg === flag || arg.startsWith(`${flag}=`))
  if (!given('--data') && !given('--config') && !process.env.KITH_DATA) args.push('--data', 'data')
  return { dev, args, oneShot: ['--check', '--help', '-h', '--version', '-V'].some((flag) => args.includes(flag)) }
}

await main(async () => {
  const { dev, args, oneShot } = ownArguments()
  say('start', 'checking what has to be built; the first time takes about ten minutes on two cores, later seconds')
  await ensureRust()
  await ensurePackages()
  await buildWasm({ dev })
  await buildWeb({ dev })
  const binary = await buildRelay()
  say('start', `starting ${[relative(ROOT, binary), ...args].join(' ')}`)
  const relay = start(binary, args, { cwd: ROOT, stdio: ['ignore', 'pipe', 'inherit'] })

  let signals = 0
  let signalled = 0
  onSignal((signal) => {
    if (Date.now() - signalled < SAME_SIGNAL_MS) return
    signalled = Date.now()
    signals += 1
    if (signals > 1) return relay.kill('SIGKILL')
    say('start', `${signal}: asking the relay to finish (again: end it at once)`)
    relay.kill(signal === 'SIGHUP' ? 'SIGTERM' : signal)
    setTimeout(() => relay.kill('SIGKILL'), DRAIN_MS).unref()
  })

  const exited = new Promise((resolve, reject) => {
    relay.once('error', (error) => reject(new PlainError(`The relay could not be started: ${error.message}.`)))
    relay.once('exit', (code, signal) => resolve({ code, signal }))
  })
  const late = setTimeout(() => say('start', 'the relay has not said that it is ready yet; its log is above'), READY_WITHIN_MS)
  createInterface({ input: relay.stdout }).on('line', (line) => {
    process.stdout.write(`${line}\n`)
    const ready = /^ready (\S+)/.exec(line)
    if (!ready) return
    clearTimeout(late)
    process.stdout.write(
      `\nOpen ${ready[1]} in a browser: that page is a peer. Make an invite link there and open it in another\n` +
        'browser (or a private window) to see both share. Ctrl-C stops the relay; `npm start` again is quick.\n',
    )
  })
  const { code, signal } = await exited
  clearTimeout(late)
  if (signals > 0) return code ?? (signal === 'SIGINT' ? 130 : signal === 'SIGKILL' ? 137 : 143)
  if (oneShot) return code ?? 1
  if (code === 0) return 0
  throw new PlainError(`The relay ended by itself (${signal ? `signal ${signal}` : `code ${code}`}); its log above says why.`)
})
