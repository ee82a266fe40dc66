// What a person sees: progress lines with a prefix, and errors in plain words.

const started = Date.now()
const tint = process.stdout.isTTY && !process.env.NO_COLOR
const paint = (code, text) => (tint ? `\u001b[${code}m${text}\u001b[0m` : text)

/** Seconds since the script began, for progress lines. */
export const clock = () => `${((Date.now() - started) / 1000).toFixed(0).padStart(4)}s`

/** One progress line: `  12s [wasm] compiled 40 crates`. */
export function say(prefix, text) {
  process.stdout.write(`${paint(90, clock())} ${paint(36, `[${prefix}]`)} ${text}\n`)
}

/** A failure that a person can act on: `message` is a plain sentence, `detail` what a tool printed. */
export class PlainError extends Error {
  constructor(message, detail = '') {
    super(message)
    this.name = 'PlainError'
    this.detail = detail
  }
}

/** Prints an error the way every script ends on one. */
export function sayError(error) {
  if (error instanceof PlainError) {
    if (error.detail) process.stderr.write(`\n${error.detail.trimEnd()}\n`)
    process.stderr.write(`\n${paint(31, 'error:')} ${error.message}\n`)
  } else {
    process.stderr.write(`\n${paint(31, 'error:')} ${error?.stack ?? error}\n`)
  }
}

/** Runs a script's main function and turns whatever happens into an exit code. */
export async function main(body) {
  try {
    const code = await body()
    process.exitCode = typeof code === 'number' ? code : 0
  } catch (error) {
    sayError(error)
    process.exitCode = 1
  }
}

/** `1234567` as `1.2 MB`; `12345` as `12.3 KB`. Powers of ten. */
export function size(bytes) {
  if (bytes >= 1e6) return `${(bytes / 1e6).toFixed(2)} MB`
  if (bytes >= 1e3) return `${(bytes / 1e3).toFixed(1)} KB`
  return `${bytes} B`
}

/** A plain text table; the first row is the head, figures are aligned right. */
export function table(rows) {
  const text = rows.map((row) => row.map(String))
  const widths = text[0].map((_, column) => Math.max(...text.map((row) => (row[column] ?? '').length)))
  const figure = (column) => text.slice(1).every((row) => /^[-\d.,+ ]*( ?[a-zA-Z%/]+)?$/.test(row[column] ?? ''))
  const line = (row) =>
    row.map((cell, i) => (i > 0 && figure(i) ? cell.padStart(widths[i]) : cell.padEnd(widths[i]))).join('  ').trimEnd()
  return [line(text[0]), widths.map((w) => '-'.repeat(w)).join('  '), ...text.slice(1).map(line)].join('\n')
}
