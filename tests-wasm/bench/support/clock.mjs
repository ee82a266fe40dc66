// One clock for pages of several browser processes: each finds how far its own fine clock is from the system's coarse one.

/** In a page: makes `globalThis.wall()`, milliseconds since 1970 to a fraction, good to about the page's timer resolution. */
export const makeWall = () => {
  let offset = -Infinity
  // Just after the system's clock ticked, the two show the same moment; seen late it looks smaller, so the largest is the truest.
  for (let tick = 0; tick < 20; tick++) {
    const before = Date.now()
    let now = before
    while (now === before) now = Date.now()
    offset = Math.max(offset, now - performance.now())
  }
  globalThis.wall = () => performance.now() + offset
  return offset
}
