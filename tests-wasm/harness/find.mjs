// Which browsers this machine has. `npm test` installs missing ones first (scripts/lib/browsers.mjs).
import { accessSync, constants, existsSync, readdirSync } from 'node:fs'
import { homedir } from 'node:os'
import { delimiter, join } from 'node:path'

const executable = (file) => {
  try {
    accessSync(file, constants.X_OK)
    return true
  } catch {
    return false
  }
}

/** The first of these programs that the PATH or an absolute path gives. */
function which(...names) {
  const folders = (process.env.PATH ?? '').split(delimiter).filter(Boolean)
  for (const name of names) {
    if (name.startsWith('/')) {
      if (executable(name)) return name
      continue
    }
    for (const folder of folders) {
      const file = join(folder, name)
      if (executable(file)) return file
    }
  }
  return undefined
}

/** Folders where Playwright and Puppeteer keep browsers they downloaded. */
function downloads() {
  const home = homedir()
  const caches = [process.env.PLAYWRIGHT_BROWSERS_PATH, join(home, '.cache', 'ms-playwright'), join(home, 'Library', 'Caches', 'ms-playwright'), join(home, '.cache', 'puppeteer')]
  return caches.filter((folder) => folder && existsSync(folder))
}

/** Looks for a program some levels below a folder. */
function below(folder, name, depth) {
  for (const entry of readdirSync(folder, { withFileTypes: true })) {
    const path = join(folder, entry.name)
    if (entry.isDirectory() && depth > 0) {
      const found = below(path, name, depth - 1)
      if (found) return found
    } else if (entry.name === name && executable(path)) {
      return path
    }
  }
  return undefined
}

const downloaded = (folderPattern, ...names) => {
  for (const cache of downloads()) {
    for (const entry of readdirSync(cache).sort().reverse()) {
      if (!folderPattern.test(entry)) continue
      for (const name of names) {
        const found = below(join(cache, entry), name, 6)
        if (found) return found
      }
    }
  }
  return undefined
}

/** Chromium or Chrome, or undefined. */
export const findChromium = () =>
  process.env.KITH_CHROMIUM ??
  which(
    'chromium',
    'chromium-browser',
    'google-chrome-stable',
    'google-chrome',
    '/Applications/Google Chrome.app/Contents/MacOS/Google Chrome',
    '/Applications/Chromium.app/Contents/MacOS/Chromium',
  ) ??
  downloaded(/^chrom/, 'chrome', 'Chromium', 'headless_shell')

/** Firefox, or undefined. */
export const findFirefox = () =>
  process.env.KITH_FIREFOX ?? which('firefox-esr', 'firefox', '/Applications/Firefox.app/Contents/MacOS/firefox') ?? downloaded(/^firefox/, 'firefox')

/** WebKitGTK's driver, the small browser it drives, and a virtual screen; undefined unless all three are there. */
export function findWebkit() {
  const driver = process.env.KITH_WEBKIT_DRIVER ?? which('WebKitWebDriver')
  const screen = which('Xvfb')
  const libraries = ['/usr/lib', '/usr/libexec', '/usr/lib64'].filter(existsSync)
  const places = libraries.flatMap((folder) => readdirSync(folder).map((name) => join(folder, name)).concat(folder))
  const browser = places
    .flatMap((place) => ['webkit2gtk-4.1', 'webkitgtk-6.0', 'webkit2gtk-4.0'].map((version) => join(place, version, 'MiniBrowser')))
    .find(executable)
  return driver && screen && browser ? { driver, screen, browser } : undefined
}

/** What is there: `{chromium, firefox, webkit}`, each undefined when it is not. */
export const findBrowsers = () => ({ chromium: findChromium(), firefox: findFirefox(), webkit: findWebkit() })
