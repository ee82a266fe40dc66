/** CodeMirror 6 on a text: an extension. Not a part of `kith.js`; CodeMirror itself comes from the author. */
import { Annotation, EditorSelection, StateEffect, Transaction } from '@codemirror/state'
import type { Extension, Range } from '@codemirror/state'
import { Decoration, EditorView, layer, RectangleMarker, ViewPlugin } from '@codemirror/view'
import type { DecorationSet, LayerMarker, ViewUpdate } from '@codemirror/view'
import type { Cursor, TextChange, TextDocument } from '../api-text.ts'
import { diff } from '../text/diff.ts'
import type { Splice } from '../text/splices.ts'
import { lineEnds } from './surface.ts'

/** Marks changes that came from the text, so that they do not go back there. */
const fromText = Annotation.define<boolean>()
/** Others came, moved or left. */
const moved = StateEffect.define<null>()
/** Above a caret nearer to the top than this its name would be cut off, in pixels. */
const NAME_HEIGHT = 24
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
  return [ViewPlugin.define((view) => new Follower(view, doc), { decorations: (follower) => follower.decorations }), carets(doc), look]
}

const hasMoved = ({ transactions }: ViewUpdate): boolean => transactions.some(({ effects }) => effects.some((effect) => effect.is(moved)))

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
    this.decorations = selections(doc.cursors, view.state.doc.length)
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
    if (update.docChanged || hasMoved(update)) {
      this.decorations = selections(this.#doc.cursors, update.state.doc.length)
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

function selections(cursors: readonly Cursor[], length: number): DecorationSet {
  const ranges: Range<Decoration>[] = []
  for (const cursor of cursors) {
    const [from, to] = [Math.min(cursor.from, cursor.to, length), Math.min(Math.max(cursor.from, cursor.to), length)]
    if (from !== to) ranges.push(Decoration.mark({ class: `kith-selection kith-color-${colorOf(cursor)}` }).range(from, to))
  }
  return Decoration.set(ranges, true)
}

/** Where others are, drawn above the text: a caret in the text itself would move its words and let lines break where it stands. */
const carets = (doc: TextDocument): Extension =>
  layer({
    above: true,
    class: 'kith-carets',
    update: (update) => update.docChanged || hasMoved(update),
    markers: (view) => doc.cursors.flatMap((cursor) => caretsOf(view, cursor)),
  })

function caretsOf(view: EditorView, cursor: Cursor): Caret[] {
  const at = Math.min(cursor.to, view.state.doc.length)
  // At the end of a wrapped line the caret stays where its selection comes from.
  const places = RectangleMarker.forRange(view, '', EditorSelection.cursor(at, cursor.to < cursor.from ? 1 : -1))
  return places.map(({ left, top, height }) => {
    // The name goes where there is room for it.
    const [below, before] = [top < NAME_HEIGHT, left > view.scrollDOM.clientWidth / 2]
    const className = `kith-caret kith-color-${colorOf(cursor)}${below ? ' kith-below' : ''}${before ? ' kith-before' : ''}`
    return new Caret(className, cursor.name || 'Somebody', `left:${left}px;top:${top}px;height:${height}px`)
  })
}

/** A line where somebody's caret is, with their name. */
class Caret implements LayerMarker {
  readonly #className: string
  readonly #name: string
  readonly #place: string

  constructor(className: string, name: string, place: string) {
    this.#className = className
    this.#name = name
    this.#place = place
  }

  eq(other: LayerMarker): boolean {
    return other instanceof Caret && other.#className === this.#className && other.#name === this.#name && other.#place === this.#place
  }

  draw(): HTMLElement {
    const caret = document.createElement('div')
    caret.append(Object.assign(document.createElement('span'), { className: 'kith-name' }))
    this.update(caret)
    return caret
  }

  update(caret: HTMLElement): boolean {
    caret.className = this.#className
    // Set like this, a policy that forbids inline styles has nothing against it.
    caret.style.cssText = this.#place
    if (caret.firstChild) caret.firstChild.textContent = this.#name
    return true
  }
}

/** Colours that white text can be read on; authors may set `--kith-color-0` and on. */
const HUES = ['#b3261e', '#0b57a4', '#146c2e', '#7b3fa0', '#8a4b00', '#00696f', '#a1246b', '#4a5568']
const colors = Object.fromEntries(HUES.map((hue, n) => [`.kith-color-${n}`, { '--kith-color': `var(--kith-color-${n}, ${hue})` }]))

const look = EditorView.baseTheme({
  ...colors,
  '.kith-selection': { backgroundColor: 'color-mix(in srgb, var(--kith-color) 25%, transparent)' },
  '.kith-caret': { position: 'absolute', borderLeft: '2px solid var(--kith-color)', marginLeft: '-1px', pointerEvents: 'none' },
  '.kith-name': {
    position: 'absolute',
    left: '-2px',
    bottom: '100%',
    maxWidth: '12em',
    overflow: 'hidden',
    textOverflow: 'ellipsis',
    padding: '0 0.35em',
    borderRadius: '0.3em 0.3em 0.3em 0',
    backgroundColor: 'var(--kith-color)',
    color: '#fff',
    font: '600 0.68rem/1.35 system-ui, sans-serif',
    whiteSpace: 'nowrap',
  },
  '.kith-before .kith-name': { left: 'auto', right: '0', borderRadius: '0.3em 0.3em 0 0.3em' },
  // In the first line there is nothing above: the name hangs below.
  '.kith-below .kith-name': { bottom: 'auto', top: '100%', borderRadius: '0 0.3em 0.3em 0.3em' },
  '.kith-below.kith-before .kith-name': { borderRadius: '0.3em 0 0.3em 0.3em' },
})
