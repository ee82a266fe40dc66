// How one note looks, and how it is moved: by dragging its handle, or with the arrow keys while the handle has the focus.
import { html, live, nothing } from '/assets/html.js'
import { deleteIcon, moveIcon, paletteIcon } from '/assets/icons.js'

/** The colours a note may have; the names are said aloud by screen readers. */
export const COLORS = ['yellow', 'green', 'blue', 'pink', 'plain']
/** The largest coordinate, in CSS pixels. */
export const EDGE = 4000

const STEP = 24
const BIG_STEP = 120
const ARROWS = { ArrowLeft: [-1, 0], ArrowRight: [1, 0], ArrowUp: [0, -1], ArrowDown: [0, 1] }
const clamp = (value) => Math.max(0, Math.min(EDGE, Math.round(value)))

/** What the note is called when spoken of. */
export const title = (note) => (note.text || '').trim().split('\n', 1)[0].slice(0, 40) || 'empty note'

/** One note. `list` draws it in a column instead of at its place; `locked` is for people who may only read. */
export function noteView(id, note, { list, locked, actions }) {
  const color = COLORS.includes(note.color) ? note.color : COLORS[0]
  const name = title(note)
  const next = COLORS[(COLORS.indexOf(color) + 1) % COLORS.length]
  const place = list ? '' : `--x: ${clamp(note.x ?? 0)}px; --y: ${clamp(note.y ?? 0)}px`
  return html`<li class="note ${color}" data-id=${id} .style=${place}>
    <div class="tools">
      ${locked ? nothing : list ? listMover(id, name, actions) : handle(id, name, actions)}
      ${
        locked
          ? nothing
          : html`<button class="tool" aria-label="Colour of ${name}: ${color}. Make it ${next}" title="Colour" @click=${() => actions.change(id, { color: next })}>${paletteIcon}</button>
        <button class="tool" aria-label="Delete ${name}" title="Delete" @click=${() => actions.remove(id)}>${deleteIcon}</button>`
      }
    </div>
    <textarea aria-label="Text of ${name}" rows=${lines(note.text)} maxlength="4000" placeholder="Write something…" ?readonly=${locked} .value=${live(note.text ?? '')}
      @input=${(event) => actions.type(id, event.target.value)} @blur=${() => actions.finish(id)}
      @keydown=${(event) => event.key === 'Escape' && event.target.closest('.note').querySelector('button')?.focus()}></textarea>
    <p class="by">${note.by ? `by ${note.by}` : ' '}</p>
  </li>`
}

/** Rows for a text in a note about 24 characters wide. */
const lines = (text = '') =>
  Math.min(
    16,
    Math.max(
      3,
      text.split('\n').reduce((sum, line) => sum + Math.max(1, Math.ceil(line.length / 22)), 0),
    ),
  )

const listMover = (id, name, actions) => html`
  <button class="tool" aria-label="Move ${name} up" title="Up" @click=${() => actions.shift(id, -1)}>↑</button>
  <button class="tool" aria-label="Move ${name} down" title="Down" @click=${() => actions.shift(id, 1)}>↓</button>`

function handle(id, name, actions) {
  const key = (event) => {
    const arrow = ARROWS[event.key]
    if (!arrow) return
    event.preventDefault()
    const step = event.shiftKey ? BIG_STEP : STEP
    // From where the note is now, not where it was drawn last: a held key repeats faster than the page is drawn.
    const { x, y } = actions.place(id)
    actions.move(id, { x: clamp(x + arrow[0] * step), y: clamp(y + arrow[1] * step) })
    event.target.scrollIntoView({ block: 'nearest', inline: 'nearest' })
  }
  return html`<button class="tool handle" aria-label="Move ${name}: drag, or use the arrow keys" title="Drag, or use the arrow keys" @keydown=${key} @pointerdown=${(event) => drag(event, id, actions)}>${moveIcon}</button>`
}

/** Follows one pointer until it is lifted. The note moves at once here; others see it move a few times a second. */
function drag(down, id, actions) {
  if (down.button !== 0) return
  const element = down.currentTarget
  element.setPointerCapture(down.pointerId)
  const { x, y } = actions.place(id)
  const from = { x: x - down.clientX, y: y - down.clientY }
  const at = (event) => ({ x: clamp(from.x + event.clientX), y: clamp(from.y + event.clientY) })
  const stop = new AbortController()
  const { signal } = stop
  element.addEventListener('pointermove', (event) => actions.drag(id, at(event)), { signal })
  const end = (event) => {
    stop.abort()
    actions.drop(id, event.type === 'pointerup' ? at(event) : undefined)
  }
  element.addEventListener('pointerup', end, { signal })
  element.addEventListener('pointercancel', end, { signal })
}
