// Browsers for the tests: those installed, else from the system's package manager, else a download.
import { findBrowsers } from '../../tests-wasm/harness/find.mjs'
import { at, ROOT } from './paths.mjs'
import { ask, run } from './run.mjs'
import { say } from './say.mjs'

const PACKAGES = {
  chromium: ['chromium'],
  firefox: ['firefox-esr'],
  webkit: ['webkit2gtk-driver', 'xvfb'],
}
/** A mirror that hangs must not hang the tests. */
const INSTALL_MS = 15 * 60_000

/** How to become root for apt without being asked anything; undefined if that cannot be. */
function root() {
  if (process.getuid?.() === 0) return []
  return ask('sudo', ['-n', 'true']) === undefined ? undefined : ['sudo', '-n']
}

/** Which of these packages the package lists know. */
const known = (names) => names.filter((name) => /Candidate: (?!\(none\))/.test(ask('apt-cache', ['policy', name]) ?? ''))

async function fromApt(kinds) {
  const prefix = root()
  if (prefix === undefined || ask('apt-get', ['--version']) === undefined) return
  const apt = (...args) => {
    const [command, ...rest] = [...prefix, 'apt-get', ...args]
    return run(command, rest, {
      prefix: 'browsers',
      show: (line) => (/^(Get:|Setting up|E:|W:)/.test(line) && !/^Get:.*(In)?Release/.test(line) ? line.replace(/https?:\/\/\S+ /, '').slice(0, 100) : undefined),
      timeoutMs: INSTALL_MS,
      allowFailure: true,
      env: { ...process.env, DEBIAN_FRONTEND: 'noninteractive' },
    })
  }
  say('browsers', `installing ${kinds.join(', ')} with apt-get`)
  await apt('update', '-q')
  for (const kind of kinds) {
    // Some systems call Firefox's package otherwise; Ubuntu's `chromium` is a wrapper that needs snap and then fails plainly.
    const names = known(kind === 'firefox' ? ['firefox-esr', 'firefox'] : PACKAGES[kind])
    const wanted = kind === 'firefox' ? names.slice(0, 1) : names
    if (wanted.length > 0) await apt('install', '-y', '--no-install-recommends', '-q', ...wanted)
  }
}

async function fromDownload(kinds) {
  for (const kind of kinds) {
    say('browsers', `downloading ${kind}`)
    // Playwright's Firefox is a changed one that speaks another protocol; Puppeteer's tool downloads the ordinary one.
    const [tool, ...args] =
      kind === 'firefox' ? ['browsers', 'install', 'firefox@stable', '--path', `${process.env.HOME}/.cache/puppeteer`] : ['playwright-core', 'install', '--with-deps', kind]
    await run(at('node_modules', '.bin', tool), args, { cwd: ROOT, prefix: 'browsers', timeoutMs: INSTALL_MS, allowFailure: true })
  }
}

const lacking = (kinds) => {
  const found = findBrowsers()
  return kinds.filter((kind) => !found[kind])
}

/**
 * Sees to it that the browsers are there.
 * @returns {Promise<{kind: string, why: string, fatal: boolean}[]>} those that could not be had. Without Chromium or Firefox the
 *   tests prove too little; WebKit cannot be had everywhere, and is then skipped.
 */
export async function ensureBrowsers(kinds = ['chromium', 'firefox', 'webkit']) {
  if (lacking(kinds).length > 0) await fromApt(lacking(kinds))
  const downloadable = lacking(kinds).filter((kind) => kind !== 'webkit')
  if (downloadable.length > 0) await fromDownload(downloadable)
  return lacking(kinds).map((kind) => ({
    kind,
    fatal: kind !== 'webkit',
    why:
      kind === 'webkit'
        ? 'WebKitGTK with its driver (Debian: webkit2gtk-driver, xvfb) is not installed and could not be: its tests are skipped.'
        : `${kind} is not installed and could not be: install it (Debian: apt-get install ${PACKAGES[kind].join(' ')}), or say where it is with KITH_${kind.toUpperCase()}.`,
  }))
}
