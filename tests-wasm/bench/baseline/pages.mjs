// Bundles a baseline's page script and serves it with an empty page.
import { dirname, join } from 'node:path'
import { fileURLToPath } from 'node:url'
import { build } from 'esbuild'
import { startSite } from '../../harness/index.mjs'

const HERE = dirname(fileURLToPath(import.meta.url))

/** Serves a page with this script of this folder, bundled. */
export async function serveBaseline(script) {
  const { outputFiles } = await build({
    entryPoints: [join(HERE, script)],
    bundle: true,
    write: false,
    minify: true,
    format: 'esm',
    platform: 'browser',
    target: 'es2022',
    loader: { '.wasm': 'binary' },
    logLevel: 'error',
  })
  const page = '<!doctype html><meta charset="utf-8"><title>Baseline</title><script type="module" src="/page.js"></script>'
  return startSite({ files: { '/': page, '/page.js': { body: Buffer.from(outputFiles[0].contents), type: 'text/javascript' } } })
}
