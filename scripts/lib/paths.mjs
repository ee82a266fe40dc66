// Where things are. Everything generated lives in `target/`, `dist/` and `node_modules/`, all git-ignored.
import { existsSync } from 'node:fs'
import { dirname, join } from 'node:path'
import { fileURLToPath } from 'node:url'

export const ROOT = dirname(dirname(dirname(fileURLToPath(import.meta.url))))

/** A path inside the project. */
export const at = (...parts) => join(ROOT, ...parts)

/** The built web files, as the relay serves them. */
export const DIST = at('dist')
/** Scratch space of the scripts: bindgen output, stamps, logs. */
export const SCRATCH = at('target', 'kith')
/** The JavaScript glue and the finished wasm, one folder per kind (`web`, `no-modules`). */
export const BINDGEN = join(SCRATCH, 'bindgen')
/** Tools the scripts install for themselves. */
export const TOOLS = at('target', 'tools')

export const EXE = process.platform === 'win32' ? '.exe' : ''
export const WASM_TARGET = 'wasm32-unknown-unknown'

/** True when the file or folder exists in the project. */
export const have = (...parts) => existsSync(at(...parts))
