// Runs other programs: their output as prefixed progress lines, their failure as a plain sentence, and none of them left behind.
import { spawn, spawnSync } from 'node:child_process'
import { createInterface } from 'node:readline'
import { PlainError, say } from './say.mjs'

/** A quiet program still shows a sign of life this often, in milliseconds. */
const HEARTBEAT_MS = 10_000
/** How much of a program's output is kept to show if it fails. */
const KEPT_LINES = 400

const children = new Set()

function signalGroup(child, signal) {
  try {
    process.kill(-child.pid, signal)
  } catch {
    try {
      child.kill(signal)
    } catch {
      // Already gone.
    }
  }
}

/** Ends everything this script started. Synchronous, so that it also works while exiting. */
export function killChildren(signal = 'SIGKILL') {
  for (const child of children) signalGroup(child, signal)
}

process.on('exit', () => killChildren())
let stopping = false
for (const [signal, code] of [['SIGINT', 130], ['SIGTERM', 143], ['SIGHUP', 129]]) {
  process.on(signal, () => {
    if (signalHandler) return signalHandler(signal)
    if (stopping) process.exit(code)
    stopping = true
    killChildren('SIGTERM')
    setTimeout(() => process.exit(code), 1500)
  })
}
let signalHandler = null
/** Lets a script decide itself what a signal does (used by `npm start`, which hands it to the relay). */
export const onSignal = (handler) => {
  signalHandler = handler
}

/** Starts a program in its own process group, so that it can be ended with everything it started. */
export function start(command, args, options = {}) {
  const child = spawn(command, args, { stdio: ['ignore', 'pipe', 'pipe'], detached: process.platform !== 'win32', ...options })
  children.add(child)
  child.once('exit', () => children.delete(child))
  child.once('error', () => children.delete(child))
  return child
}

/**
 * Runs a program to its end.
 *
 * @param {string} command
 * @param {string[]} args
 * @param {object} [options]
 * @param {string} [options.prefix] shown before its lines; without it nothing is shown unless it fails
 * @param {(line: string) => string|undefined} [options.show] what to show of a line; nothing shows everything
 * @param {(line: string) => void} [options.onLine] sees every line of standard output and standard error
 * @param {number} [options.timeoutMs] ends it after this long
 * @param {string} [options.fail] the plain sentence if it fails
 * @param {boolean} [options.allowFailure] do not throw: the caller looks at `code`
 * @returns {Promise<{code: number, output: string, timedOut: boolean, ms: number}>}
 */
export async function run(command, args, options = {}) {
  const { prefix, show, onLine, timeoutMs, fail, allowFailure = false, ...spawnOptions } = options
  const began = Date.now()
  const child = start(command, args, spawnOptions)
  const kept = []
  let lines = 0
  let last = ''
  let shownAt = Date.now()
  const take = (line) => {
    lines += 1
    if (line.trim()) last = line.trim()
    kept.push(line)
    if (kept.length > KEPT_LINES) kept.shift()
    onLine?.(line)
    if (!prefix) return
    const shown = show ? show(line) : line
    if (shown === undefined) return
    shownAt = Date.now()
    say(prefix, shown)
  }
  const heartbeat = setInterval(() => {
    if (!prefix || Date.now() - shownAt < HEARTBEAT_MS) return
    shownAt = Date.now()
    say(prefix, `… still at it (${Math.round((Date.now() - began) / 1000)} s${last ? `; last: ${last.slice(0, 90)}` : ''})`)
  }, 1000)
  let timedOut = false
  const timer =
    timeoutMs === undefined
      ? undefined
      : setTimeout(() => {
          timedOut = true
          signalGroup(child, 'SIGTERM')
          setTimeout(() => signalGroup(child, 'SIGKILL'), 3000).unref()
        }, timeoutMs)
  for (const stream of [child.stdout, child.stderr]) {
    if (stream) createInterface({ input: stream, crlfDelay: Infinity }).on('line', take)
  }
  const result = await new Promise((resolve) => {
    child.once('error', (error) => resolve({ code: 127, why: error.message }))
    // 'close' waits for the pipes; a grandchild may keep them open after a kill, hence the second way out.
    child.once('close', (code, signal) => resolve({ code: code ?? 128, signal }))
    child.once('exit', (code, signal) => setTimeout(() => resolve({ code: code ?? 128, signal }), 5000).unref())
  })
  clearInterval(heartbeat)
  clearTimeout(timer)
  const output = kept.join('\n')
  if (result.code !== 0 && !allowFailure) {
    const how = result.why
      ? `could not be started (${result.why})`
      : timedOut
        ? `did not finish within ${Math.round(timeoutMs / 1000)} s`
        : `ended with ${result.signal ? `signal ${result.signal}` : `code ${result.code}`}`
    throw new PlainError(fail ?? `\`${[command, ...args].join(' ')}\` ${how}.`, prefix ? '' : output)
  }
  return { code: result.code, output, timedOut, ms: Date.now() - began, lines }
}

/** Runs a short program and returns what it printed, or undefined if it failed or does not exist. */
export function ask(command, args, options = {}) {
  const done = spawnSync(command, args, { encoding: 'utf8', stdio: ['ignore', 'pipe', 'pipe'], timeout: 60_000, ...options })
  return done.status === 0 ? done.stdout.trim() : undefined
}

/** Runs cargo; its `Compiling` lines become one line per few seconds. */
export async function cargo(prefix, args, options = {}) {
  const state = { crates: 0, at: 0 }
  const show = (line) => {
    const crate = /^\s+(?:Compiling|Checking|Documenting|Downloaded) (\S+ v\S+)/.exec(line)
    if (crate) {
      state.crates += 1
      if (Date.now() - state.at < 5000) return undefined
      state.at = Date.now()
      return `${state.crates} crates so far, now ${crate[1]}`
    }
    if (/^\s+(?:Fresh|Downloading|Updating|Locking|Blocking|Finished|Running|Dirty)/.test(line)) {
      return /Finished|Blocking/.test(line) ? line.trim() : undefined
    }
    return line
  }
  return run('cargo', args, { prefix, show, ...options })
}
