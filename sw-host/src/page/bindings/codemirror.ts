/** CodeMirror 6 on a text: an extension. Not a part of `kith.js`; CodeMirror itself comes from the author. */
import { Annotation, StateEffect, Transaction } from '@codemirror/state'
import type { Extension, Range } from '@codemirror/state'
import { Decoration, EditorView, ViewPlugin, WidgetType } from '@codemirror/view'
import type { DecorationSet, ViewUpdate } from '@codemirror/view'
import type { Cursor, TextChange, TextDocument } from '../api-text.ts'
import { diff } from '../text/diff.ts'
import type { Splice } from '../text/splices.ts'
import { lineEnds } from './surface.ts'

/** Marks changes that came from the text, so that they do not go back there. */
const fromText = Annotation.define<boolean>()
/** Others came, moved or left. */
const moved = StateEffect.define<null>()
/** How many colours there are for others; class names `kith-color-0` and on. */
export const COLORS = 8

/** The colour of somebody: always the same for the same name, or for the same document where there is no name. */
export function colorOf({ name, client }: { name: string; client: string }): number {
  let sum = 0
  for (const character of name || client) sum = (sum * 31 + (character.codePointAt(0) ?? 0)) >>> 0
  return sum % COLORS
}

/**
 * Keeps an editor and a text the same, and shows where others are. Begin with the text as it is:
 * @example new EditorView({ doc: doc.value, extensions: [history(), kithText(doc)], parent })
 */
export function kithText(doc: TextDocument): Extension {
  return [ViewPlugin.define((view) => new Follower(view, doc), { decorations: (follower) => follower.decorations }), look]
}

class Follower {
  readonly #view: EditorView
  readonly #doc: TextDocument
  readonly #off: (() => void)[]
  decorations: DecorationSet = Decoration.none
  #ended = false
  #moving = false

  constructor(view: EditorView, doc: TextDocument) {
    this.#view = view
    this.#doc = doc
    this.#off = [doc.on('change', (change) => this.#changed(change)), doc.on('cursors', () => this.#cursorsMoved())]
    // Others may have been here before the editor was.
    this.decorations = cursorDecorations(doc.cursors, view.state.doc.length)
    // An editor may not be changed while it is being made.
    queueMicrotask(() => this.#align())
  }

  update(update: ViewUpdate): void {
    for (const transaction of update.transactions) {
      if (!transaction.docChanged || transaction.annotation(fromText)) continue
      const splices: Splice[] = []
      transaction.changes.iterChanges((from, to, _from, _to, inserted) => splices.push({ from, to, insert: inserted.sliceString(0, undefined, '\n') }))
      this.#doc.edit(splices, this)
    }
    // Half a character is no text: the document made it whole.
    if (update.docChanged && update.state.doc.length !== this.#doc.value.length) queueMicrotask(() => this.#align())
    if ((update.selectionSet || update.focusChanged || update.docChanged) && update.view.hasFocus) {
      const { anchor, head } = update.state.selection.main
      this.#doc.cursor(anchor, head)
    }
    if (update.docChanged || update.transactions.some(({ effects }) => effects.some((effect) => effect.is(moved)))) {
      this.decorations = cursorDecorations(this.#doc.cursors, update.state.doc.length)
    }
  }

  destroy(): void {
    this.#ended = true
    for (const off of this.#off) off()
    this.#doc.cursor(undefined)
  }

  #changed({ splices, origin }: TextChange): void {
    if (origin === this) return
    this.#dispatch(splices)
    if (this.#doc.value.includes('\r')) queueMicrotask(() => this.#align())
  }

  /** Shows where others are, once whatever moved them is over: typing here moves them too, and an editor may not be changed meanwhile. */
  #cursorsMoved(): void {
    if (this.#moving) return
    this.#moving = true
    queueMicrotask(() => {
      this.#moving = false
      if (!this.#ended) this.#view.dispatch({ effects: moved.of(null) })
    })
  }

  #dispatch(changes: readonly Splice[]): void {
    const annotations = [fromText.of(true), Transaction.addToHistory.of(false), Transaction.remote.of(true)]
    this.#view.dispatch({ changes: [...changes], annotations })
  }

  /** Makes both the same where they are not: at the beginning, and after line ends that CodeMirror does not have. */
  #align(): void {
    if (this.#ended) return
    const ends = this.#view.state.readOnly ? [] : lineEnds(this.#doc.value)
    if (ends.length > 0) this.#doc.edit(ends, this)
    const changes = diff(this.#view.state.sliceDoc(), this.#doc.value)
    if (changes.length > 0) this.#dispatch(changes)
  }
}

function cursorDecorations(cursors: readonly Cursor[], length: number): DecorationSet {
  const ranges: Range<Decoration>[] = []
  for (const cursor of cursors) {
    const color = colorOf(cursor)
    const [from, to] = [Math.min(cursor.from, length), Math.min(cursor.to, length)]
    if (from !== to) ranges.push(Decoration.mark({ class: `kith-selection kith-color-${color}` }).range(Math.min(from, to), Math.max(from, to)))
    ranges.push(Decoration.widget({ widget: new Caret(cursor.name, color), side: to < from ? 1 : -1 }).range(to))
  }
  return Decoration.set(ranges, true)
}

/** A line where somebody's caret is, with their name. */
class Caret extends WidgetType {
  readonly #name: string
  readonly #color: number

  constructor(name: string, color: number) {
    super()
    this.#name = name
    this.#color = color
  }

  override eq(other: Caret): boolean {
    return other.#name === this.#name && other.#color === this.#color
  }

  override toDOM(): HTMLElement {
    const caret = document.createElement('span')
    caret.className = `kith-caret kith-color-${this.#color}`
    // Read aloud as part of the text it would only be in the way; an app lists who is there.
    caret.setAttribute('aria-hidden', 'true')
    const label = document.createElement('span')
    label.className = 'kith-name'
    label.textContent = this.#name || 'Somebody'
    caret.append('\u2060', label)
    return caret
  }

  override ignoreEvent(): boolean {
    return true
  }
}

/** Colours that white text can be read on; authors may set `--kith-color-0` and on. */
const HUES = ['#b3261e', '#0b57a4', '#146c2e', '#7b3fa0', '#8a4b00', '#00696f', '#a1246b', '#4a5568']
const colors = Object.fromEntries(HUES.map((hue, n) => [`.kith-color-${n}`, { '--kith-color': `var(--kith-color-${n}, ${hue})` }]))

const look = EditorView.baseTheme({
  ...colors,
  '.kith-selection': { backgroundColor: 'color-mix(in srgb, var(--kith-color) 25%, transparent)' },
  '.kith-caret': { position: 'relative', borderLeft: '2px solid var(--kith-color)', marginLeft: '-1px', marginRight: '-1px', pointerEvents: 'none' },
  '.kith-name': {
    position: 'absolute',
    left: '-2px',
    bottom: '100%',
    padding: '0 0.35em',
    borderRadius: '0.3em 0.3em 0.3em 0',
    backgroundColor: 'var(--kith-color)',
    color: '#fff',
    font: '600 0.68rem/1.35 system-ui, sans-serif',
    whiteSpace: 'nowrap',
    zIndex: '5',
  },
  // In the first line there is nothing above: the name hangs below.
  '.cm-line:first-child .kith-name': { bottom: 'auto', top: '100%', borderRadius: '0 0.3em 0.3em 0.3em' },
})
