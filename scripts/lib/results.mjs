// Reads what test runners print.

const plain = (text) => text.replace(/\u001b\[[0-9;]*m/g, '')

/** Cargo's `test result:` lines, summed, with the names of failed tests. */
export function readCargo(lines) {
  const total = { passed: 0, failed: 0, skipped: 0, failures: [] }
  let binary = ''
  for (const raw of lines) {
    const line = plain(raw)
    const running = /^\s+(?:Running (?:unittests |tests\/)?(.+?) \(|Doc-tests (\S+))/.exec(line)
    if (running) binary = running[1] ?? `${running[2]} (documentation)`
    const result = /^test result: \S+ (\d+) passed; (\d+) failed; (\d+) ignored/.exec(line)
    if (result) {
      total.passed += Number(result[1])
      total.failed += Number(result[2])
      total.skipped += Number(result[3])
    }
    const failed = /^test (.+) \.\.\. FAILED/.exec(line)
    if (failed) total.failures.push({ name: `${binary}: ${failed[1]}`, error: '' })
  }
  return total
}

/**
 * Node's test runner: TAP for the names and errors, its summary for the counts. A run that was cut off has no summary;
 * then what it reported until then counts.
 */
export function readNode(text) {
  const lines = plain(text).split('\n')
  const total = { passed: 0, failed: 0, skipped: 0, failures: [], complete: false }
  const seen = { ok: 0, notOk: 0 }
  for (const [index, line] of lines.entries()) {
    const count = /^(?:#|ℹ) (pass|fail|cancelled|skipped|todo) (\d+)$/.exec(line)
    if (count) {
      total.complete = true
      const kind = { pass: 'passed', fail: 'failed', cancelled: 'failed', skipped: 'skipped', todo: 'skipped' }[count[1]]
      total[kind] += Number(count[2])
    }
    const point = /^(\s*)(not ok|ok) \d+ - (.*?)(?: # (SKIP|TODO).*)?$/.exec(line)
    if (!point || point[4]) continue
    const block = lines.slice(index + 1, index + 60)
    const end = block.findIndex((other) => other.trim() === '...')
    const detail = block.slice(0, end === -1 ? block.length : end)
    const suite = detail.some((other) => other.trim() === "type: 'suite'")
    if (point[2] === 'ok') {
      if (!suite) seen.ok += 1
      continue
    }
    const parents = detail.some((other) => /failureType: 'subtestsFailed'/.test(other))
    if (!suite) seen.notOk += 1
    if (!parents) total.failures.push({ name: point[3].replace(/\\#/g, '#'), error: errorOf(detail) })
  }
  if (!total.complete) {
    total.passed = seen.ok
    total.failed = seen.notOk
  }
  return total
}

/** The `error:` of a TAP point's YAML block and the first line of the stack that is the test's own. */
function errorOf(detail) {
  const at = detail.findIndex((line) => /^\s*error:/.test(line))
  if (at === -1) return ''
  const indent = /^\s*/.exec(detail[at])[0].length
  const first = detail[at].replace(/^\s*error:\s*(\|-|>-)?/, '').replace(/^'|'$/g, '').trim()
  const rest = []
  for (const line of detail.slice(at + 1)) {
    if (line.trim() && /^\s*/.exec(line)[0].length <= indent) break
    rest.push(line.trim())
  }
  const places = (lines) => lines.map((line) => /(?:tests-wasm|sw-host|demo-pwas|scripts)\/\S+?\.m?[jt]s:\d+/.exec(line)?.[0]).filter((found) => found && !/tests-wasm\/harness\/[\w-]+\.mjs/.test(found))
  const stack = detail.findIndex((line) => /^\s*stack:/.test(line))
  const where = [...places(stack === -1 ? [] : detail.slice(stack)), ...places(detail)][0]
  return [first, ...rest.slice(0, 12), where ? `at ${where}` : ''].filter(Boolean).join('\n')
}
