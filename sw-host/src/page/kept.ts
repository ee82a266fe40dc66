/**
 * What this page's origin remembers outside the peer's database, so that a browser which deletes the database to make room is found out, and
 * what others still have is fetched from them again.
 *
 * Browsers evict databases, caches and workers of an origin together. Chromium and WebKit leave `localStorage` alone then: there stands which
 * peer this was and which spaces it had. Firefox takes that too, but no cookie: there stand only a day and 16 bits that change with the peer.
 */
import { KEPT_COOKIE, KEPT_KEY, LOST_KEY } from '../shared/names.ts'
import type { Joined, Lost, LostSpace, SpaceInfo } from './api-peer.ts'

/** What is remembered while all is well. */
export interface Kept {
  /** The peer's id. */
  peer: string
  /** The day it was last here, `2026-11-26`. */
  seen: string
  spaces: LostSpace[]
}

/** More spaces than this are not remembered: `localStorage` is small, and not ours alone. */
const MOST_SPACES = 200
const YEAR_S = 31_536_000

const today = (): string => new Date().toISOString().slice(0, 10)

/** A page whose storage is blocked remembers nothing, and works. */
function read<T>(key: string): T | undefined {
  try {
    return (JSON.parse(localStorage.getItem(key) ?? 'null') as T | null) ?? undefined
  } catch {
    return undefined
  }
}

function write(key: string, value: unknown): void {
  try {
    if (value === undefined) localStorage.removeItem(key)
    else localStorage.setItem(key, JSON.stringify(value))
  } catch {
    // Full or blocked: then an eviction is not noticed here.
  }
}

/** 16 bits that differ for different peers, nearly always; they do not tell which peer it was. */
export function fingerprint(peer: string): string {
  let sum = 0x811c9dc5
  for (const letter of peer) sum = Math.imul(sum ^ letter.charCodeAt(0), 0x01000193)
  return ((sum ^ (sum >>> 16)) & 0xffff).toString(16).padStart(4, '0')
}

/** Cookies do not tell ports or schemes apart, so their name does. */
const cookieName = (): string => `${KEPT_COOKIE}${location.origin.replace(/\W+/g, '-')}`

function readCookie(): { seen: string; print: string } | undefined {
  const found = document.cookie.split('; ').find((cookie) => cookie.startsWith(`${cookieName()}=`))
  const parts = /=(\d{4}-\d\d-\d\d)\.([0-9a-f]{4})$/.exec(found ?? '')
  return parts?.[1] && parts[2] ? { seen: parts[1], print: parts[2] } : undefined
}

function writeCookie(value: string, seconds: number): void {
  // A sandboxed frame throws on the mention of cookies.
  try {
    // biome-ignore lint/suspicious/noDocumentCookie: the cookie store is not in every browser
    document.cookie = `${cookieName()}=${value}; Path=/; SameSite=Strict; Max-Age=${seconds}`
  } catch {}
}

/** The spaces to remember: as the peer lists them, with the invites that opened them as far as they are known. */
export function merge(spaces: readonly SpaceInfo[], before: readonly LostSpace[]): LostSpace[] {
  const invites = new Map(before.map(({ id, invite }) => [id, invite]))
  return spaces
    .filter(({ id, role }) => id !== 'me' && role !== undefined)
    .slice(0, MOST_SPACES)
    .map(({ id, name, role }) => {
      const invite = invites.get(id)
      return { id, name, role, ...(invite === undefined ? {} : { invite }) }
    })
}

/** Whether what is remembered is of another peer than the one that is here now. */
export function missed(peer: string, kept: Kept | undefined, cookie: { seen: string; print: string } | undefined): Lost | undefined {
  if (kept) return kept.peer === peer ? undefined : { seen: kept.seen, spaces: kept.spaces }
  return cookie && cookie.print !== fingerprint(peer) ? { seen: cookie.seen, spaces: [] } : undefined
}

/** Remembers how things are now. Returns what was lost: just found out, or earlier and not yet put aside. */
export function remember(peer: string, spaces: readonly SpaceInfo[]): Lost | undefined {
  const kept = read<Kept>(KEPT_KEY)
  const lost = missed(peer, kept, readCookie())
  const before = lost ? [] : (kept?.spaces ?? [])
  write(KEPT_KEY, { peer, seen: today(), spaces: merge(spaces, before) } satisfies Kept)
  writeCookie(`${today()}.${fingerprint(peer)}`, YEAR_S)
  if (lost) setLost(lost)
  return lost ?? read<Lost>(LOST_KEY)
}

/** Remembers which invite opened a space. It is no secret from this origin's scripts: they can read the space itself. */
export function rememberInvite({ space, role }: Joined, invite: string): void {
  const kept = read<Kept>(KEPT_KEY)
  if (!kept) return
  const known = kept.spaces.find(({ id }) => id === space) ?? { id: space, name: '', role }
  kept.spaces = [...kept.spaces.filter(({ id }) => id !== space), { ...known, invite }].slice(-MOST_SPACES)
  write(KEPT_KEY, kept)
}

/** What was lost, as it stands now; `undefined` puts it aside. */
export function setLost(lost: Lost | undefined): void {
  write(LOST_KEY, lost)
}

/** Forgets everything: the data was deleted on purpose. */
export function forgetKept(): void {
  write(KEPT_KEY, undefined)
  write(LOST_KEY, undefined)
  writeCookie('', 0)
}
