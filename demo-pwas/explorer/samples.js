// Times in milliseconds, kept in a ring so that memory stays flat however long a run lasts.

const KEPT = 2000
const BUCKETS = 24
/** The histogram runs from 0.5 ms to about 8 s, each bucket √2 … 2 times the last. */
const FIRST = 0.5
const GROWTH = 1.55

/** The last 2 000 samples of one measure. */
export class Samples {
  #ring = []
  #next = 0
  /** How many were ever added. */
  count = 0

  /** Adds one time in milliseconds; negative ones (clocks apart) count as they are. */
  add(ms) {
    if (!Number.isFinite(ms)) return
    this.#ring[this.#next] = ms
    this.#next = (this.#next + 1) % KEPT
    this.count += 1
  }

  /** Median, 95th percentile and largest of the kept samples; undefined when there are none. */
  summary() {
    if (this.#ring.length === 0) return undefined
    const sorted = [...this.#ring].sort((a, b) => a - b)
    const at = (share) => sorted[Math.min(sorted.length - 1, Math.floor(share * sorted.length))]
    return { p50: at(0.5), p95: at(0.95), max: sorted.at(-1) }
  }

  /** How the kept samples spread, as shares of the fullest bucket (0 … 1). */
  histogram() {
    const buckets = new Array(BUCKETS).fill(0)
    for (const ms of this.#ring) {
      const bucket = ms <= FIRST ? 0 : Math.ceil(Math.log(ms / FIRST) / Math.log(GROWTH))
      buckets[Math.min(BUCKETS - 1, bucket)] += 1
    }
    const top = Math.max(1, ...buckets)
    return buckets.map((n) => n / top)
  }

  clear() {
    this.#ring = []
    this.#next = 0
    this.count = 0
  }
}
