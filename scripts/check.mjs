// `npm run check`: everything that can be said about the code without running it. `npm run check -- clippy deny` runs only those.
import { existsSync, readFileSync } from 'node:fs'
import { join, relative } from 'node:path'
import { at, DIST, EXE, have, ROOT, TOOLS, WASM_TARGET } from './lib/paths.mjs'
import { INVARIANTS } from './lib/invariants.mjs'
import { ask, cargo, run } from './lib/run.mjs'
import { main, PlainError, say, sayError, size, table } from './lib/say.mjs'
import { ensurePackages, ensureRust } from './lib/setup.mjs'
import { buildWasm, buildWeb, listing } from './lib/steps.mjs'

/** What a first visit may load of ours, compressed: scripts and wasm together. The product's target is 600 KB (notes 0105, 0106). */
const SIZE_BUDGET = 828_000
const CARGO_DENY = '0.20.2'
/** How long fetching the advisory database may take. */
const ADVISORIES_MS = 60_000

/** A test may stop at once where the peer must not. */
const IN_TESTS = ['clippy::unwrap_used', 'clippy::expect_used', 'clippy::panic', 'clippy::indexing_slicing', 'unreachable_pub', 'missing_docs']

/** The crates of the workspace by where they run. */
function crates() {
  const text = ask('cargo', ['metadata', '--locked', '--no-deps', '--format-version', '1'], { cwd: ROOT, maxBuffer: 1 << 28 })
  if (!text) throw new PlainError('`cargo metadata` failed: Cargo.toml or Cargo.lock cannot be read, or they do not fit each other.')
  const all = JSON.parse(text).packages.map(({ name, manifest_path: path }) => ({ name, path: relative(ROOT, path).replaceAll('\\', '/') }))
  const pages = all.filter(({ path }) => path.startsWith('tests-wasm/')).map(({ name }) => name)
  return {
    native: all.map(({ name }) => name).filter((name) => !pages.includes(name)),
    wasm: ['kith-text', 'kith-core', 'kith-store', 'kith-net', 'kith-peer', ...pages],
  }
}

const packages = (names) => names.flatMap((name) => ['-p', name])
const shown = (fail) => ({ cwd: ROOT, fail })

