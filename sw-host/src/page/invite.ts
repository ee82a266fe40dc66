/** Invite links: their secret is in the URL's fragment, which no server sees. It is taken out of the address bar before anything else. */
import { INVITE_FRAGMENT } from '../shared/names.ts'
import type { Joined } from './api-peer.ts'

/** In sessionStorage while an invite is being opened, so that a reload does not lose it. */
const PENDING = 'kith-invite'
/** In sessionStorage while the page moves to the app an invite named. */
const ARRIVED = 'kith-joined'

/** Takes the invite out of the address bar. Must run before anything that could send or store the address. */
export function takeInvite(): string | undefined {
  if (location.hash.startsWith(INVITE_FRAGMENT)) {
    const invite = location.href
    history.replaceState(history.state, '', location.pathname + location.search)
    sessionStorage.setItem(PENDING, invite)
  }
  return sessionStorage.getItem(PENDING) ?? undefined
}

/** The invite was opened or turned out to be none. */
export function forgetInvite(): void {
  sessionStorage.removeItem(PENDING)
}

/** The result of an invite that was opened on another page, just before this one. */
export function takeArrival(): Joined | undefined {
  const text = sessionStorage.getItem(ARRIVED)
  sessionStorage.removeItem(ARRIVED)
  return text ? (JSON.parse(text) as Joined) : undefined
}

/**
 * Where an invite lands: the app it names, with `?space=<id>`. Only within this origin.
 * @returns undefined if the page is there already.
 */
export function landing(joined: Joined, here: string): string | undefined {
  const from = new URL(here)
  const to = new URL(joined.app || from.pathname, from.origin)
  if (to.origin !== from.origin) return undefined
  to.searchParams.set('space', joined.space)
  if (to.pathname === from.pathname && from.searchParams.get('space') === joined.space) return undefined
  return to.href
}

/** Moves to the app the invite named, taking the result along. */
export function land(joined: Joined): void {
  const to = landing(joined, location.href)
  if (!to) return
  sessionStorage.setItem(ARRIVED, JSON.stringify(joined))
  location.replace(to)
}
