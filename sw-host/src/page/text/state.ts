/**
 * Where one editor of a text stands, without any input or output. The peer keeps the history; here are only the text, the version it is of,
 * and what was changed here since (Braid's `simpleton`).
 *
 * - Changes made here show at once and gather in `unsent`. Taking them for sending gives them a version, named by this editor.
 * - A remote change applies if its parents are the version here, which says that the peer had everything sent when it made it. One that crossed
 *   something on its way is skipped: the peer makes it anew once that arrived.
 */
import { fromPatches, toPatches, weight } from './code-points.ts'
import type { Patch } from './code-points.ts'
import { diff } from './diff.ts'
import { apply, compose, rebase } from './splices.ts'
import type { Splice, Splices } from './splices.ts'

/** A change on its way to the peer. */
export interface Sent {
  version: string
  parents: string[]
  patches: Patch[]
  splices: Splices
}

const same = (one: readonly string[], other: readonly string[]): boolean => [...one].sort().join('\n') === [...other].sort().join('\n')

/** The state of one editor. */
export class TextState {
  /** The text as it shows. */
  value = ''
  /** Where the text with everything sent stands; undefined until the peer told. */
  version: string[] | undefined
  /** Who this editor is, in versions and to others. */
  client: string
  /** Changes on their way, oldest first. */
  sent: Sent[] = []
  /** The text of `version`. */
  #base = ''
  /** The text before the oldest change on its way. */
  #stored = ''
  /** Made here, not taken yet; on `#base`. */
  #unsent: Splice[] = []
  /** Code points inserted and deleted so far by this client, less one: as braid-text counts. */
  #count = -1

  constructor(client: string) {
    this.client = client
  }

  /** Whether something waits to be taken. */
  get waiting(): boolean {
    return this.#unsent.length > 0
  }

  /** Changes the text here. The change must be regular and of whole code points. */
  edit(splices: Splices): void {
    this.#unsent = compose(this.#unsent, splices)
    this.value = apply(this.value, splices)
  }

  /** What was made here since the last time, named; undefined if there is nothing, or nothing to build on. */
  take(): Sent | undefined {
    if (!this.version) return undefined
    // What was inserted and deleted again is no change.
    const splices = this.#unsent.filter(({ from, to, insert }) => this.#base.slice(from, to) !== insert)
    this.#unsent = []
    if (splices.length === 0) return undefined
    const patches = toPatches(this.#base, splices)
    this.#count += weight(patches)
    const sent = { version: `${this.client}-${this.#count}`, parents: this.version, patches, splices }
    this.#base = apply(this.#base, splices)
    this.version = [sent.version]
    this.sent.push(sent)
    return sent
  }

  /** The peer has this one, safely. */
  stored(sent: Sent): void {
    this.sent = this.sent.filter((other) => other !== sent)
    if (this.sent.length === 0) this.#stored = this.#base
  }

  /** Whether the text is of exactly these versions: a change with these parents applies here. */
  fits(parents: readonly string[]): boolean {
    return this.version !== undefined && same(parents, this.version)
  }

  /**
   * Applies a remote change that fits.
   * @returns what it does to the text as it shows
   * @throws RangeError where it does not fit the text after all
   */
  remote(version: string[], patches: readonly Patch[]): Splice[] {
    return this.#arrive(version, fromPatches(this.#base, patches))
  }

  /** The whole text as the peer has it, with everything stored from here in it. @returns what that does to the text as it shows */
  snapshot(version: string[], text: string): Splice[] {
    return this.#arrive(version, diff(this.#base, text))
  }

  #arrive(version: string[], splices: Splice[]): Splice[] {
    const shown = rebase(splices, this.#unsent, false)
    this.#unsent = rebase(this.#unsent, splices, true)
    this.#base = apply(this.#base, splices)
    // It builds on everything sent, so the peer has that.
    this.sent = []
    this.#stored = this.#base
    this.version = version
    this.value = apply(this.value, shown)
    return shown
  }

  /**
   * The peer does not know where this editor stands: it starts over as another one. What was on its way and not stored is kept as if it
   * had not been sent, and meets what the peer has at the next snapshot.
   */
  startOver(client: string): void {
    this.#unsent = [...this.sent.map(({ splices }) => splices), this.#unsent].reduce<Splice[]>((all, next) => compose(all, next), [])
    this.#base = this.#stored
    this.sent = []
    this.version = undefined
    this.client = client
    this.#count = -1
  }
}
