// Imports a TypeScript source file into a test (Node 20 reads no types).
import { dirname, join } from 'node:path'
import { fileURLToPath } from 'node:url'
import { build } from 'esbuild'

const src = join(dirname(fileURLToPath(import.meta.url)), '..', 'src')

/** @param {string} path below src/ */
export async function load(path) {
  const { outputFiles } = await build({ entryPoints: [join(src, path)], bundle: true, write: false, format: 'esm', target: 'node20', logLevel: 'error' })
  return import(`data:text/javascript;base64,${Buffer.from(outputFiles[0].contents).toString('base64')}`)
}
