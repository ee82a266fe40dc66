/**
 * The Kith page script. One line adds Kith to a page:
 *
 *     <script type="module" src="/kith.js"></script>
 *
 * From then on `fetch('/~/…')` is the database, and `window.kith` a typed way to it. In a module:
 *
 *     import { connect } from '/kith.js'
 *     const kith = connect()
 *     await kith.space().put('greeting', 'hello')
 */
import type { ConnectOptions, Kith } from './api.ts'
import { takeInvite } from './invite.ts'
import { PageKith } from './kith.ts'
import { killSwitch, uninstall } from './uninstall.ts'

export { KithError } from '../shared/problem.ts'
export type * from './api.ts'
export type * from './api-history.ts'
export type * from './api-kinds.ts'
export type * from './api-peer.ts'
export type * from './api-text.ts'

// Before anything else: the secret leaves the address bar.
const invite = takeInvite()
const kill = killSwitch(location.search)
let connected: Kith | undefined

/** An option of the page: an attribute of the script tag, or a `<meta name="kith-…">`. */
function pageOption(name: string): string | undefined {
  const here = new URL(import.meta.url)
  const tag = [...document.querySelectorAll<HTMLScriptElement>('script[src]')].find((script) => new URL(script.src).pathname === here.pathname)
  return tag?.dataset[name] ?? document.querySelector<HTMLMetaElement>(`meta[name="kith-${name}"]`)?.content
}

function pageOptions(): ConnectOptions {
  // Wherever this script came from there is most likely a relay: the page's own origin, or the relay an author takes it from.
  const options: ConnectOptions = { relay: new URL(import.meta.url).origin }
  for (const name of ['worker', 'scope', 'relay', 'shell'] as const) {
    const value = pageOption(name)
    if (value !== undefined) options[name] = value
  }
  const type = pageOption('type')
  if (type === 'module' || type === 'classic') options.type = type
  if (pageOption('persist') === 'false') options.persist = false
  return options
}

/**
 * Connects this page to the peer in this browser. There is one connection per page: later calls return the first one,
 * whatever they ask for. A page that only adds the script is connected by itself.
 * @example const kith = connect({ relay: 'https://relay.example.org' })
 */
export function connect(options: ConnectOptions = {}): Kith {
  connected ??= new PageKith({ ...pageOptions(), ...options }, invite)
  return connected
}

// There from the first moment; a module that imports this one may still be the first to call connect(), with options.
Object.defineProperty(window, 'kith', { configurable: true, get: () => (kill ? connected : connect()) })

declare global {
  interface Window {
    /** The connection of this page. */
    readonly kith: Kith
  }
}

/** `?kith=unregister` where no worker controls the page; otherwise the worker has answered it already. */
async function switchOff({ wipe }: { wipe: boolean }): Promise<void> {
  const sure = wipe && confirm('Delete everything Kith keeps in this browser for this site? What no other device has is lost for good.')
  await uninstall({ wipe: sure })
  document.dispatchEvent(new CustomEvent('kith-off'))
  console.info('kith: switched off on this site.')
}

// After the importing module ran, so that its own connect(options) comes first.
if (kill) void switchOff(kill)
else queueMicrotask(() => connect())
