/**
 * Changes of a text as splices: each replaces a range by an insert. All positions are in the text *before* any of them, so a change
 * is a sorted list of ranges that do not overlap. Positions count as JavaScript does (UTF-16 units); `code-points.ts` translates.
 */

/** Replaces `[from, to)` by `insert`. */
export interface Splice {
  from: number
  to: number
  insert: string
}

/** One change: sorted, not overlapping. */
export type Splices = readonly Splice[]

/** What a text is made of after a change: parts kept from before, and what was inserted. The last part kept has no end. */
type Segment = { from: number; length: number } | { insert: string }

const lengthOf = (segment: Segment): number => ('insert' in segment ? segment.insert.length : segment.length)

function* segments(splices: Splices): Generator<Segment, void, undefined> {
  let at = 0
  for (const { from, to, insert } of splices) {
    if (from > at) yield { from: at, length: from - at }
    if (insert) yield { insert }
    at = to
  }
  yield { from: at, length: Number.POSITIVE_INFINITY }
}

function fromSegments(parts: Iterable<Segment>): Splice[] {
  const splices: Splice[] = []
  let at = 0
  let insert = ''
  for (const part of parts) {
    if ('insert' in part) {
      insert += part.insert
      continue
    }
    if (insert || part.from > at) splices.push({ from: at, to: part.from, insert })
    insert = ''
    at = part.from + part.length
  }
  return splices
}

/**
 * A change as others give it, made regular: sorted, within the text, neighbours as one, what changes nothing left out.
 * @throws RangeError where ranges overlap or lie outside of the text
 */
export function regular(splices: Iterable<Splice>, length: number): Splice[] {
  const sorted = [...splices].sort((a, b) => a.from - b.from || a.to - b.to)
  let at = 0
  for (const { from, to } of sorted) {
    if (!Number.isInteger(from) || !Number.isInteger(to) || from < at || to < from || to > length) {
      throw new RangeError(`[${from}, ${to}) is not a range of this text of ${length} units, or overlaps the one before it`)
    }
    at = to
  }
  return fromSegments(segments(sorted))
}

/** The text after a change. */
export function apply(text: string, splices: Splices): string {
  let result = ''
  let at = 0
  for (const { from, to, insert } of splices) {
    result += text.slice(at, from) + insert
    at = to
  }
  return result + text.slice(at)
}

/** `first`, then `second`, as one change. */
export function compose(first: Splices, second: Splices): Splice[] {
  const rest = [...segments(first)].reverse()
  const result: Segment[] = []
  /** Takes so many units off what `first` left; gives them to `use`. */
  const take = (count: number, use: (part: Segment) => void): void => {
    for (let left = count; left > 0; ) {
      const part = rest.pop()
      if (!part) return
      const length = lengthOf(part)
      if (length <= left) {
        use(part)
        left -= length
        continue
      }
      use('insert' in part ? { insert: part.insert.slice(0, left) } : { from: part.from, length: left })
      rest.push('insert' in part ? { insert: part.insert.slice(left) } : { from: part.from + left, length: length - left })
      left = 0
    }
  }
  let at = 0
  for (const { from, to, insert } of second) {
    take(from - at, (part) => result.push(part))
    take(to - from, () => undefined)
    if (insert) result.push({ insert })
    at = to
  }
  return fromSegments([...result, ...rest.reverse()])
}

/**
 * Where a position is after a change. Text inserted exactly there comes before it if `after`, else behind it; a position in a range
 * that was replaced goes behind what replaced it.
 */
export function mapPosition(position: number, splices: Splices, after: boolean): number {
  let moved = 0
  for (const { from, to, insert } of splices) {
    if (from > position || (from === position && !after)) break
    if (to > position) return from + moved + insert.length
    moved += insert.length - (to - from)
  }
  return position + moved
}

/**
 * `change` as it is once `other`, made of the same text, was applied first. Where both insert at one place, `change` comes
 * second if `after`. For any two changes: `other` then `rebase(change, other, true)` gives the same text as `change` then
 * `rebase(other, change, false)`.
 */
export function rebase(change: Splices, other: Splices, after: boolean): Splice[] {
  const moved: Splice[] = []
  let before = 0
  let index = 0
  for (const { from, to, insert } of change) {
    const at = mapPosition(from, other, after)
    if (insert) moved.push({ from: at, to: at, insert })
    // What is left to delete: the range without what the other deleted, around what it inserted.
    let start = from
    while (start < to) {
      for (let next = other[index]; next && next.to <= start && next.from < start; next = other[index]) {
        before += next.insert.length - (next.to - next.from)
        index++
      }
      const next = other[index]
      if (next && next.from <= start) {
        if (next.to > to) break // It goes on beyond this range: the next one meets it again.
        before += next.insert.length - (next.to - next.from)
        start = Math.max(start, next.to)
        index++
        continue
      }
      const end = Math.min(to, next?.from ?? to)
      moved.push({ from: start + before, to: end + before, insert: '' })
      start = end
    }
  }
  return fromSegments(segments(moved))
}

/** What takes a change of this text back. */
export function invert(splices: Splices, text: string): Splice[] {
  let moved = 0
  return splices.map(({ from, to, insert }) => {
    const start = from + moved
    moved += insert.length - (to - from)
    return { from: start, to: start + insert.length, insert: text.slice(from, to) }
  })
}
