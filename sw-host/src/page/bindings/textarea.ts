/** A `<textarea>` or a text `<input>` that edits a text together with others. */
import type { TextDocument } from '../api-text.ts'
import { SurfaceBinding } from './surface.ts'
import type { Binding } from './surface.ts'

/**
 * Binds a textarea to a text: what either changes shows in the other. Caret, selection and scrolling stay where they were while others write;
 * a word being composed (IME) is left alone until it is done; undo and redo take back only what was done here.
 * @example const binding = bindTextarea(document.querySelector('textarea'), space.text('plan'))
 */
export function bindTextarea(area: HTMLTextAreaElement, doc: TextDocument): Binding {
  const focused = (): boolean => (area.getRootNode() as Document | ShadowRoot).activeElement === area
  return new SurfaceBinding(
    {
      element: area,
      read: () => area.value,
      write: (text) => {
        const { scrollTop, scrollLeft } = area
        area.value = text
        Object.assign(area, { scrollTop, scrollLeft })
      },
      selection: () => {
        if (!focused()) return undefined
        const { selectionStart, selectionEnd, selectionDirection } = area
        return selectionDirection === 'backward' ? { anchor: selectionEnd, head: selectionStart } : { anchor: selectionStart, head: selectionEnd }
      },
      select: ({ anchor, head }) => {
        if (focused()) area.setSelectionRange(Math.min(anchor, head), Math.max(anchor, head), head < anchor ? 'backward' : 'forward')
      },
      editable: () => !area.readOnly && !area.disabled,
    },
    doc,
  )
}
