/** What the worker must know before any page talks to it, kept in the Cache API: the relays each page origin named. */
import { CONFIG_CACHE } from '../shared/names.ts'

/** Sources of relay addresses remembered; the oldest is dropped first. */
export const RELAY_SOURCES = 8
/** Addresses taken from one source. */
export const RELAYS_PER_SOURCE = 16
/** Longest address taken, in characters. */
export const RELAY_LENGTH = 512

interface Config {
  /** Relay addresses by who named them, the newest last. */
  relays: [source: string, addrs: string[]][]
}

const key = (): string => new URL('/~/.config', self.location.origin).href

const isConfig = (value: unknown): value is Config =>
  typeof value === 'object' &&
  value !== null &&
  Array.isArray((value as Config).relays) &&
  (value as Config).relays.every(
    (entry) => Array.isArray(entry) && Array.isArray(entry[1]) && entry[1].every((addr) => typeof addr === 'string'),
  )

async function read(): Promise<Config> {
  try {
    const found = await (await caches.open(CONFIG_CACHE)).match(key())
    const value: unknown = await found?.json()
    return isConfig(value) ? value : { relays: [] }
  } catch {
    return { relays: [] }
  }
}

const addresses = (config: Config): string[] => [...new Set(config.relays.flatMap(([, addrs]) => addrs))]

/** All relay addresses known, for `Peer.open`. */
export async function knownRelays(): Promise<string[]> {
  return addresses(await read())
}

/** Remembers what one source named and gives all addresses known now; undefined if nothing changed. */
export async function rememberRelays(source: string, addrs: string[]): Promise<string[] | undefined> {
  const config = await read()
  const before = addresses(config)
  const kept = addrs.filter((addr) => addr.length <= RELAY_LENGTH).slice(0, RELAYS_PER_SOURCE)
  const others = config.relays.filter(([name]) => name !== source)
  const next: Config = { relays: [...others, [source, kept] as [string, string[]]].slice(-RELAY_SOURCES) }
  const after = addresses(next)
  if (after.join() === before.join()) return undefined
  const cache = await caches.open(CONFIG_CACHE)
  await cache.put(key(), new Response(JSON.stringify(next), { headers: { 'content-type': 'application/json' } }))
  return after
}
