/** The SDK's public types for values of kinds: shipped in `kith.d.ts`. */
import type { Json, Path, WriteOptions, Written } from './api.ts'

/** How writes made at the same time are merged. */
export type MergeType = 'lww' | 'mv' | 'counter' | 'set' | 'list'

/** One of several values that stand beside each other. */
export interface Rival<T = Json> {
  version: string
  /** Who wrote it, as did:key. */
  author: string
  /** When, by the author's clock, in milliseconds since 1970. */
  time: number
  value: T
}

/** A place where values written at the same time stand beside each other. Writing there settles it. */
export interface Conflict<T = Json> {
  /** In URL form: each key as `encodeURIComponent` makes it. */
  path: string
  /** The version of the value that is shown. */
  winner: string
  /** All of them, the one shown first. */
  values: Rival<T>[]
}

/** What only values of some kinds can do. */
export interface KindCalls {
  /**
   * Adds to a counter; makes one where nothing is. Increments made at the same time add up.
   * @example await space.increment('votes/tea')
   */
  increment(path: Path, by?: number, options?: WriteOptions): Promise<Written>
  /**
   * Adds members to a set; makes one where nothing is. Where others remove one at the same time, the addition wins.
   * @example await space.add('notes/1/tags', 'hot')
   */
  add(path: Path, ...members: Json[]): Promise<Written>
  /** Removes members from a set. */
  remove(path: Path, ...members: Json[]): Promise<Written>
  /** Where values of kind `mv` stand beside each other. */
  conflicts<T = Json>(options?: { signal?: AbortSignal }): Promise<Conflict<T>[]>
}
