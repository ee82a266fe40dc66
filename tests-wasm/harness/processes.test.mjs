import assert from 'node:assert/strict'
import { existsSync } from 'node:fs'
import { fileURLToPath } from 'node:url'
import { test } from 'node:test'
import { startProcess, sweep, tempDir } from './processes.mjs'
import { waitFor } from './wait.mjs'

const MODULE = fileURLToPath(new URL('./processes.mjs', import.meta.url))
const alive = (pid) => {
  try {
    process.kill(pid, 0)
    return true
  } catch {
    return false
  }
}

/** A test process that starts a shell with a child of its own, makes a folder, says so, and then does `then`. */
async function startOther(then, registry = tempDir()) {
  const script = `
    import { startProcess, tempDir } from ${JSON.stringify(MODULE)}
    const shell = startProcess('sh', ['-c', 'sleep 1000 & echo child $!; wait'], { onLine: (line) => {
      console.log(shell.pid, line.split(' ')[1], tempDir('kith-self'))
      ${then}
    } })
    setTimeout(() => {}, 1e6)`
  const other = startProcess(process.execPath, ['--input-type=module', '-e', script], { name: 'another test', env: { KITH_PROCESSES: registry } })
  const line = await waitFor(() => other.lines.find((text) => /^\d+ \d+ /.test(text)), 'the other test process to be ready')
  const [shell, child, folder] = line.split(' ')
  return { other, registry, pids: [Number(shell), Number(child)], folder }
}
const gone = (pids) => waitFor(() => !pids.some(alive), 'the processes to be gone')

test('a program is ended with everything it started', async () => {
  const shell = startProcess('sh', ['-c', 'sleep 1000 & echo $!; wait'])
  const child = Number(await waitFor(() => shell.lines[0], 'the child'))
  assert.deepEqual([alive(shell.pid), alive(child)], [true, true])
  assert.equal((await shell.kill()).signal, 'SIGKILL')
  await gone([shell.pid, child])
})

for (const [how, then] of [
  ['ends', 'process.exit(0)'],
  ['fails', "throw new Error('oh')"],
  ['is told to stop', "process.kill(process.pid, 'SIGTERM')"],
]) {
  test(`a test process that ${how} leaves nothing behind`, async () => {
    const { other, pids, folder } = await startOther(then)
    await other.exited
    await gone(pids)
    assert.equal(existsSync(folder), false)
  })
}

test('what a killed test process left behind is swept', async () => {
  const { other, registry, pids } = await startOther("process.kill(process.pid, 'SIGKILL')")
  assert.equal((await other.exited).signal, 'SIGKILL')
  assert.ok(alive(pids[0]), 'it was left behind')
  assert.deepEqual(sweep(registry), ['sh'])
  await gone(pids)
  assert.deepEqual(sweep(registry), [])
})

test('a program that cannot be started says so', async () => {
  const { code, error } = await startProcess('/does/not/exist', []).exited
  assert.equal(code, 127)
  assert.match(error.message, /ENOENT/)
})
