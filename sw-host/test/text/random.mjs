// Dice that fall the same way for the same seed (mulberry32), and texts and changes thrown with them.
const CHARACTERS = ['a', 'b', 'c', ' ', '\n', 'é', 'e\u0301', '漢', '😀', '👩‍👩‍👧', '\u200f', '𝄞']

/** @param {number} seed */
export function random(seed) {
  let state = seed * 2654435761
  const next = () => {
    state = (state + 0x6d2b79f5) | 0
    let mixed = Math.imul(state ^ (state >>> 15), 1 | state)
    mixed = (mixed + Math.imul(mixed ^ (mixed >>> 7), 61 | mixed)) ^ mixed
    return ((mixed ^ (mixed >>> 14)) >>> 0) / 4294967296
  }
  const below = (limit) => Math.floor(next() * limit)
  const pick = (list) => list[below(list.length)]
  const text = (longest) => Array.from({ length: below(longest + 1) }, () => pick(CHARACTERS)).join('')
  /** Where no pair of surrogates is cut. */
  const boundary = (of) => {
    const points = [...of]
    return points.slice(0, below(points.length + 1)).join('').length
  }
  /** Up to three splices of whole code points, sorted, apart from each other. */
  const change = (of) => {
    const places = [...new Set(Array.from({ length: 2 * (1 + below(3)) }, () => boundary(of)))].sort((a, b) => a - b)
    const splices = []
    while (places.length > 0) {
      const from = places.shift()
      const to = places.length > 0 && below(2) ? places.shift() : from
      const insert = to > from && below(2) ? '' : text(3)
      if ((insert || to > from) && !(splices.at(-1)?.to === from)) splices.push({ from, to, insert })
    }
    return splices
  }
  return { next, below, pick, text, boundary, change }
}