const checks = {
  async fmt() {
    await run('cargo', ['fmt', '--all', '--', '--check', '-l'], { ...shown('Some Rust files are not formatted: run `cargo fmt --all`.'), prefix: 'fmt' })
  },
  async clippy() {
    const { native, wasm } = crates()
    // Warnings are counted instead of denied: denied ones would hide those of every crate that comes after.
    const warnings = []
    const clippy = (prefix, args) =>
      cargo(prefix, ['clippy', '--locked', ...args], {
        ...shown(`The ${prefix === 'clippy wasm' ? 'wasm' : 'native'} build has errors; see above.`),
        onLine: (line) => /^warning: .* generated \d+ warning/.test(line) && warnings.push(line.replace('warning: ', `${prefix}: `)),
      })
    await clippy('clippy', packages(native))
    await clippy('clippy tests', ['--tests', '--examples', ...packages(native), '--', ...IN_TESTS.flatMap((lint) => ['-A', lint])])
    await clippy('clippy wasm', ['--target', WASM_TARGET, ...packages(wasm)])
    if (warnings.length > 0) throw new PlainError('clippy found something; see above.', warnings.join('\n'))
  },
  async rustdoc() {
    await cargo('rustdoc', ['doc', '--locked', '--no-deps', ...packages(crates().native)], {
      ...shown('The documentation has errors or warnings; see above.'),
      env: { ...process.env, RUSTDOCFLAGS: '-D warnings' },
    })
  },
  async deny() {
    const tool = await cargoDeny()
    const deny = (what, ...flags) => run(tool, ['deny', ...flags, '--locked', 'check', '--hide-inclusion-graph', ...what], { ...shown(`cargo-deny objects (${what.join(', ')}); see above.`), prefix: 'deny' })
    await deny(['bans', 'licenses', 'sources'])
    const fetched = await run(tool, ['deny', 'fetch', 'db'], { cwd: ROOT, allowFailure: true, timeoutMs: ADVISORIES_MS })
    if (fetched.code === 0) await deny(['advisories'], '--offline')
    else say('deny', 'the advisory database could not be fetched from here: known vulnerabilities were NOT checked')
  },
  async types() {
    const configs = listing(/^tsconfig\..*\.json$/, 'sw-host').filter((file) => !file.endsWith('tsconfig.base.json'))
    for (const config of configs.length > 0 ? configs : listing(/^tsconfig\.json$/, 'sw-host')) {
      await run(at('node_modules', '.bin', 'tsc'), ['--noEmit', '-p', config], { ...shown(`TypeScript found errors (${relative(ROOT, config)}); see above.`), prefix: 'types' })
    }
  },
  async lint() {
    await run(at('node_modules', '.bin', 'biome'), ['lint', '--diagnostic-level=warn', '--error-on-warnings', '--max-diagnostics=100', '.'], { ...shown('The linter found something; see above.'), prefix: 'lint' })
  },
  async size() {
    await buildWasm()
    await buildWeb()
    const sizes = JSON.parse(readFileSync(join(DIST, 'sizes.json'), 'utf8'))
    // One of the two workers is loaded, never both; the editors by those who edit texts.
    const ours = Object.entries(sizes).filter(([name]) => /^kith[^/]*\.js$|^kith\/.*\.(js|wasm)$/.test(name) && !/classic|editors|codemirror/.test(name))
    const sum = (kind) => ours.reduce((total, [, file]) => total + file[kind], 0)
    const row = (name, file) => [name, size(file.raw), size(file.gzip), size(file.brotli)]
    const rows = [['file', 'raw', 'gzip', 'brotli'], ...ours.map(([name, file]) => row(name, file)), row('together', { raw: sum('raw'), gzip: sum('gzip'), brotli: sum('brotli') })]
    process.stdout.write(`${table(rows)}\n`)
    if (ours.length === 0) throw new PlainError('dist/ has none of the files a first visit loads: has the layout changed? Then change this check too.')
    if (sum('brotli') > SIZE_BUDGET) throw new PlainError(`A first visit loads ${size(sum('brotli'))} compressed; the budget is ${size(SIZE_BUDGET)}.`)
    say('size', `${size(sum('brotli'))} of ${size(SIZE_BUDGET)} compressed`)
  },
  async invariants() {
    const wrong = Object.entries(INVARIANTS).flatMap(([name, check]) => {
      const found = check()
      say('invariants', `${found.length === 0 ? 'holds' : 'BROKEN'}: ${name}`)
      return found
    })
    if (wrong.length > 0) throw new PlainError('An invariant of ARCHITECTURE.md is broken; see above.', wrong.join('\n'))
  },
}

/** cargo-deny: the one on this machine if it fits, else our own, compiled once into target/tools. */
async function cargoDeny() {
  const own = join(TOOLS, 'bin', `cargo-deny${EXE}`)
  const version = (program) => ask(program, ['deny', '--version'])?.split(' ').at(-1)
  if (existsSync(own) && version(own) === CARGO_DENY) return own
  if (version('cargo-deny')) return 'cargo-deny'
  say('deny', `installing cargo-deny ${CARGO_DENY} into target/tools (once; some minutes)`)
  await cargo('deny', ['install', '--locked', '--debug', '--force', '--version', CARGO_DENY, '--root', TOOLS, '--target-dir', join(TOOLS, 'build'), 'cargo-deny'], {
    cwd: ROOT,
    fail: 'cargo-deny could not be installed. Install it yourself (`cargo install cargo-deny`) and try again.',
    // The least work for a tool that runs for seconds.
    env: { ...process.env, CARGO_PROFILE_DEV_DEBUG: '0', CARGO_PROFILE_DEV_OPT_LEVEL: '0', CARGO_INCREMENTAL: '0' },
  })
  return own
}

await main(async () => {
  const wanted = process.argv.slice(2)
  const unknown = wanted.filter((name) => !checks[name])
  if (unknown.length > 0) throw new PlainError(`There is no check called ${unknown.join(', ')}; there are ${Object.keys(checks).join(', ')}.`)
  await ensureRust()
  await ensurePackages()
  const failed = []
  for (const [name, check] of Object.entries(checks)) {
    if (wanted.length > 0 && !wanted.includes(name)) continue
    if (['types', 'lint'].includes(name) && !have('sw-host', 'src')) continue
    const began = Date.now()
    try {
      await check()
      say('check', `ok ${name} (${Math.round((Date.now() - began) / 1000)} s)`)
    } catch (error) {
      sayError(error)
      failed.push(name)
    }
  }
  if (failed.length === 0) {
    say('check', 'everything holds')
    return 0
  }
  process.stdout.write(`\nFailed checks: ${failed.join(', ')}. Each can be run alone: npm run check -- ${failed[0]}\n`)
  return 1
})
