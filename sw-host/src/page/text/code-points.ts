/** Between JavaScript's positions (UTF-16 units) and those on the wire (Unicode code points). A document never holds half a surrogate pair. */
import type { Splice, Splices } from './splices.ts'

/** A splice as it is sent: positions in code points of the text before it. */
export interface Patch {
  from: number
  to: number
  insert: string
}

const isHigh = (unit: number): boolean => unit >= 0xd800 && unit < 0xdc00
const isLow = (unit: number): boolean => unit >= 0xdc00 && unit < 0xe000
/** Whether a position lies inside of a pair. */
const splits = (text: string, at: number): boolean => isLow(text.charCodeAt(at)) && isHigh(text.charCodeAt(at - 1))

/** The text with every half of a pair replaced by U+FFFD, as encoding it would. */
export const wellFormed = (text: string): string => text.replace(/\p{Surrogate}/gu, '\ufffd')

/** How many code points a text has. */
export function codePoints(text: string): number {
  let count = text.length
  for (let at = 0; at < text.length; at++) if (splits(text, at)) count--
  return count
}

/**
 * A change that replaces whole code points only, and inserts well-formed text. Where a range begins or ends inside of a pair it takes the
 * pair in whole, and what was to stay of it is inserted again (and becomes U+FFFD unless it finds its other half).
 */
export function whole(text: string, splices: Splices): Splice[] {
  return splices.map(({ from, to, insert }) => {
    const left = splits(text, from) ? 1 : 0
    const right = splits(text, to) ? 1 : 0
    return { from: from - left, to: to + right, insert: wellFormed(text.slice(from - left, from) + insert + text.slice(to, to + right)) }
  })
}

/** Counts along a text, forwards only. */
class Walk {
  readonly #text: string
  #units = 0
  #points = 0

  constructor(text: string) {
    this.#text = text
  }

  #step(): void {
    this.#units += isHigh(this.#text.charCodeAt(this.#units)) && isLow(this.#text.charCodeAt(this.#units + 1)) ? 2 : 1
    this.#points++
  }

  /** The code points before this unit. */
  pointsAt(unit: number): number {
    while (this.#units < unit) this.#step()
    return this.#points
  }

  /** The units before this code point; undefined beyond the end. */
  unitsAt(point: number): number | undefined {
    while (this.#points < point && this.#units < this.#text.length) this.#step()
    return this.#points === point ? this.#units : undefined
  }
}

/** A change of whole code points as it is sent. */
export function toPatches(text: string, splices: Splices): Patch[] {
  const walk = new Walk(text)
  return splices.map(({ from, to, insert }) => ({ from: walk.pointsAt(from), to: walk.pointsAt(to), insert }))
}

/**
 * A received change in JavaScript's positions.
 * @throws RangeError where it is not sorted, overlaps, or lies outside of the text
 */
export function fromPatches(text: string, patches: readonly Patch[]): Splice[] {
  const walk = new Walk(text)
  let last = 0
  return patches.map(({ from, to, insert }) => {
    if (from < last || to < from) throw new RangeError('The ranges of an update are not in order.')
    last = to
    const start = walk.unitsAt(from)
    const end = walk.unitsAt(to)
    if (start === undefined || end === undefined) throw new RangeError('A range of an update lies outside of the text.')
    return { from: start, to: end, insert }
  })
}

/** How many code points a change inserts and deletes: what its version counts. */
export function weight(patches: readonly Patch[]): number {
  return patches.reduce((sum, { from, to, insert }) => sum + (to - from) + codePoints(insert), 0)
}

/** One position on the wire, in JavaScript's; beyond the end is the end. */
export const unitsAt = (text: string, point: number): number => new Walk(text).unitsAt(point) ?? text.length

/** One of JavaScript's positions as on the wire. */
export const pointsAt = (text: string, unit: number): number => new Walk(text).pointsAt(Math.min(unit, text.length))
