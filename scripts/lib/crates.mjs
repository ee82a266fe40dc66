// Which crates have native tests.
import { relative } from 'node:path'
import { ROOT } from './paths.mjs'
import { ask } from './run.mjs'
import { PlainError } from './say.mjs'

/** The workspace's crates with native tests: all but the tool and the pages that exist only as wasm. */
export function crates() {
  const text = ask('cargo', ['metadata', '--locked', '--no-deps', '--format-version', '1'], { cwd: ROOT, maxBuffer: 1 << 28 })
  if (!text) throw new PlainError('`cargo metadata` failed: Cargo.toml or Cargo.lock cannot be read, or they do not fit each other.')
  const inside = (manifest) => relative(ROOT, manifest).replaceAll('\\', '/')
  return JSON.parse(text)
    .packages.filter(({ manifest_path: path }) => !inside(path).startsWith('tests-wasm/') && !inside(path).includes('/bindgen/'))
    .map(({ name }) => name)
}
