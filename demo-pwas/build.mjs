// Copies the demos into the folder the relay serves. Nothing of ours is bundled or rewritten: what the browser loads is what you read here.
// KITH_DIST names the folder (default: ../dist).
import { createHash } from 'node:crypto'
import { cp, mkdir, readdir, readFile, rm, writeFile } from 'node:fs/promises'
import { dirname, join, relative, resolve, sep } from 'node:path'
import { fileURLToPath } from 'node:url'
import { build } from 'esbuild'

const here = dirname(fileURLToPath(import.meta.url))
const dist = resolve(process.env.KITH_DIST ?? join(here, '..', 'dist'))

/** The files used of each library: [package, file in the package, name under assets/vendor/]. lit-html keeps its own folder because its files import each other by relative path. */
const VENDORED = [
  ['@picocss/pico', 'css/pico.min.css', 'pico.css'],
  ['@picocss/pico', 'LICENSE.md', 'pico.LICENSE.md'],
  ['uqr', 'dist/index.mjs', 'uqr.js'],
  ['uqr', 'LICENSE', 'uqr.LICENSE'],
  ...[
    'LICENSE',
    'lit-html.js',
    'directive.js',
    'directive-helpers.js',
    'async-directive.js',
    'directives/live.js',
    'directives/ref.js',
    'directives/repeat.js',
  ].map((file) => ['lit-html', file, `lit-html/${file}`]),
]

/** CodeMirror is many packages that name each other: one file is made of what scribe uses of them, with the SDK's extension inside so that both use the same CodeMirror. */
const CODEMIRROR = `
export { history, historyKeymap, standardKeymap } from '@codemirror/commands'
export { search, searchKeymap } from '@codemirror/search'
export { Compartment, EditorState } from '@codemirror/state'
export { EditorView, highlightSpecialChars, keymap, placeholder } from '@codemirror/view'
export { colorOf, kithText } from '../sw-host/src/page/bindings/codemirror.ts'
`

/** The folder of an installed package, found as Node finds it: here, then in each folder above. */
async function packageFolder(name) {
  for (let folder = here; ; folder = dirname(folder)) {
    const candidate = join(folder, 'node_modules', name)
    try {
      await readFile(join(candidate, 'package.json'))
      return candidate
    } catch (error) {
      if (dirname(folder) === folder) throw new Error(`${name} is not installed. Run "npm install" at the top of the repository.`, { cause: error })
    }
  }
}

/** Copies one library file; the pointer to a source map we do not ship is dropped, so no browser asks for it. */
async function vendor([name, file, target]) {
  const text = await readFile(join(await packageFolder(name), file), 'utf8')
  const to = join(dist, 'assets', 'vendor', target)
  await mkdir(dirname(to), { recursive: true })
  await writeFile(to, text.replace(/\n\/\/# sourceMappingURL=.*\s*$/, '\n'))
}

/** Writes the one file of CodeMirror, with its licence. */
async function bundleCodeMirror() {
  const { outputFiles } = await build({
    stdin: { contents: CODEMIRROR, resolveDir: here, sourcefile: 'codemirror.js' },
    bundle: true,
    write: false,
    format: 'esm',
    target: ['es2022', 'chrome105', 'firefox128', 'safari16.4'],
    minify: process.env.KITH_DEV !== '1',
    legalComments: 'none',
    logLevel: 'warning',
  })
  const vendored = join(dist, 'assets', 'vendor')
  await writeFile(join(vendored, 'codemirror.js'), outputFiles[0].text)
  await cp(join(await packageFolder('@codemirror/view'), 'LICENSE'), join(vendored, 'codemirror.LICENSE'))
}

const notDocs = (source) => !source.endsWith('.md')
const APPS = ['home', 'board', 'scribe', 'explorer']
for (const folder of ['assets', ...APPS]) await rm(join(dist, folder), { recursive: true, force: true })
await mkdir(dist, { recursive: true })
await cp(join(here, 'shared'), join(dist, 'assets'), { recursive: true, filter: notDocs })
for (const app of APPS) await cp(join(here, app), join(dist, app), { recursive: true, filter: notDocs })
// Home is the first page: it lives at "/", its modules in /home/.
await cp(join(here, 'home', 'index.html'), join(dist, 'index.html'))
await rm(join(dist, 'home', 'index.html'))
await Promise.all(VENDORED.map(vendor))
await bundleCodeMirror()

/** Files kept by the Service Worker so that the demos open offline: everything a page loads. The worker and its wasm look after themselves. */
async function shellList() {
  const files = {}
  const hash = (bytes) => createHash('sha256').update(bytes).digest('hex')
  const note = async (file) => {
    const path = relative(dist, file).split(sep).join('/')
    files[`/${path.replace(/(^|\/)index\.html$/, '$1')}`] = hash(await readFile(file))
  }
  for (const folder of ['assets', ...APPS]) {
    for (const entry of await readdir(join(dist, folder), { recursive: true, withFileTypes: true })) {
      if (entry.isFile() && !entry.name.includes('LICENSE')) await note(join(entry.parentPath ?? entry.path, entry.name))
    }
  }
  await note(join(dist, 'index.html'))
  // Made by sw-host, which is built first; alone, the demos can be looked at without it.
  await note(join(dist, 'kith.js')).catch(() => console.warn('demos: kith.js is not there yet, so the list of offline files is without it'))
  const sorted = Object.fromEntries(Object.entries(files).sort(([a], [b]) => (a < b ? -1 : 1)))
  return { release: hash(JSON.stringify(sorted)).slice(0, 16), files: sorted }
}
await writeFile(join(dist, 'shell.json'), `${JSON.stringify(await shellList(), null, 1)}\n`)
console.log(`demos: home, board, scribe and explorer copied to ${dist}`)
