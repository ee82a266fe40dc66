/** The SDK's types for what a peer says of itself, of its spaces and of who is in them. */
import type { KithError } from '../shared/problem.ts'

/** What a member may do. */
export type Role = 'owner' | 'writer' | 'reader'

/** A member of a space. */
export type Member = { id: string; role: Role; [more: string]: unknown }

/** A space in a list. */
export type SpaceInfo = { id: string; name: string; role: Role; [more: string]: unknown }

/** What an invite led to. */
export interface Joined {
  /** The space's id. */
  space: string
  role: Role
  /** The path of the app the invite names, e.g. `/board/`. */
  app: string
}

/** A space that was here before the browser deleted this site's data. */
export interface LostSpace {
  id: string
  name: string
  role: Role
  /** The invite it was joined by, if this page's script opened it: with it the space is joined again. */
  invite?: string
  /** It is here again: what others have of it comes, or has come. */
  back?: boolean
  /** Why it could not be joined again, in plain words. */
  why?: string
}

/** What the browser deleted. Besides these spaces that is the identity that was here, and what only it had. */
export interface Lost {
  /** The day it was last here: `2026-11-26`. */
  seen: string
  /** The spaces there were, as far as that could be kept in mind. */
  spaces: LostSpace[]
}

/** How far the writes of this device in a space have travelled. */
export interface Spread {
  /** How many there are. */
  entries: number
  /** How many of them nobody else has. */
  pending: number
  /** `local`, or `peers=n`: so many have all of them. */
  state: string
  /** The other devices in the space: how many of the writes each keeps, and since when it is known to (milliseconds). */
  peers: { peer: string; identity: string; role: Role; linked: boolean; stored: number; since: number | null }[]
}

/** How the peer is: `GET /~/peer`. */
export interface Status {
  id: string
  version: string
  storage: { used: number; quota?: number; persisted?: boolean }
  relays: { addr: string; state: string; why?: string }[]
  links: { peer: string; path: 'relay' | 'webrtc'; state: string; rttMs?: number; bytesIn: number; bytesOut: number }[]
  spaces: { id: string; name: string; role: Role; entries: number; peers: number; pending: number }[]
  [more: string]: unknown
}

/** What {@link Kith} tells: `kith.addEventListener('problem', …)`. */
export interface KithEventMap {
  /** The peer can be reached from this page. */
  ready: Event
  /** Something is wrong; `kith.problem` says what. */
  problem: CustomEvent<KithError>
  /** An invite is being opened. */
  joining: Event
  /** An invite was opened. `preventDefault()` keeps the page where it is. */
  joined: CustomEvent<Joined>
  /** The browser deleted what was stored here, or something of it came back; `kith.lost` says what. */
  lost: CustomEvent<Lost>
}
