/** Undo of one's own changes in a text that others change too: what they did stays. */
import { compose, invert, rebase } from '../text/splices.ts'
import type { Splices } from '../text/splices.ts'

/** Changes closer together than this are undone together, in milliseconds. */
const TOGETHER_MS = 600
/** Most steps kept. */
const MOST_STEPS = 500

/** A stack: each entry takes back what came after the one below it. */
type Stack = Splices[]

/** Moves a stack over a change made by somebody else to the text its top is of. */
function over(stack: Stack, change: Splices): Stack {
  const moved: Stack = []
  let rest = change
  for (const entry of [...stack].reverse()) {
    moved.push(rebase(entry, rest, true))
    rest = rebase(rest, entry, false)
  }
  return moved.reverse().filter((entry) => entry.length > 0)
}

/** The history of one editor. */
export class Undo {
  #undo: Stack = []
  #redo: Stack = []
  #last = Number.NEGATIVE_INFINITY

  /** Remembers a change made here to `text`, at `time` in milliseconds. */
  made(change: Splices, text: string, time: number): void {
    const back = invert(change, text)
    const top = this.#undo.at(-1)
    if (top && time - this.#last < TOGETHER_MS) this.#undo[this.#undo.length - 1] = compose(back, top)
    else this.#undo.push(back)
    if (this.#undo.length > MOST_STEPS) this.#undo.shift()
    this.#redo = []
    this.#last = time
  }

  /** Somebody else changed the text. */
  remote(change: Splices): void {
    this.#undo = over(this.#undo, change)
    this.#redo = over(this.#redo, change)
    this.#last = Number.NEGATIVE_INFINITY
  }

  /** What takes the last step back, or does it again; undefined if there is none. The caller applies it to `text`. */
  step(direction: 'undo' | 'redo', text: string): Splices | undefined {
    const [from, to] = direction === 'undo' ? [this.#undo, this.#redo] : [this.#redo, this.#undo]
    const change = from.pop()
    if (!change) return undefined
    to.push(invert(change, text))
    this.#last = Number.NEGATIVE_INFINITY
    return change
  }
}
