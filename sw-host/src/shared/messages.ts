/**
 * The one place where messages between page and worker, and between workers, are built and read.
 *
 * Every message carries `kith: PROTOCOL`. Within one protocol number messages and members are only ever added; readers
 * ignore what they do not know. A page that meets a worker of another number reloads itself once (see `page/follow.ts`).
 */

/** The number of this message map. Raise it only when an old page can no longer be understood. */
export const PROTOCOL = 1

/** From a page to the worker. Those marked with * are answered through the message's own port. */
export type PageMessage =
  /** Who are you? * {@link Welcome}. Starts the peer too. */
  | { type: 'hello'; release: string }
  /** Take control of pages that are not controlled: a first visit of someone's own worker, or a hard reload. */
  | { type: 'claim' }
  /** Relay addresses that `source` named: kept for cold starts without pages. */
  | { type: 'relays'; source: string; addrs: string[] }
  /** The network may be back, or somebody looks again: what could not be reached is tried at once. */
  | { type: 'reconnect' }
  /** This tab carries WebRTC now: its port is transferred with the message. */
  | { type: 'carrier' }
  /** This tab no longer carries. */
  | { type: 'carrier-gone' }
  /** What only a page can know. */
  | { type: 'environment'; persisted: boolean }
  /** To a waiting worker that sleeps, from the one it waits for: try to take over, I am idle. */
  | { type: 'take-over' }
  /** Close the peer for good, before it is uninstalled. * {@link Closed}. */
  | { type: 'shutdown' }

/** The worker's answer to `hello`. */
export interface Welcome {
  type: 'welcome'
  /** Names this running worker; it holds the lock `aliveLock(instance)` until it dies. */
  instance: string
  /** The worker's release. */
  release: string
  /** Whether it runs inside an author's own worker. */
  embedded: boolean
}

/** The worker's answer to `shutdown`. */
export interface Closed {
  type: 'closed'
}

/** Said to all workers and pages of the origin. */
export type Announcement =
  /** A new worker is ready to take over: the old one ends its streams so that the browser may hand over. */
  | { type: 'drain'; instance: string }
  /** A worker waits for the peer: whoever has it open closes it. */
  | { type: 'yield'; instance: string }
  /** The peer was restarted and needs a fresh carrier port. */
  | { type: 'carrier-wanted'; instance: string }
  /** To the worker that waits in a registration, from the one it waits for: try to take over, I am idle. */
  | { type: 'make-way'; instance: string; scope: string }
  /** Its answer: it heard that, or was woken by a message. */
  | { type: 'taking-over'; instance: string; scope: string }

type Wire<M> = M & { kith: number }

/** Adds the protocol number. */
export const wire = <M extends { type: string }>(message: M): Wire<M> => ({ ...message, kith: PROTOCOL })

/** The protocol number of a message, or undefined if it is none of ours (an author's own message, for instance). */
export function protocolOf(data: unknown): number | undefined {
  if (typeof data !== 'object' || data === null) return undefined
  const { kith, type } = data as { kith?: unknown; type?: unknown }
  return typeof kith === 'number' && typeof type === 'string' ? kith : undefined
}

const text = (value: unknown): value is string => typeof value === 'string'

/** Reads a page's message. Undefined for foreign, malformed or unknown messages: those are none of our business. */
export function readPageMessage(data: unknown): PageMessage | undefined {
  if (protocolOf(data) !== PROTOCOL) return undefined
  const message = data as PageMessage
  switch (message.type) {
    case 'hello':
      return text(message.release) ? message : undefined
    case 'relays':
      return text(message.source) && Array.isArray(message.addrs) && message.addrs.every(text) ? message : undefined
    case 'environment':
      return typeof message.persisted === 'boolean' ? message : undefined
    case 'claim':
    case 'reconnect':
    case 'carrier':
    case 'carrier-gone':
    case 'take-over':
    case 'shutdown':
      return message
    default:
      return undefined
  }
}

/** Reads an announcement; undefined for anything else. */
export function readAnnouncement(data: unknown): Announcement | undefined {
  if (protocolOf(data) !== PROTOCOL) return undefined
  const message = data as Announcement
  if (!text(message.instance)) return undefined
  switch (message.type) {
    case 'drain':
    case 'yield':
    case 'carrier-wanted':
      return message
    case 'make-way':
    case 'taking-over':
      return text(message.scope) ? message : undefined
    default:
      return undefined
  }
}

/** Reads the answer to `hello`; undefined for anything else. */
export function readWelcome(data: unknown): Welcome | undefined {
  if (protocolOf(data) === undefined) return undefined
  const message = data as Welcome
  return message.type === 'welcome' && text(message.instance) && text(message.release) ? message : undefined
}
