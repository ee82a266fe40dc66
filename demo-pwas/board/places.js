// Where notes are: their order when read one after another, and free room for a new one.

/** Room one note takes, in CSS pixels. */
const CELL = { width: 232, height: 216 }
/** Notes closer than this to a cell take it. */
const SLACK = 24
const MARGIN = 16

/** Sorts [id, note] pairs in reading order: row by row. It is also the order of the Tab key. */
export const inReadingOrder = (pairs) =>
  [...pairs].sort(([a, one], [b, two]) => (one.y ?? 0) - (two.y ?? 0) || (one.x ?? 0) - (two.x ?? 0) || (a < b ? -1 : 1))

/** Sorts [id, note] pairs as they stood before (`ids`), new ones last. */
export function inOrderOf(ids, pairs) {
  const place = new Map(ids.map((id, at) => [id, at]))
  const at = ([id]) => place.get(id) ?? ids.length
  return [...pairs].sort((a, b) => at(a) - at(b))
}

/** The first free cell, row by row, on a board `width` pixels wide: { x, y }. */
export function freePlace(pairs, width) {
  const columns = Math.max(1, Math.floor(width / CELL.width))
  const near = (one, other, size) => Math.abs((one ?? 0) - other) < size - SLACK
  for (let cell = 0; ; cell += 1) {
    const place = { x: MARGIN + (cell % columns) * CELL.width, y: MARGIN + Math.floor(cell / columns) * CELL.height }
    if (!pairs.some(([, note]) => near(note.x, place.x, CELL.width) && near(note.y, place.y, CELL.height))) return place
  }
}
