// Bundles a baseline's page script and serves it with an empty page.
import { dirname, join } from 'node:path'
import { fileURLToPath } from 'node:url'
import { build } from 'esbuild'
import { startSite } from '../../harness/index.mjs'
import { makeWall } from '../support/clock.mjs'

const HERE = dirname(fileURLToPath(import.meta.url))

/** A script as one file for a browser or Node, wasm included. `alias` says where packages lie that are built here. */
export async function bundle(script, alias = {}) {
  const { outputFiles } = await build({
    entryPoints: [script],
    bundle: true,
    write: false,
    minify: true,
    format: 'esm',
    platform: 'browser',
    target: 'es2022',
    loader: { '.wasm': 'binary' },
    alias,
    logLevel: 'error',
  })
  return Buffer.from(outputFiles[0].contents)
}

/** Serves a page with this bundled script, and other files. */
export function servePage(body, files = {}) {
  const page = '<!doctype html><meta charset="utf-8"><title>Baseline</title><script type="module" src="/page.js"></script>'
  return startSite({ files: { '/': page, '/page.js': { body, type: 'text/javascript' }, ...files } })
}

/** Serves a page with this script of this folder, bundled. */
export const serveBaseline = async (script) => servePage(await bundle(join(HERE, script)))

/** Serves the page with Yjs, and other files. */
export async function serveYjs(files) {
  const site = await serveBaseline('yjs-page.mjs')
  for (const [name, body] of Object.entries(files)) site.files[`/${name}`] = body
  return site
}

/** Opens the page with Yjs, with a clock as other pages have it. */
export async function openYjsPage(browser, site, patience) {
  const page = await browser.newPage(site.url)
  page.evaluateTimeout = patience
  await page.waitFor(() => globalThis.yjs, { what: "the baseline's page" })
  await page.evaluate(makeWall)
  return page
}
