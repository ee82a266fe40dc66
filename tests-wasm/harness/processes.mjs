// Everything a test starts is known here and ended with it, also after a failure or a crash of the test itself.
import { spawn } from 'node:child_process'
import { existsSync, mkdirSync, mkdtempSync, readdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'

/** One file per running process group, so that `npm test` can end what a killed suite left behind. */
const REGISTRY = process.env.KITH_PROCESSES ?? join(tmpdir(), 'kith-test-processes')
/** How many lines of a process's output are kept. */
const KEPT_LINES = 5000

const running = new Set()
const folders = new Set()
const closers = new Set()

/** When the process began, as the kernel counts it: with the id it names one process for ever. Empty where there is no /proc. */
function birth(pid) {
  try {
    const stat = readFileSync(`/proc/${pid}/stat`, 'utf8')
    return stat.slice(stat.lastIndexOf(')') + 2).split(' ')[19]
  } catch {
    return ''
  }
}

function killGroup(pid, signal = 'SIGKILL') {
  try {
    process.kill(-pid, signal)
  } catch {
    try {
      process.kill(pid, signal)
    } catch {
      // Already gone.
    }
  }
}

/**
 * Starts a program in a process group of its own.
 *
 * `lines` holds what it printed (both streams, oldest dropped); `onLine` sees each line as it comes.
 * `exited` resolves with `{code, signal}`; `kill(signal)` reaches the whole group and resolves when the program is gone.
 */
export function startProcess(command, args, { name = command, env, cwd, onLine, stdio } = {}) {
  const child = spawn(command, args, { cwd, env: { ...process.env, ...env }, detached: true, stdio: stdio ?? ['ignore', 'pipe', 'pipe'] })
  const lines = []
  const exited = new Promise((resolve) => {
    child.once('error', (error) => resolve({ code: 127, signal: null, error }))
    child.once('exit', (code, signal) => resolve({ code, signal }))
  })
  const handle = {
    name,
    child,
    pid: child.pid,
    lines,
    exited,
    running: child.pid !== undefined,
    async kill(signal = 'SIGKILL') {
      if (handle.running) killGroup(child.pid, signal)
      return exited
    },
  }
  const note = child.pid === undefined ? undefined : join(REGISTRY, `${child.pid}-${birth(child.pid)}`)
  if (note) {
    mkdirSync(REGISTRY, { recursive: true })
    writeFileSync(note, name)
    running.add(handle)
  }
  exited.then(() => {
    handle.running = false
    running.delete(handle)
    // What the program itself had started and left in its group goes with it.
    if (child.pid !== undefined) killGroup(child.pid)
    if (note) rmSync(note, { force: true })
  })
  for (const stream of [child.stdout, child.stderr]) {
    if (!stream) continue
    let rest = ''
    stream.setEncoding('utf8')
    stream.on('data', (text) => {
      const parts = (rest + text).split('\n')
      rest = parts.pop()
      for (const line of parts) {
        lines.push(line)
        if (lines.length > KEPT_LINES) lines.shift()
        if (process.env.KITH_LOG) process.stderr.write(`[${name}] ${line}\n`)
        onLine?.(line)
      }
    })
  }
  return handle
}

/** A folder that is removed when the test process ends. */
export function tempDir(prefix = 'kith') {
  const folder = mkdtempSync(join(tmpdir(), `${prefix}-`))
  folders.add(folder)
  return folder
}

/** Registers something to be closed with everything else (a server of the test's own, say). */
export const onCleanup = (close) => {
  closers.add(close)
  return () => closers.delete(close)
}

function removeFolders() {
  for (const folder of folders) {
    try {
      rmSync(folder, { recursive: true, force: true, maxRetries: 3 })
    } catch {
      // A dying browser may still write there; the system's own cleaning takes it.
    }
  }
  folders.clear()
}

/** Ends everything that was started and removes the temporary folders. */
export async function cleanup() {
  await Promise.allSettled([...closers].map((close) => close()))
  closers.clear()
  await Promise.allSettled([...running].map((handle) => handle.kill()))
  removeFolders()
}

process.on('exit', () => {
  for (const handle of running) killGroup(handle.pid)
  removeFolders()
})
for (const [signal, code] of [['SIGINT', 130], ['SIGTERM', 143], ['SIGHUP', 129]]) {
  process.on(signal, () => process.exit(code))
}

/** Ends what a test process left behind (it was killed before it could do so itself); returns the names. */
export function sweep(registry = REGISTRY) {
  if (!existsSync(registry)) return []
  const found = []
  for (const note of readdirSync(registry)) {
    const [pid, began] = note.split('-')
    const file = join(registry, note)
    if (began !== '' && birth(Number(pid)) === began) {
      found.push(readFileSync(file, 'utf8'))
      killGroup(Number(pid))
    }
    rmSync(file, { force: true })
  }
  return found
}

const alive = (pid) => {
  try {
    process.kill(pid, 0)
    return true
  } catch (error) {
    return error.code === 'EPERM'
  }
}

/** A registry for this test run alone, below a folder; those of runs that are no more are swept. */
export function ownRegistry(folder) {
  for (const run of existsSync(folder) ? readdirSync(folder) : []) {
    if (alive(Number(run))) continue
    sweep(join(folder, run))
    rmSync(join(folder, run), { recursive: true, force: true })
  }
  const own = join(folder, String(process.pid))
  mkdirSync(own, { recursive: true })
  return own
}
