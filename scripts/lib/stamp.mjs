// Decides whether a step's result is still good: a step is redone when its inputs or its outputs changed since.
import { createHash } from 'node:crypto'
import { existsSync, mkdirSync, readFileSync, readdirSync, statSync, writeFileSync } from 'node:fs'
import { dirname, join, relative } from 'node:path'
import { ROOT, SCRATCH } from './paths.mjs'

const SKIPPED = new Set(['node_modules', 'dist', 'target', '.git'])

/** Every file below a folder (or the file itself), sorted; build output and packages left out. */
export function filesBelow(path) {
  if (!existsSync(path)) return []
  if (!statSync(path).isDirectory()) return [path]
  return readdirSync(path, { withFileTypes: true })
    .sort((a, b) => (a.name < b.name ? -1 : 1))
    .flatMap((entry) =>
      entry.isDirectory() ? (SKIPPED.has(entry.name) ? [] : filesBelow(join(path, entry.name))) : [join(path, entry.name)],
    )
}

/** A digest over names and contents of files and folders, and over plain texts given as `{text}`. */
export function digest(...inputs) {
  const hash = createHash('sha256')
  for (const input of inputs) {
    if (typeof input === 'object') {
      hash.update(`text ${input.text}\n`)
      continue
    }
    for (const file of filesBelow(input)) hash.update(`${relative(ROOT, file)}\n`).update(readFileSync(file))
  }
  return hash.digest('hex')
}

const stampFile = (name) => join(SCRATCH, 'stamps', name)

/** Was this step done with this digest, and are its outputs still there? */
export function fresh(name, value, outputs = []) {
  const file = stampFile(name)
  return existsSync(file) && readFileSync(file, 'utf8') === value && outputs.every((output) => existsSync(output))
}

/** Remembers that a step was done. */
export function remember(name, value) {
  const file = stampFile(name)
  mkdirSync(dirname(file), { recursive: true })
  writeFileSync(file, value)
}
