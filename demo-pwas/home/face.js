// A small picture made from an id, so that people are told apart at a glance. The same id gives the same picture everywhere.
import { svg } from '/assets/html.js'

/** A 32-bit hash of a text (FNV-1a); not for secrets. */
function hash(text) {
  let h = 0x811c9dc5
  for (const char of text) h = Math.imul(h ^ char.codePointAt(0), 0x01000193) >>> 0
  return h
}

/** A 5 × 5 mirrored pattern in a colour of its own. Decoration: the id or name stands beside it. */
export function face(id) {
  const h = hash(id || '?')
  const hue = h % 360
  const cells = []
  for (let column = 0; column < 3; column += 1) {
    for (let row = 0; row < 5; row += 1) {
      if ((h >>> (column * 5 + row)) & 1) for (const x of new Set([column, 4 - column])) cells.push(`M${x + 1.5} ${row + 1.5}h1v1h-1z`)
    }
  }
  return svg`<svg class="face" viewBox="0 0 8 8" aria-hidden="true"><rect width="8" height="8" rx="4" fill=${`hsl(${hue} 45% 30%)`}></rect>
    <path d=${cells.join('')} fill=${`hsl(${hue} 80% 85%)`}></path></svg>`
}
