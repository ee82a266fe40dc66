// Figures as every benchmark prints them: a table for people, one line of JSON for machines.
import { table } from '../../../scripts/lib/say.mjs'

/** `KITH_BENCH_QUICK=1` runs everything with small counts: to try the benchmarks, not to quote them. */
export const QUICK = process.env.KITH_BENCH_QUICK === '1'
/** The count of a measurement, full or quick. */
export const times = (full, quick) => (QUICK ? quick : full)

/** The value below which this share of the numbers lies (nearest rank). */
export function quantile(numbers, share) {
  const sorted = [...numbers].sort((a, b) => a - b)
  return sorted[Math.min(sorted.length - 1, Math.max(0, Math.ceil(share * sorted.length) - 1))]
}

const rounded = (number) => (number === undefined ? undefined : Number(number.toPrecision(4)))

/** `{n, p50, p95, max}` of some measurements. */
export const spread = (numbers) => ({
  n: numbers.length,
  p50: rounded(quantile(numbers, 0.5)),
  p95: rounded(quantile(numbers, 0.95)),
  max: rounded(Math.max(...numbers)),
})

/** A figure with as many digits as it is worth. */
export const figure = (number) => (number === undefined ? '' : number >= 100 ? String(Math.round(number)) : number >= 10 ? number.toFixed(1) : number.toFixed(2))

/** Ours divided by theirs, as `1.23x`. */
export const ratio = (ours, theirs) => (ours === undefined || !theirs ? '' : `${(ours / theirs).toFixed(2)}x`)

/** Bytes as megabytes. */
export const megabytes = (bytes) => (bytes === undefined ? '' : `${(bytes / 1e6).toFixed(bytes < 1e6 ? 3 : 1)} MB`)

/** Prints a table under a title; the first row is the head. */
export const show = (title, rows) => process.stdout.write(`${title}\n${table(rows)}\n\n`)

/** Prints spreads of milliseconds by name, each with its ratio to the one called `baseline` (p95 against p95). */
export function showSpreads(title, spreads, baseline) {
  const base = spreads[baseline]
  const rows = Object.entries(spreads).map(([name, one]) => [
    name,
    one.n,
    figure(one.p50),
    figure(one.p95),
    figure(one.max),
    base && name !== baseline ? ratio(one.p50, base.p50) : '',
    base && name !== baseline ? ratio(one.p95, base.p95) : '',
  ])
  show(title, [['ms', 'n', 'p50', 'p95', 'max', 'p50 ratio', 'p95 ratio'], ...rows])
}

/** Whether a target is met, in words. */
export function target(what, value, limit, unit = 'ms') {
  const met = value <= limit
  const words = met ? 'met' : `missed by ${figure(((value - limit) / limit) * 100)} %`
  process.stdout.write(`target: ${what} <= ${limit} ${unit}: ${figure(value)} ${unit}, ${words}\n`)
  return { what, value, limit, unit, met }
}

/** The last line of a benchmark: everything it found, for machines. */
export const publish = (name, results) => process.stdout.write(`${JSON.stringify({ bench: name, quick: QUICK, ...results })}\n`)
