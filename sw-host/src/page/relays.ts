/** Finds out which relays there are and tells the worker, which remembers them for starts without a page. */
import { wire } from '../shared/messages.ts'

/** How long a relay may take to say who it is, in milliseconds. */
const PATIENCE_MS = 10_000

/** The addresses in a relay's description; empty if it is none. */
export function relayAddrs(description: unknown): string[] {
  if (typeof description !== 'object' || description === null) return []
  const { addrs } = description as { addrs?: unknown }
  return Array.isArray(addrs) ? addrs.filter((addr): addr is string => typeof addr === 'string' && addr.includes('/p2p/')) : []
}

async function describe(origin: string): Promise<string[] | undefined> {
  const response = await fetch(new URL('/.well-known/kith.json', origin), { cache: 'no-store', signal: AbortSignal.timeout(PATIENCE_MS) })
  return response.ok ? relayAddrs(await response.json()) : undefined
}

/**
 * Tells the worker the relays that `named` stands for: origins that describe themselves, or addresses as they are.
 * A relay that cannot be reached now changes nothing: what the worker remembered stays in use.
 */
export async function tellRelays(worker: ServiceWorker, named: string | undefined): Promise<void> {
  if (named === 'none') return
  const sources = (named ?? location.origin).split(/[\s,]+/).filter(Boolean)
  const given = sources.filter((source) => source.startsWith('/'))
  if (given.length > 0) worker.postMessage(wire({ type: 'relays', source: 'page', addrs: given }))
  for (const source of sources.filter((text) => !text.startsWith('/'))) {
    const addrs = await describe(source).catch(() => undefined)
    if (addrs && addrs.length > 0) worker.postMessage(wire({ type: 'relays', source, addrs }))
  }
}
