/** An element with `contenteditable="plaintext-only"` that edits a text together with others. */
import type { TextDocument } from '../api-text.ts'
import { SurfaceBinding } from './surface.ts'
import type { Binding } from './surface.ts'

/** The text of an element: its text nodes, and a line end for each `<br>`. */
function textIn(node: Node): string {
  if (node.nodeType === Node.TEXT_NODE) return (node as Text).data
  return node.nodeName === 'BR' ? '\n' : [...node.childNodes].map(textIn).join('')
}

/** How much text of `element` comes before a place in it. */
function offsetOf(element: HTMLElement, node: Node, offset: number): number {
  const range = document.createRange()
  range.setStart(element, 0)
  range.setEnd(node, offset)
  return textIn(range.cloneContents()).length
}

/** The place in an element before which there is so much text. The element holds one text node, as `write` leaves it. */
function placeAt(element: HTMLElement, at: number): [Node, number] {
  const [text] = element.childNodes
  return text ? [text, Math.min(at, text.textContent?.length ?? 0)] : [element, 0]
}

/**
 * Binds an editable element to a text: what either changes shows in the other. The element should have `white-space: pre-wrap`; it is made
 * `plaintext-only`. Caret, composition and undo as in {@link bindTextarea}.
 */
export function bindEditable(element: HTMLElement, doc: TextDocument): Binding {
  // Where the browser does not know `plaintext-only`, setting it throws; what comes in is plain text all the same, see `beforeinput`.
  try {
    element.contentEditable = 'plaintext-only'
  } catch {
    element.contentEditable = 'true'
  }
  // Browsers show an empty last line only if something follows it.
  let extra = ''
  const selected = (): { anchor: number; head: number } | undefined => {
    const selection = document.getSelection()
    const { anchorNode, focusNode } = selection ?? {}
    if (!selection || !anchorNode || !focusNode || !element.contains(anchorNode) || !element.contains(focusNode)) return undefined
    const { length } = read()
    const at = (node: Node, offset: number): number => Math.min(offsetOf(element, node, offset), length)
    return { anchor: at(anchorNode, selection.anchorOffset), head: at(focusNode, selection.focusOffset) }
  }
  const read = (): string => {
    const text = textIn(element)
    return extra && text.endsWith(extra) ? text.slice(0, -extra.length) : text
  }
  const binding = new SurfaceBinding(
    {
      element,
      read,
      write: (text) => {
        extra = text === '' || text.endsWith('\n') ? '\n' : ''
        const { scrollTop } = element
        element.replaceChildren(text + extra)
        element.scrollTop = scrollTop
      },
      selection: selected,
      select: ({ anchor, head }) => document.getSelection()?.setBaseAndExtent(...placeAt(element, anchor), ...placeAt(element, head)),
      editable: () => element.isContentEditable,
    },
    doc,
  )
  const stop = new AbortController()
  // The text decides and the element shows it: otherwise every browser would leave elements of its own behind.
  element.addEventListener(
    'beforeinput',
    (event) => {
      const [target] = event.getTargetRanges()
      if (event.defaultPrevented || binding.composing || !event.cancelable || event.inputType.includes('Composition') || !target) return
      event.preventDefault()
      const { length } = read()
      const at = (node: Node, offset: number): number => Math.min(offsetOf(element, node, offset), length)
      const [from, to] = [at(target.startContainer, target.startOffset), at(target.endContainer, target.endOffset)]
      const insert = inserted(event)
      if (insert === undefined || (!insert && from === to)) return
      binding.change({ from, to, insert }, from + insert.length)
    },
    { signal: stop.signal },
  )
  return {
    undo: () => binding.undo(),
    redo: () => binding.redo(),
    close: () => {
      stop.abort()
      binding.close()
    },
  }
}

/** What an event inserts: nothing where it deletes, undefined where it does neither. */
function inserted({ inputType, data, dataTransfer }: InputEvent): string | undefined {
  if (inputType === 'insertLineBreak' || inputType === 'insertParagraph') return '\n'
  if (inputType.startsWith('delete')) return ''
  if (inputType.startsWith('insert')) return (data ?? dataTransfer?.getData('text/plain') ?? '').replace(/\r\n?/g, '\n')
  return undefined
}
