/** What turned one text into another. */
import { whole } from './code-points.ts'
import { regular } from './splices.ts'
import type { Splice } from './splices.ts'

/** Most insertions and deletions looked for one by one; texts further apart differ in one range. */
const MOST_STEPS = 400

/**
 * The change between two texts: small where they are close, one range where they are not.
 * @param caret where the person's caret is in `after`, if they just typed: of several equal answers, the one that ends there
 */
export function diff(before: string, after: string, caret = after.length): Splice[] {
  const most = Math.min(before.length, after.length)
  const sameEnd = (limit: number, from = 0): number => {
    let count = from
    while (count < limit && before[before.length - 1 - count] === after[after.length - 1 - count]) count++
    return count
  }
  let end = sameEnd(Math.min(most, after.length - Math.min(caret, after.length)))
  let start = 0
  while (start < most - end && before[start] === after[start]) start++
  end = sameEnd(most - start, end)
  const [from, to] = [before.slice(start, before.length - end), after.slice(start, after.length - end)]
  if (!from && !to) return []
  const steps = from && to ? shortest(from, to) : undefined
  const splices = (steps ?? [{ from: 0, to: from.length, insert: to }]).map((splice) => ({ ...splice, from: splice.from + start, to: splice.to + start }))
  return regular(whole(before, regular(splices, before.length)), before.length)
}

/** The shortest change by Myers' greedy search; undefined if it is longer than `MOST_STEPS`. */
function shortest(before: string, after: string): Splice[] | undefined {
  const size = Math.min(MOST_STEPS, before.length + after.length)
  /** How far down `before` each diagonal got, after each number of steps. */
  const reached: Int32Array[] = []
  let line = new Int32Array(2 * size + 3)
  const at = (diagonal: number): number => diagonal + size + 1
  for (let steps = 0; steps <= size; steps++) {
    reached.push(line)
    const next = line.slice()
    for (let diagonal = -steps; diagonal <= steps; diagonal += 2) {
      const insert = diagonal === -steps || (diagonal !== steps && get(line, at(diagonal - 1)) < get(line, at(diagonal + 1)))
      let x = insert ? get(line, at(diagonal + 1)) : get(line, at(diagonal - 1)) + 1
      while (x < before.length && x - diagonal < after.length && before[x] === after[x - diagonal]) x++
      next[at(diagonal)] = x
      if (x >= before.length && x - diagonal >= after.length) return backwards(reached, before.length, after, at)
    }
    line = next
  }
  return undefined
}

const get = (line: Int32Array | undefined, index: number): number => line?.[index] ?? 0

/** Reads the way back from the end: one splice per step. */
function backwards(reached: Int32Array[], length: number, after: string, at: (diagonal: number) => number): Splice[] {
  const splices: Splice[] = []
  let x = length
  let y = after.length
  for (let steps = reached.length - 1; steps > 0; steps--) {
    const line = reached[steps]
    const diagonal = x - y
    const insert = diagonal === -steps || (diagonal !== steps && get(line, at(diagonal - 1)) < get(line, at(diagonal + 1)))
    x = get(line, at(insert ? diagonal + 1 : diagonal - 1))
    y = insert ? x - diagonal - 1 : x - diagonal + 1
    splices.push(insert ? { from: x, to: x, insert: after[y] ?? '' } : { from: x, to: x + 1, insert: '' })
  }
  return splices.reverse()
}
