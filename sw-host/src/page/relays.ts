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
  // A relay that is just being restarted, behind a proxy, is worth another try.
  if (response.status >= 500) throw new Error(`The relay answered ${response.status}.`)
  return response.ok ? relayAddrs(await response.json().catch(() => undefined)) : undefined
}

/** First and longest pause before a relay that did not answer is asked again, in milliseconds. */
const FIRST_PAUSE_MS = 2_000
const LONGEST_PAUSE_MS = 60_000

/**
 * Tells the worker the relays that `named` stands for: origins that describe themselves, or addresses as they are.
 * A relay that cannot be reached is asked again until the signal; what the worker remembered of it stays in use meanwhile.
 */
export async function tellRelays(worker: ServiceWorker, named: string, signal: AbortSignal): Promise<void> {
  if (named === 'none') return
  const sources = named.split(/[\s,]+/).filter(Boolean)
  const given = sources.filter((source) => source.startsWith('/'))
  if (given.length > 0) worker.postMessage(wire({ type: 'relays', source: 'page', addrs: given }))
  await Promise.all(sources.filter((source) => !source.startsWith('/')).map((source) => tellOne(worker, source, signal)))
}

async function tellOne(worker: ServiceWorker, source: string, signal: AbortSignal): Promise<void> {
  for (let pause = FIRST_PAUSE_MS; !signal.aborted; pause = Math.min(pause * 2, LONGEST_PAUSE_MS)) {
    try {
      const addrs = await describe(source)
      // Answered, but not by a relay: asking again would not help.
      if (addrs === undefined) return
      if (!signal.aborted && addrs.length > 0) worker.postMessage(wire({ type: 'relays', source, addrs }))
      return
    } catch {
      await new Promise((resolve) => setTimeout(resolve, pause))
    }
  }
}
