/** The SDK's public types for collaborative text: shipped as a part of `kith.d.ts`. */
import type { KithError } from '../shared/problem.ts'

/** Replaces the range `[from, to)` of a text by `insert`. Positions count as JavaScript strings do. */
export interface Splice {
  from: number
  to: number
  insert: string
}

/** One change of a text: ranges of the text before it, sorted, not overlapping. */
export interface TextChange {
  splices: readonly Splice[]
  /** Whether somebody else made it, or another page of yours. */
  remote: boolean
  /** What was given to `edit`: tells an editor its own changes from those of others. */
  origin: unknown
}

/** Somebody else in the text. */
export interface Cursor {
  /** Who: one name per open document, not per person. */
  client: string
  /** What they call themselves; empty if they say nothing. */
  name: string
  /** Where their selection began, and where their caret is. */
  from: number
  to: number
}

/** What an open text tells. */
export interface TextEventMap {
  /** The text changed, here or elsewhere. */
  change: TextChange
  /** Others came, moved or left. */
  cursors: readonly Cursor[]
  /** Everything made here is stored, or something waits again. */
  saved: boolean
  /** The peer refuses: nothing more is sent or received. What was typed stays in `value`. */
  problem: KithError
}

/** How a text is opened. */
export interface TextOptions {
  /** What others see beside your cursor. */
  name?: string
}

/** A text that many edit at once. What you do shows at once, is sent in order, and meets what others did. */
export interface TextDocument {
  /** The text as it is here. */
  readonly value: string
  /** The versions it stands on, as in `Version`; empty before anything is known. */
  readonly version: readonly string[]
  /** Whether the peer has a text here. The first edit makes one. */
  readonly exists: boolean
  /** Whether everything made here is stored on this device. */
  readonly isSaved: boolean
  /** Why nothing more is sent or received; undefined while all is well. */
  readonly problem: KithError | undefined
  /** Who this document is to others: the `client` of its cursor. */
  readonly client: string
  /** Resolves once the text is here; rejects with a {@link KithError} where there can be none. */
  readonly ready: Promise<void>
  /** The others in the text. */
  readonly cursors: readonly Cursor[]
  /**
   * Changes the text. Ranges are of the text as it is now.
   * @throws RangeError where ranges overlap or lie outside
   * @example doc.edit([{ from: 0, to: 0, insert: '# Title\n' }])
   */
  edit(splices: Iterable<Splice>, origin?: unknown): void
  /** Makes the text another one by the smallest change that does, so that what others do meanwhile keeps its place. */
  replace(text: string, origin?: unknown): void
  /** Shows others where you are; `undefined`: nowhere. */
  cursor(from: number | undefined, to?: number): void
  /** Changes what others see beside your cursor. */
  rename(name: string): void
  /** Calls the listener from now on. @returns what ends that */
  on<K extends keyof TextEventMap>(type: K, listener: (event: TextEventMap[K]) => void): () => void
  /**
   * Every remote change from now on.
   * @example for await (const { splices } of doc) console.log(splices)
   */
  [Symbol.asyncIterator](): AsyncGenerator<TextChange, void, undefined>
  /** Resolves once everything made here until now is stored on this device. */
  saved(): Promise<void>
  /** Stores what is left and lets go. */
  close(): Promise<void>
}
