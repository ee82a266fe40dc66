/** Notices that the browser deleted the peer's data, and fetches back what others have: see `kept.ts`. */
import { RESTORE_LOCK } from '../shared/names.ts'
import { KithError } from '../shared/problem.ts'
import type { Joined, Lost, LostSpace, SpaceInfo, Status } from './api-peer.ts'
import { remember, rememberInvite, setLost } from './kept.ts'

/** What the keeper asks of the peer. */
interface Asks {
  status(): Promise<Status>
  spaces(): Promise<SpaceInfo[]>
  join(invite: string): Promise<Joined>
}

/** One per page. */
export class Keeper {
  readonly #ask: Asks
  readonly #told: (lost: Lost) => void
  /** What was lost and not put aside. */
  lost: Lost | undefined

  constructor(ask: Asks, told: (lost: Lost) => void) {
    this.#ask = ask
    this.#told = told
  }

  /** Looks whether this is the peer that was here last time, and begins to fetch back what is missing. Fails silently: it is no part of the work. */
  async look(): Promise<void> {
    try {
      const [{ id }, spaces] = await Promise.all([this.#ask.status(), this.#ask.spaces()])
      if (typeof id !== 'string') return
      const lost = remember(id, spaces)
      if (!lost) return
      this.#tell({ ...lost, spaces: lost.spaces.map((space) => ({ ...space, back: spaces.some((there) => there.id === space.id) })) })
      await navigator.locks.request(RESTORE_LOCK, { ifAvailable: true }, (lock) => (lock ? this.#restore(lost) : undefined))
    } catch {
      // Looked at again when the next page opens.
    }
  }

  /** An invite was opened. */
  opened(joined: Joined, invite: string): void {
    rememberInvite(joined, invite)
  }

  /** The person has read it. */
  putAside(): void {
    this.lost = undefined
    setLost(undefined)
  }

  #tell(lost: Lost): void {
    this.lost = lost
    setLost(lost)
    this.#told(lost)
  }

  async #restore({ spaces }: Lost): Promise<void> {
    for (const { id, invite } of spaces) {
      if (!invite || this.lost?.spaces.find((space) => space.id === id)?.back) continue
      try {
        this.opened(await this.#ask.join(invite), invite)
        this.#change(id, { back: true })
      } catch (error) {
        // What was refused stays refused, e.g. a closed invite; what only failed is tried again by the next page.
        const refused = error instanceof KithError && error.status >= 400 && error.status < 500
        if (refused) this.#change(id, { invite: undefined, why: error.detail })
      }
    }
  }

  #change(id: string, values: Partial<{ [key in keyof LostSpace]: LostSpace[key] | undefined }>): void {
    if (!this.lost) return
    const spaces = this.lost.spaces.map((space) => (space.id === id ? ({ ...space, ...values } as LostSpace) : space))
    this.#tell({ ...this.lost, spaces })
  }
}
