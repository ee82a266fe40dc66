// Chromium without Playwright: what its devtools endpoint does for a browser that nobody stays attached to.
import { writeFile } from 'node:fs/promises'
import { openCdp } from './cdp.mjs'
import { Page, Unsupported } from './page.mjs'
import { PATIENCE_MS, waitFor } from './wait.mjs'

/** A stopped Service Worker must be gone by then. */
const STOP_MS = PATIENCE_MS

/** Stops every running Service Worker and waits until they are stopped; returns how many were running. */
export async function stopWorkers(session) {
  const status = new Map()
  const note = ({ versions }) => {
    for (const { versionId, runningStatus } of versions) status.set(versionId, runningStatus)
  }
  session.on('ServiceWorker.workerVersionUpdated', note)
  try {
    await session.send('ServiceWorker.enable')
    const running = () => [...status.values()].filter((is) => is === 'running' || is === 'starting').length
    // The present state arrives as an event of its own, before or just after the answer.
    await waitFor(() => status.size > 0, { what: 'the list of Service Workers', timeout: 300, every: 5 }).catch(() => {})
    const before = running()
    let again = true
    session.on('ServiceWorker.workerVersionUpdated', ({ versions }) => {
      if (versions.some(({ runningStatus }) => runningStatus === 'stopped')) again = false
    })
    await session.send('ServiceWorker.stopAllWorkers')
    // A fetch may start it anew at once: having been stopped once is what counts.
    if (before > 0) await waitFor(() => !again || running() === 0, { what: 'the Service Worker to stop', timeout: STOP_MS, every: 5 })
    return before
  } finally {
    await (session.detach?.() ?? session.close()).catch?.(() => {})
  }
}

/**
 * Chromium with nobody attached. Tabs are opened, closed and brought to the front through its HTTP endpoint, which attaches to nothing.
 * `evaluate` attaches to the page (never to its worker) for the length of one call.
 */
export function unattached(running, host, firstUrl) {
  const http = async (path, method = 'GET') => {
    const answer = await fetch(`http://${host}/json/${path}`, { method, signal: AbortSignal.timeout(PATIENCE_MS) })
    if (!answer.ok) throw new Error(`Chromium refused ${path}: ${answer.status}`)
    const text = await answer.text()
    return text.startsWith('{') || text.startsWith('[') ? JSON.parse(text) : text
  }
  const endpoint = (id) => `ws://${host}/devtools/page/${id}`
  const pages = async () => (await http('list')).filter(({ type }) => type === 'page')
  let first = true
  const page = (id) => {
    const visit = async (body) => {
      const cdp = await openCdp(endpoint(id))
      try {
        return await body(cdp)
      } finally {
        cdp.close()
      }
    }
    const run = (source) =>
      visit(async (cdp) => {
        const { result, exceptionDetails } = await cdp.send('Runtime.evaluate', { expression: source, awaitPromise: true, returnByValue: true })
        if (exceptionDetails) throw new Error(exceptionDetails.exception?.description ?? exceptionDetails.text)
        return result.value
      })
    const navigate = (method, params) =>
      visit(async (cdp) => {
        await cdp.send('Page.enable')
        const loaded = new Promise((resolve) => cdp.on('Page.loadEventFired', resolve))
        const { errorText } = await cdp.send(method, params)
        if (errorText) throw new Error(`the page could not be opened: ${errorText}`)
        await loaded
      })
    return new Page({
      native: id,
      run,
      goto: (url) => navigate('Page.navigate', { url }),
      reload: (hard) => navigate('Page.reload', { ignoreCache: hard }),
      url: async () => (await pages()).find((candidate) => candidate.id === id)?.url,
      close: () => http(`close/${id}`),
      front: () => http(`activate/${id}`),
      async hide() {
        const other = (await pages()).find((candidate) => candidate.id !== id) ?? (await http('new?about:blank', 'PUT'))
        await http(`activate/${other.id}`)
        await waitFor(() => run('document.hidden'), 'the tab to be hidden')
      },
      freeze: () => visit((cdp) => cdp.send('Page.setWebLifecycleState', { state: 'frozen' })),
      capture: (path) =>
        visit(async (cdp) => writeFile(path, Buffer.from((await cdp.send('Page.captureScreenshot', { format: 'png' })).data, 'base64'))),
    })
  }
  return {
    running,
    native: { host },
    async newPage(url) {
      if (first && firstUrl) {
        first = false
        const found = await waitFor(async () => (await pages()).find((candidate) => candidate.url.startsWith(firstUrl)), 'the first tab')
        return page(found.id)
      }
      first = false
      return page((await http(`new?${encodeURIComponent(url ?? 'about:blank')}`, 'PUT')).id)
    },
    async killWorker() {
      const found = (await pages()).find((candidate) => candidate.url.startsWith('http'))
      if (!found) throw new Error('no page is open to stop Service Workers through')
      return stopWorkers(await openCdp(endpoint(found.id)))
    },
    setOffline: () => {
      throw new Unsupported('with no debugger attached the network cannot be switched off: put a proxy before the relay and cut it')
    },
    async close() {
      await running.kill('SIGTERM')
    },
  }
}
