// Waiting for something that can be observed, with a deadline and a sentence saying what did not come.

/** How long a condition may take unless told otherwise, in milliseconds. Slow machines: `KITH_PATIENCE=3` triples it. */
export const PATIENCE_MS = 15_000 * Number(process.env.KITH_PATIENCE ?? 1)

/**
 * Calls `probe` until it gives something truthy, and returns that.
 *
 * @param {() => unknown} probe may be async; an error counts as "not yet" and is told if the deadline passes,
 *   unless it has `final: true` (see `hopeless`): then it is thrown at once
 * @param {object|string} options `{what, timeout, every}` or just `what`: the thing waited for, as in "the relay's log line"
 */
export async function waitFor(probe, options = {}) {
  const { what = 'the condition', timeout = PATIENCE_MS, every = 50 } = typeof options === 'string' ? { what: options } : options
  const began = Date.now()
  let last
  let error
  for (;;) {
    try {
      last = await within(Promise.resolve(probe()), Math.max(1, timeout - (Date.now() - began)), what)
      error = undefined
      if (last) return last
    } catch (thrown) {
      if (thrown?.final) throw thrown
      error = thrown
    }
    if (Date.now() - began >= timeout) {
      const seen = error ? `; last error: ${error.message}` : last === undefined ? '' : `; last seen: ${JSON.stringify(last)}`
      throw new Error(`waited ${timeout} ms for ${what}, in vain${seen}`, { cause: error })
    }
    await new Promise((resolve) => setTimeout(resolve, every))
  }
}

/** An error that ends a `waitFor` at once, for when waiting longer cannot help. */
export const hopeless = (message) => Object.assign(new Error(message), { final: true })

/** The promise's result, or an error if it takes longer. */
export async function within(promise, ms, what = 'an answer') {
  let timer
  const late = new Promise((_, reject) => {
    timer = setTimeout(() => reject(new Error(`no ${what.replace(/^(an?|the) /, '')} within ${Math.round(ms)} ms`)), ms)
  })
  try {
    return await Promise.race([promise, late])
  } finally {
    clearTimeout(timer)
  }
}

/**
 * Checks that something stays true for a while, looking again and again; throws as soon as it is not.
 * For "nothing must happen" statements, where there is no event to wait for.
 */
export async function stays(probe, { what = 'the condition', ms = 1000, every = 50 } = {}) {
  const end = Date.now() + ms
  while (Date.now() < end) {
    if (!(await probe())) throw new Error(`${what} was no longer true after ${ms - (end - Date.now())} ms`)
    await new Promise((resolve) => setTimeout(resolve, every))
  }
}
