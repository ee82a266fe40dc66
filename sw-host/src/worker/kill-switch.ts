/**
 * `?kith=unregister` on any page of the origin: takes Kith off this browser, without needing the page's own scripts to work.
 *
 * Unregistering loses nothing (the data stays and the next visit registers again), so a link may do it. Deleting the data may
 * not hang on a link alone, which anyone can send: `&wipe=1` asks first, and the answer must carry a token of this worker.
 */
import { CACHE_PREFIX, CONFIG_CACHE, DATABASE, KEPT_COOKIE, KEPT_KEY, KILL_PARAM, KILL_VALUE, LOST_KEY, SHELL_CACHE_PREFIX, WASM_CACHE, WIPE_PARAM } from '../shared/names.ts'
import type { PeerHost } from './peer-host.ts'
import { scope } from './scope.ts'

/** How long deleting one database may take before it is left to the browser, in milliseconds. */
const DELETE_PATIENCE_MS = 5_000

const token = crypto.randomUUID()

/** What a worker cannot reach and a page can: what is remembered for the case that the browser deletes the data. */
const FORGET = `localStorage.removeItem('${KEPT_KEY}');localStorage.removeItem('${LOST_KEY}')
document.cookie='${KEPT_COOKIE}'+location.origin.replace(/\\W+/g,'-')+'=;Path=/;SameSite=Strict;Max-Age=0'`

/** The script runs before the text shows: what that says is true by then. */
function page(title: string, text: string, form = '', script = ''): Response {
  const nonce = crypto.randomUUID()
  const html = `<!doctype html><html lang="en"><meta charset="utf-8"><meta name="viewport" content="width=device-width">
<title>${title}</title><style>body{font:1.1rem/1.5 system-ui,sans-serif;max-width:34rem;margin:15vh auto;padding:0 1rem;color-scheme:light dark}
button{font:inherit;padding:.5rem 1rem}</style>${script && `<script nonce="${nonce}">${script}</script>`}<h1>${title}</h1><p>${text}</p>${form}</html>`
  return new Response(html, {
    headers: {
      'content-type': 'text/html; charset=utf-8',
      'cache-control': 'no-store',
      'content-security-policy': `default-src 'none'; style-src 'unsafe-inline'; script-src 'nonce-${nonce}'; form-action 'self'; frame-ancestors 'none'`,
    },
  })
}

async function deleteDatabase(name: string): Promise<void> {
  await new Promise<void>((resolve) => {
    const request = indexedDB.deleteDatabase(name)
    request.onsuccess = request.onerror = () => resolve()
    setTimeout(resolve, DELETE_PATIENCE_MS)
  })
}

/** Deletes the peer's databases: everything this device knows, its keys included. */
export async function deleteData(): Promise<void> {
  const known = await indexedDB.databases().catch(() => [])
  const names = known.map(({ name }) => name ?? '').filter((name) => name === DATABASE || name.startsWith(`${DATABASE}-`))
  await Promise.all([...new Set([DATABASE, ...names])].map(deleteDatabase))
}

/** Deletes Kith's caches; an author's own are left alone. */
export async function deleteCaches(): Promise<void> {
  const ours = (name: string): boolean =>
    name.startsWith(CACHE_PREFIX) && (name === WASM_CACHE || name === CONFIG_CACHE || name.startsWith(SHELL_CACHE_PREFIX))
  await Promise.all((await caches.keys()).filter(ours).map((name) => caches.delete(name)))
}

/** Answers a navigation that carries the kill switch. */
export async function answerKillSwitch(request: Request, wipe: boolean, host: PeerHost): Promise<Response> {
  if (wipe) {
    const given = request.method === 'POST' ? (await request.formData().catch(() => undefined))?.get('token') : undefined
    if (given !== token) {
      const action = `?${KILL_PARAM}=${KILL_VALUE}&amp;${WIPE_PARAM}=1`
      return page(
        'Delete Kith’s data on this device?',
        'Everything Kith keeps in this browser for this site is deleted, its keys included. What no other device has is lost for good.',
        `<form method="post" action="${action}"><input type="hidden" name="token" value="${token}"><button>Delete everything</button></form>`,
      )
    }
  }
  await host.shutDown()
  await scope.registration.unregister()
  await deleteCaches()
  if (wipe) await deleteData()
  return page(
    'Kith is switched off here',
    wipe
      ? 'Its worker is gone and its data on this device is deleted.'
      : 'Its worker is gone. Your data is still on this device and is there again when you next open a page that uses Kith.',
    '',
    wipe ? FORGET : '',
  )
}
