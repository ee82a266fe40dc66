// The closing line is only as true as what is read from the runners; these are their real outputs, shortened.
import assert from 'node:assert/strict'
import { test } from 'node:test'
import { readCargo, readNode } from './results.mjs'

test('cargo: all programs are summed, failures are named', () => {
  const total = readCargo(
    `     Running unittests src/lib.rs (target/debug/deps/kith_core-0)
test path::tests::splits ... ok
test path::tests::joins ... FAILED
test result: FAILED. 11 passed; 1 failed; 2 ignored; 0 measured; 0 filtered out; finished in 0.02s
   Doc-tests kith_core
test result: ok. 3 passed; 0 failed; 0 ignored; 0 measured; 0 filtered out; finished in 1.00s`.split('\n'),
  )
  assert.deepEqual(total, { passed: 14, failed: 1, skipped: 2, failures: [{ name: 'src/lib.rs: path::tests::joins', error: '' }] })
})

const TAP = `TAP version 13
# Subtest: a board
    # Subtest: one
    ok 1 - one
      ---
      duration_ms: 1
      ...
    # Subtest: two
    not ok 2 - two
      ---
      duration_ms: 2
      location: '/x/tests-wasm/e2e/a.test.mjs:3:1'
      failureType: 'testCodeFailure'
      error: |-
        waited 15000 ms for the note, in vain
        + 1
      code: 'ERR_TEST_FAILURE'
      stack: |-
        waitFor (file:///x/tests-wasm/harness/wait.mjs:29:13)
        async TestContext.<anonymous> (file:///x/tests-wasm/e2e/a.test.mjs:9:5)
      ...
    # Subtest: three
    ok 3 - three # SKIP webkit cannot
      ---
      duration_ms: 0
      ...
    1..3
not ok 1 - a board
  ---
  duration_ms: 3
  type: 'suite'
  failureType: 'subtestsFailed'
  error: '1 subtest failed'
  ...
`

test('node: the summary counts, the failure that matters is named with its place', () => {
  const total = readNode(`${TAP}1..1\n# tests 3\n# suites 1\n# pass 1\n# fail 1\n# cancelled 0\n# skipped 1\n# todo 0\n# duration_ms 5\n`)
  assert.deepEqual([total.passed, total.failed, total.skipped, total.complete], [1, 1, 1, true])
  assert.deepEqual(total.failures, [{ name: 'two', error: 'waited 15000 ms for the note, in vain\n+ 1\nat tests-wasm/e2e/a.test.mjs:9' }])
})

test('node: a run that was cut off counts what it had reported', () => {
  const total = readNode(TAP)
  assert.deepEqual([total.passed, total.failed, total.complete], [1, 1, false])
})

test('node: the lines of the readable reporter count as well, colours or not', () => {
  const total = readNode('\u001b[34mℹ pass 4\u001b[39m\nℹ fail 0\nℹ cancelled 1\n')
  assert.deepEqual([total.passed, total.failed], [4, 1])
})
