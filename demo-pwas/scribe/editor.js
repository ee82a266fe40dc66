// CodeMirror on a text. It lives in a shadow root, where its styles are sheets the page's security policy allows.
import { Compartment, EditorState, EditorView, highlightSpecialChars, history, historyKeymap, keymap, kithText, placeholder, search, searchKeymap, standardKeymap } from '/assets/vendor/codemirror.js'

/** Looks: the page's own colours, which also follow its colour scheme. */
const look = EditorView.theme({
  '&': { color: 'var(--text)', backgroundColor: 'var(--card)', minHeight: '55vh', fontSize: '1.05rem', borderRadius: 'var(--radius)' },
  '&.cm-focused': { outline: '3px solid var(--pico-primary-focus)' },
  '.cm-scroller': { fontFamily: 'inherit', lineHeight: '1.65', padding: '0.5rem 0 3rem', overflowX: 'auto' },
  '.cm-content': { maxWidth: '44rem', margin: '0 auto', padding: '1rem', caretColor: 'var(--text)' },
  '.cm-placeholder': { color: 'var(--muted)' },
  '.cm-panels': { backgroundColor: 'var(--idle-bg)', color: 'var(--text)' },
  '.cm-textfield': { backgroundColor: 'var(--card)', color: 'var(--text)', border: '1px solid var(--muted)' },
  '.cm-button': { backgroundImage: 'none', backgroundColor: 'var(--card)', color: 'var(--text)', border: '1px solid var(--muted)' },
})

const locking = new Compartment()
const lock = (locked) => [EditorState.readOnly.of(locked), EditorView.editable.of(!locked)]

/** Puts an editor for `doc` into an element; returns what the page needs of it. */
export function mountEditor(element, doc, label, locked) {
  const root = element.shadowRoot ?? element.attachShadow({ mode: 'open', delegatesFocus: true })
  const view = new EditorView({
    root,
    parent: root,
    state: EditorState.create({
      doc: doc.value,
      extensions: [
        locking.of(lock(locked)),
        history(),
        search({ top: true }),
        keymap.of([...standardKeymap, ...historyKeymap, ...searchKeymap]),
        highlightSpecialChars(),
        placeholder('Write something. Whoever you invite sees it appear.'),
        EditorView.lineWrapping,
        // The line of status below the text stays in sight; what is typed must not hide behind it.
        EditorView.scrollMargins.of(() => ({ bottom: document.querySelector('.foot')?.offsetHeight ?? 0 })),
        EditorView.contentAttributes.of({ 'aria-label': label, spellcheck: 'true', autocorrect: 'on', autocapitalize: 'sentences' }),
        look,
        kithText(doc),
      ],
    }),
  })
  return {
    focus: () => view.focus(),
    lock: (on) => view.dispatch({ effects: locking.reconfigure(lock(on)) }),
    /** Shows where somebody is. */
    reveal: (at) => view.dispatch({ effects: EditorView.scrollIntoView(Math.min(at, view.state.doc.length), { y: 'center' }) }),
    close: () => view.destroy(),
  }
}
