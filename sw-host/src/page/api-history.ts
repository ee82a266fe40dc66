/** The SDK's public types for the past of a space: part of `kith.d.ts`. */
import type { Path, Written } from './api.ts'

/** A point in the past: a version (of several the latest), or a time by the clocks of the writers. */
export interface PastOptions {
  /** As `read` and `history` give them. */
  version?: string | readonly string[]
  /** A `Date`, milliseconds since 1970, or text such as `2026-11-26T09:30:00Z`. */
  at?: Date | number | string
}

/** How a value is read. */
export interface ReadOptions extends PastOptions {
  signal?: AbortSignal
}

/** One version of a path. */
export interface VersionInfo {
  version: string
  /** Who made it, as did:key. */
  author: string
  /** When, by the author's clock, in milliseconds since 1970. */
  time: number
  /** Bytes of content it wrote at and below the path. */
  size: number
  kind: 'put' | 'delete'
  /** The places it touched, if others than the path itself: the first few. */
  paths?: string[]
  /** How many further places it touched. */
  more?: number
}

/** One page of versions, newest first. */
export interface History {
  items: VersionInfo[]
  /** Give it as `before` for the next page; undefined on the last. */
  next?: string
}

/** What an undo or redo did. */
export interface Undone {
  /** The write that was undone (the undo that was redone); null if there was none. */
  target: string | null
  /** The version of this change. */
  version: string | null
  /** The places put back. */
  restored: string[]
  /** The places left alone because others have changed them since. */
  skipped: string[]
}

/** What a path is right now, in a way that a rewritten history cannot pretend to be. */
export interface StrongLink {
  space: string
  path: string
  version: string
  /** The hash of that version's entry, which vouches for everything its author had written and seen before. */
  hash: string
  /** Reads exactly this; answers 409 `history-rewritten` if the history is no longer the same. */
  url: string
}

/** What became of a file of a space. */
export interface Imported {
  space: string
  /** Entries in the file. */
  entries: number
  /** Those that were not here before. */
  new: number
  known: number
  /** Those that were not taken, by the name of the reason. */
  refused: Record<string, number>
}

/** The past of a space. */
export interface SpacePast {
  /**
   * The versions of a path and everything below it, newest first.
   * @example const { items } = await space.history('notes/1', { limit: 20 })
   */
  history(path: Path, options?: { before?: string; limit?: number; signal?: AbortSignal }): Promise<History>
  /**
   * Makes a path what it was, by a new write: everybody sees it as any other change.
   * @example await space.restore('notes/1', { version: items[3].version })
   */
  restore(path: Path, to: PastOptions): Promise<Written>
  /**
   * Moves what stands at a path, with everything in it, to another where nothing stands. What others write in it meanwhile goes
   * with it.
   * @example await space.move('inbox/7', 'done/7')
   */
  move(from: Path, to: Path): Promise<Written>
  /**
   * Undoes the last write of this device at or below `path` (anywhere, if not given), wherever it is what still shows.
   * @example const { skipped } = await space.undo('notes/1')
   */
  undo(path?: Path): Promise<Undone>
  /** Redoes what was undone last, unless something was written here since. */
  redo(path?: Path): Promise<Undone>
  /** A link to what a path is right now. */
  link(path: Path, options?: PastOptions): Promise<StrongLink>
  /**
   * The whole space with its history as one file, sealed as it is stored. With `keys`, whoever has the file can read it:
   * keep it like a password.
   * @example const file = await space.exportSpace({ keys: true })
   */
  exportSpace(options?: { keys?: boolean; signal?: AbortSignal }): Promise<Blob>
}

/** Taking in what {@link SpacePast.exportSpace} gave out. */
export interface Imports {
  /**
   * Takes in a file of a space. Every entry is verified; importing twice changes nothing. A space this device is no member
   * of can be read afterwards, if the file has its keys.
   */
  importSpace(file: Blob, options?: { signal?: AbortSignal }): Promise<Imported>
}
