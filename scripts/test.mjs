// `npm test`: sets up everything, runs every test, ends with `N passed, N failed`.
//
//   npm test -- e2e/board cargo        only suites whose path contains one of the words; `cargo` (or a crate's name) is the Rust tests
//   npm test -- --long                 what takes many minutes in full (also: npm run test:long, KITH_LONG=1)
//   npm test -- --no-build             with what is built already
import { mkdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs'
import { join, relative } from 'node:path'
import { crates } from './lib/crates.mjs'
import { at, have, ROOT, SCRATCH, WASM_TARGET } from './lib/paths.mjs'
import { cargo, run } from './lib/run.mjs'
import { readCargo, readNode } from './lib/results.mjs'
import { main, PlainError, say, sayError } from './lib/say.mjs'
import { ensurePackages, ensureRust } from './lib/setup.mjs'
import { buildRelay, buildWasm, buildWeb, listing, relayBinary } from './lib/steps.mjs'

const MINUTE = 60_000
/** How long one test file may take, unless its first lines say `limit: N min`. */
const SUITE_MS = 10 * MINUTE
const LONG_SUITE_MS = 90 * MINUTE
const CARGO_MS = 30 * MINUTE
/** Thousands of seeds, of fifty peers each among others: for a night. */
const LONG_CARGO_MS = 8 * 60 * MINUTE
/** In this order: the harness first, since everything else stands on it. */
const FOLDERS = [
  ['scripts', 'lib'],
  ['tests-wasm', 'harness'],
  ['sw-host', 'test'],
  ['demo-pwas', 'test'],
  ['tests-wasm', 'e2e'],
  ['tests-wasm', 'interop'],
  ['tests-wasm', 'chaos'],
]

const flags = process.argv.slice(2).filter((arg) => arg.startsWith('--'))
const words = process.argv.slice(2).filter((arg) => !arg.startsWith('--'))
const long = flags.includes('--long') || process.env.KITH_LONG === '1'
const environment = { ...process.env, ...(long ? { KITH_LONG: '1' } : {}) }

const results = []
const add = (result) => {
  results.push(result)
  const { name, passed, failed, skipped, ms } = result
  say('test', `${failed ? 'FAILED' : 'ok'} ${name}: ${passed} passed, ${failed} failed${skipped ? `, ${skipped} skipped` : ''}${ms ? ` (${Math.round(ms / 1000)} s)` : ''}`)
}

async function testRust(names) {
  const lines = []
  const packages = names.flatMap((name) => ['-p', name])
  // How long that takes says nothing about the tests, so it does not count as their time.
  await cargo('cargo', ['test', '--locked', '--no-run', ...packages], { cwd: ROOT, fail: 'The tests in Rust did not compile; what the compiler said is above.' })
  const { code, timedOut, ms } = await cargo('cargo', ['test', '--locked', '--no-fail-fast', ...packages], {
    cwd: ROOT,
    env: environment,
    timeoutMs: long ? LONG_CARGO_MS : CARGO_MS,
    allowFailure: true,
    onLine: (line) => lines.push(line),
  })
  const total = readCargo(lines)
  const broken = timedOut || (code !== 0 && total.failed === 0)
  if (broken) {
    total.failed += 1
    total.failures.push({ name: 'cargo test', error: timedOut ? 'did not finish in time' : 'a test program died; see above' })
  } else if (code !== 0) {
    const from = lines.indexOf('failures:')
    total.failures[0].error = lines.slice(from, from + 80).join('\n')
  }
  add({ name: 'cargo test', ms, ...total })
}

/** Suites to run: test files, and sw-host's own runner if it has one. */
function suites() {
  const files = FOLDERS.flatMap((folder) => listing(/\.test\.mjs$/, ...folder))
  if (have('sw-host', 'test', 'run.mjs')) files.push(at('sw-host', 'test', 'run.mjs'))
  return files.map((file) => ({ file, name: relative(ROOT, file).replaceAll('\\', '/') }))
}

const headOf = (file) => readFileSync(file, 'utf8').slice(0, 600)
const limitOf = (file) => {
  const said = /limit: (\d+) min/.exec(headOf(file))
  return Math.max(said ? Number(said[1]) * MINUTE : 0, long ? LONG_SUITE_MS : SUITE_MS)
}

/** Suites that mostly wait, or that hold no moment against the clock, say `lane: beside` in their first lines. */
const isBeside = ({ file }) => /lane: beside/.test(headOf(file))

async function testSuite({ file, name }, { registry, sweep }) {
  const tap = join(SCRATCH, 'tap', `${process.pid}-${name.replaceAll('/', '-')}`)
  mkdirSync(join(SCRATCH, 'tap'), { recursive: true })
  writeFileSync(tap, '')
  const own = /\.test\.mjs$/.test(name)
  const reporters = ['--test-reporter=spec', '--test-reporter-destination=stdout', '--test-reporter=tap', `--test-reporter-destination=${tap}`]
  const args = own ? ['--test', '--test-concurrency=1', ...reporters, file] : [file]
  const output = []
  const limit = limitOf(file)
  const { code, timedOut, ms } = await run(process.execPath, args, {
    cwd: ROOT,
    env: { ...environment, KITH_PROCESSES: registry },
    prefix: name.split('/').at(-1).replace(/\.test\.mjs$/, ''),
    show: (line) => (/^ℹ |^$|^✖ failing tests/.test(line) ? undefined : line),
    onLine: (line) => output.push(line),
    timeoutMs: limit,
    allowFailure: true,
  })
  const total = readNode(own ? readFileSync(tap, 'utf8') : output.join('\n'))
  const left = sweep(registry)
  if (timedOut) {
    total.failed += 1
    total.failures.push({ name: 'the whole file', error: `did not finish within ${limit / MINUTE} min` })
  } else if (code !== 0 && total.failed === 0) {
    total.failed += 1
    total.failures.push({ name: 'the whole file', error: `ended with code ${code} without a failed test:\n${output.slice(-15).join('\n')}` })
  } else if (total.passed + total.failed + total.skipped === 0) {
    total.failed += 1
    total.failures.push({ name: 'the whole file', error: 'ran no test' })
  }
  if (left.length > 0 && !timedOut) say('test', `${name} left running, now ended: ${left.join(', ')}`)
  if (total.failed === 0) rmSync(tap, { force: true })
  return { name, ms, ...total }
}

/** Suites that failed at first and passed when run again, with what had failed. Always told, never hidden. */
const shaky = []

/**
 * Runs a suite. Where nobody watches (CI) one that drives browsers gets a second try: on a shared machine a browser may stall for longer than
 * any patience. What failed the first time is printed at the end all the same; a suite that shows up there needs work.
 */
async function testSuiteTwice(suite, processes) {
  const first = await testSuite(suite, processes)
  const again = first.failed > 0 && process.env.CI && /^tests-wasm\/(e2e|interop)\//.test(suite.name)
  if (!again) return add(first)
  say('test', `${suite.name}: ${first.failed} failed; once more`)
  const second = await testSuite(suite, processes)
  if (second.failed === 0) shaky.push(first)
  add(second)
}

/** Runs suites one after the other, in two lanes: those that may run beside others have one of their own. */
async function testSuites(chosen) {
  const { ownRegistry, sweep } = await import('../tests-wasm/harness/processes.mjs')
  const lane = async (name, suites) => {
    const registry = ownRegistry(join(SCRATCH, name))
    for (const suite of suites) await testSuiteTwice(suite, { registry, sweep })
  }
  await Promise.all([lane('processes', chosen.filter((suite) => !isBeside(suite))), lane('processes-beside', chosen.filter(isBeside))])
}

/**
 * Builds what the suites share, so that no suite's time goes into compiling. Its own tests have built the relay already: alone it would be
 * compiled again, with the features that its libraries have then.
 */
async function prepare({ relayTested }) {
  await buildWasm()
  await buildWeb()
  process.env.KITH_RELAY_BIN ??= relayTested ? relayBinary('debug') : await buildRelay({ release: false })
  environment.KITH_RELAY_BIN = process.env.KITH_RELAY_BIN
  const pages = ['kith-store-page', 'kith-net-page'].filter((page) => have('tests-wasm', page.replace('kith-', ''), 'Cargo.toml'))
  if (pages.length === 0) return
  const args = ['build', '--locked', '--profile', 'wasm-dev', '--target', WASM_TARGET, ...pages.flatMap((page) => ['-p', page])]
  await cargo('pages', args, { cwd: ROOT, fail: 'The test pages did not compile to WebAssembly.' })
}

function close() {
  const sum = (key) => results.reduce((total, result) => total + result[key], 0)
  const bad = results.filter(({ failed }) => failed > 0)
  if (shaky.length > 0) process.stdout.write('\nPassed only at the second try\n')
  for (const { name, failures } of shaky) {
    for (const failure of failures) process.stdout.write(`\n! ${name} › ${failure.name}\n    ${failure.error.split('\n')[0]}\n`)
  }
  if (bad.length > 0) process.stdout.write('\nFailures\n')
  for (const { name, failures } of bad) {
    for (const failure of failures) {
      process.stdout.write(`\n✖ ${name} › ${failure.name}\n${failure.error.split('\n').map((line) => `    ${line}`).join('\n')}\n`)
    }
  }
  writeFileSync(join(SCRATCH, 'test-results.json'), JSON.stringify(results, null, 1))
  const [passed, failed, skipped] = [sum('passed'), sum('failed'), sum('skipped')]
  if (skipped > 0) process.stdout.write(`\n${skipped} tests were skipped; each said why above.\n`)
  process.stdout.write(`\n${passed} passed, ${failed} failed\n`)
  return failed > 0 || passed === 0 ? 1 : 0
}

await main(async () => {
  mkdirSync(SCRATCH, { recursive: true })
  try {
    await ensureRust()
    await ensurePackages()
    const names = crates()
    const wanted = words.length === 0 ? names : words.includes('cargo') ? names : names.filter((name) => words.includes(name))
    const chosen = suites().filter(({ name }) => words.length === 0 || words.some((word) => name.includes(word)))
    if (wanted.length === 0 && chosen.length === 0) throw new PlainError(`No suite's path contains ${words.join(' or ')}, and no crate is called so.`)
    if (wanted.length > 0) await testRust(wanted)
    if (chosen.length > 0) {
      const { ensureBrowsers } = await import('./lib/browsers.mjs')
      for (const { kind, why, fatal } of await ensureBrowsers()) {
        say('browsers', why)
        if (fatal) add({ name: kind, passed: 0, failed: 1, skipped: 0, failures: [{ name: 'this browser', error: why }] })
      }
      if (!flags.includes('--no-build')) await prepare({ relayTested: wanted.includes('kith-relay') })
      await testSuites(chosen)
    }
  } catch (error) {
    sayError(error)
    results.push({ name: 'setting up', passed: 0, failed: 1, skipped: 0, failures: [{ name: 'the tests could not all run', error: error.message }] })
  }
  return close()
})
