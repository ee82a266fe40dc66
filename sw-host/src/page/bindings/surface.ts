/** What every editable part of a page does with a text; how it reads and shows it is its own. */
import type { TextChange, TextDocument } from '../api-text.ts'
import { diff } from '../text/diff.ts'
import { compose, mapPosition, rebase } from '../text/splices.ts'
import type { Splice, Splices } from '../text/splices.ts'
import { Undo } from './undo.ts'

/** A selection: where it began and where the caret is. */
export interface Selection {
  anchor: number
  head: number
}

/** Something that shows a text and lets a person change it. */
export interface Surface {
  element: HTMLElement
  /** The text as it shows. */
  read(): string
  /** Shows another text. */
  write(text: string): void
  /** The selection, if the person is in it. */
  selection(): Selection | undefined
  select(selection: Selection): void
  /** Whether the person may change it. */
  editable(): boolean
}

/** A surface that follows a text. */
export interface Binding {
  undo(): void
  redo(): void
  /** Lets go of both; neither is closed. */
  close(): void
}

/** Line ends other editors write become the ones every editor on a page has. */
export function lineEnds(text: string): Splice[] {
  return [...text.matchAll(/\r\n?/g)].map(({ 0: found, index }) => ({ from: index, to: index + 1, insert: found.length === 1 ? '\n' : '' }))
}

/** The part of a binding that is the same for all. */
export class SurfaceBinding implements Binding {
  readonly #surface: Surface
  readonly #doc: TextDocument
  readonly #undo = new Undo()
  readonly #over = new AbortController()
  /** The text the surface shows, but for what the person did to it since. */
  #shown = ''
  #composing = false
  /** What others did while a word is being composed: it is shown after that, since touching the text would end the composition. */
  #held: Splices = []

  constructor(surface: Surface, doc: TextDocument) {
    this.#surface = surface
    this.#doc = doc
    const { signal } = this.#over
    const listen = (type: string, listener: (event: Event) => void, target: EventTarget = surface.element): void =>
      target.addEventListener(type, listener, { signal })
    listen('input', () => this.typed())
    listen('compositionstart', () => {
      this.#composing = true
    })
    listen('compositionend', () => {
      this.#composing = false
      this.typed()
    })
    listen('keydown', (event) => this.#key(event as KeyboardEvent))
    listen('beforeinput', (event) => this.#history(event as InputEvent))
    listen('selectionchange', () => this.#tell(), surface.element.ownerDocument)
    const off = doc.on('change', (change) => this.#changed(change))
    signal.addEventListener('abort', off)
    this.#normalise()
    this.#show()
  }

  undo(): void {
    this.#step('undo')
  }

  redo(): void {
    this.#step('redo')
  }

  close(): void {
    this.#over.abort()
    this.#doc.cursor(undefined)
  }

  /** Whether a word is being composed. */
  get composing(): boolean {
    return this.#composing
  }

  /** The person did something: what differs from what was shown is what they did. */
  typed(): void {
    if (this.#composing) return
    const now = this.#surface.read()
    const change = diff(this.#shown, now, this.#surface.selection()?.head)
    const held = this.#held
    this.#held = []
    this.#shown = now
    this.#make(rebase(change, held, true))
    this.#show(rebase(held, change, false))
    this.#tell()
  }

  /** Makes a change of the text as it shows, for surfaces that do so themselves. */
  change(change: Splice, caret: number): void {
    this.#make([change])
    this.#show()
    this.#surface.select({ anchor: caret, head: caret })
    this.#tell()
  }

  #make(change: Splices): void {
    if (change.length === 0) return
    const before = this.#doc.value
    this.#doc.edit(change, this)
    this.#undo.made(change, before, performance.now())
  }

  #changed({ splices, origin }: TextChange): void {
    if (origin === this) return
    this.#undo.remote(splices)
    if (this.#composing) {
      this.#held = compose(this.#held, splices)
      return
    }
    this.#show(splices)
    this.#normalise()
  }

  /** Shows the text as it is; the selection moves with what changed around it. */
  #show(moved: Splices = []): void {
    const selection = this.#surface.selection()
    const { value } = this.#doc
    if (this.#surface.read() !== value) {
      this.#surface.write(value)
      const move = (at: number): number => mapPosition(at, moved, false)
      if (selection) this.#surface.select({ anchor: move(selection.anchor), head: move(selection.head) })
    }
    this.#shown = this.#surface.read()
  }

  #normalise(): void {
    const change = this.#surface.editable() ? lineEnds(this.#doc.value) : []
    if (change.length > 0) this.#doc.edit(change)
  }

  #tell(): void {
    const selection = this.#composing ? undefined : this.#surface.selection()
    if (selection) this.#doc.cursor(selection.anchor, selection.head)
  }

  #step(direction: 'undo' | 'redo'): void {
    if (this.#composing || !this.#surface.editable()) return
    const change = this.#undo.step(direction, this.#doc.value)
    if (!change) return
    this.#doc.edit(change, this)
    this.#show()
    const last = change.at(-1)
    const caret = last ? mapPosition(last.to, change, true) : 0
    this.#surface.select({ anchor: caret, head: caret })
    this.#tell()
  }

  /** The browser's own undo does not know of the others: it would undo what they wrote. */
  #key(event: KeyboardEvent): void {
    const key = event.key.toLowerCase()
    if ((key !== 'z' && key !== 'y') || event.altKey || event.ctrlKey === event.metaKey) return
    event.preventDefault()
    this.#step(key === 'y' || event.shiftKey ? 'redo' : 'undo')
  }

  #history(event: InputEvent): void {
    const direction = ({ historyUndo: 'undo', historyRedo: 'redo' } as const)[event.inputType]
    if (!direction) return
    event.preventDefault()
    this.#step(direction)
  }
}
