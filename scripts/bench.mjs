// `npm run bench [-- word …]`: every program in tests-wasm/bench, or those whose name contains one of the words. Each prints its own
// tables; everything is built as for release.
import { cpus, loadavg, totalmem } from 'node:os'
import { basename, relative } from 'node:path'
import { ROOT } from './lib/paths.mjs'
import { run } from './lib/run.mjs'
import { main, PlainError, say, size } from './lib/say.mjs'
import { ensurePackages, ensureRust } from './lib/setup.mjs'
import { buildRelay, buildWasm, buildWeb, listing } from './lib/steps.mjs'

const BENCH_MS = 60 * 60_000
/** Above this load figures say more about the neighbours than about Kith. */
const QUIET_LOAD = 1

await main(async () => {
  const words = process.argv.slice(2).filter((word) => !word.startsWith('--'))
  const programs = listing(/^[a-z].*\.mjs$/, 'tests-wasm', 'bench').filter((file) => !/(-support|\.test)\.mjs$/.test(file))
  const chosen = programs.filter((file) => words.length === 0 || words.some((word) => basename(file).includes(word)))
  if (words.length > 0 && chosen.length === 0) throw new PlainError(`No benchmark's name contains ${words.join(' or ')}.`)
  await ensureRust()
  await ensurePackages()
  await buildWasm()
  await buildWeb()
  const relay = await buildRelay()
  const { ensureBrowsers } = await import('./lib/browsers.mjs')
  for (const { why } of await ensureBrowsers()) say('browsers', why)
  const [load] = loadavg()
  process.stdout.write(`\n${cpus().length} cores (${cpus()[0]?.model.trim()}), ${size(totalmem())} memory, node ${process.version}, load ${load.toFixed(1)}\n`)
  if (load > QUIET_LOAD) say('bench', 'this machine is busy: trust ratios, not absolute figures')
  const failed = []
  for (const file of chosen) {
    process.stdout.write(`\n## ${relative(ROOT, file)}\n\n`)
    const { code, timedOut } = await run(process.execPath, [file], {
      cwd: ROOT,
      env: { ...process.env, KITH_RELAY_BIN: relay },
      onLine: (line) => process.stdout.write(`${line}\n`),
      timeoutMs: BENCH_MS,
      allowFailure: true,
    })
    if (code !== 0) failed.push(`${relative(ROOT, file)} ${timedOut ? 'did not finish' : `ended with code ${code}`}`)
  }
  if (failed.length > 0) throw new PlainError(`Benchmarks failed: ${failed.join('; ')}.`)
})
