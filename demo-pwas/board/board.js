// The board: what the person does becomes a few fields sent with PATCH; what anybody does arrives as events and is drawn.
import { html, nothing, render, repeat } from '/assets/html.js'
import { addIcon } from '/assets/icons.js'
import { attempt, currentSpace, findSpace, followStatus, peerReady, say } from '/assets/shell.js'
import { spacePicker } from '/assets/space-picker.js'
import { myName, openNotes } from '/board/notes.js'
import { COLORS, noteView, title } from '/board/note.js'
import { freePlace, inOrderOf, inReadingOrder } from '/board/places.js'

/** A drag sends its place this often, typing its text: every PATCH is a signed entry that is kept, so not for every pixel or key. */
const DRAG_MS = 200
const TYPE_MS = 400

/** The space this page is about; an invite may change it while the page starts. */
let space = currentSpace()
const root = document.querySelector('#app')
const narrow = matchMedia('(max-width: 720px)')
const state = {
  status: undefined,
  notes: undefined,
  /** Fields changed here that are not stored yet, by note: shown over the stored ones. */
  drafts: new Map(),
  view: localStorage.getItem('board-view') ?? 'auto',
  error: '',
  joining: '',
}
let data
let name = ''
const timers = new Map()
/** How many events came for each note. */
const heard = new Map()

const inList = () => (state.view === 'auto' ? narrow.matches : state.view === 'list')
const locked = () => findSpace(state.status, space)?.role === 'reader'
const shown = (id) => ({ ...state.notes.get(id), ...state.drafts.get(id) })
const announce = (text) => {
  document.querySelector('#announce').textContent = text
}

const ordered = () => inReadingOrder([...state.notes.keys()].map((id) => [id, shown(id)]))

let lastOrder = []
/** The order on the page. It stands still while somebody works on a note: moving an element in the page would take its focus, or the drag, away. */
function orderOnPage() {
  const busy = root.querySelector('.note:focus-within, .note:active')
  const order = busy ? inOrderOf(lastOrder, ordered()) : ordered()
  lastOrder = order.map(([id]) => id)
  return order
}

/** Remembers fields as typed or dragged, and sends what has gathered after a while. */
function later(id, fields, wait) {
  state.drafts.set(id, { ...state.drafts.get(id), ...fields })
  if (!timers.has(id))
    timers.set(
      id,
      setTimeout(() => send(id), wait),
    )
  draw()
}

/** Sends what has gathered for a note. Drafts stay on screen until the write is answered, so nothing flickers back. */
async function send(id) {
  clearTimeout(timers.get(id))
  timers.delete(id)
  const fields = state.drafts.get(id)
  if (!fields) return
  const before = heard.get(id)
  const stored = await attempt(() => data.change(id, fields))
  if (!state.notes.has(id)) state.drafts.delete(id)
  if (!stored) return draw() // What was typed stays on screen; the next change of the note sends it again.
  const left = Object.fromEntries(Object.entries(state.drafts.get(id) ?? {}).filter(([key, value]) => fields[key] !== value))
  // Until the peer's own event about this write arrives, what was sent stands in for it. If one arrived already, that is the truth.
  if (state.notes.has(id) && heard.get(id) === before) state.notes.set(id, { ...state.notes.get(id), ...fields })
  if (Object.keys(left).length) state.drafts.set(id, left)
  else state.drafts.delete(id)
  draw()
}

const actions = {
  place: (id) => {
    const { x = 0, y = 0 } = shown(id)
    return { x, y }
  },
  type: (id, text) => later(id, { text }, TYPE_MS),
  drag: (id, place) => later(id, place, DRAG_MS),
  finish: (id) => send(id),
  drop: (id, place) => {
    if (place) later(id, place, DRAG_MS)
    send(id)
  },
  change: (id, fields) => {
    later(id, fields, 0)
    if (fields.color) announce(`${fields.color}.`)
  },
  move: (id, place) => {
    later(id, place, DRAG_MS)
    announce(`${place.x} across, ${place.y} down.`)
  },

  /** In the list: changes places with the neighbour above or below. */
  shift: (id, step) => {
    const list = ordered()
    const at = list.findIndex(([other]) => other === id)
    const neighbour = list[at + step]
    if (!neighbour) return announce(step < 0 ? 'Already first.' : 'Already last.')
    const [, mine] = list[at]
    const [otherId, other] = neighbour
    const apart = mine.y !== other.y || mine.x !== other.x
    later(id, { x: other.x ?? 0, y: apart ? (other.y ?? 0) : (other.y ?? 0) + step }, 0)
    if (apart) later(otherId, { x: mine.x ?? 0, y: mine.y ?? 0 }, 0)
    announce(`Moved to place ${at + step + 1} of ${list.length}.`)
    document.activeElement?.blur()
    drawNow()
    root.querySelector(`[data-id="${CSS.escape(id)}"] .tool:nth-of-type(${step < 0 ? 1 : 2})`)?.focus()
  },

  add: () =>
    attempt(async () => {
      const id = crypto.randomUUID()
      const note = { text: '', ...freePlace(ordered(), boardWidth()), color: COLORS[state.notes.size % COLORS.length], by: name }
      await data.add(id, note)
      state.notes.set(id, state.notes.get(id) ?? note)
      drawNow()
      const text = root.querySelector(`[data-id="${CSS.escape(id)}"] textarea`)
      text?.focus()
      text?.scrollIntoView({ block: 'nearest', inline: 'nearest' })
    }),

  remove: (id) =>
    attempt(async () => {
      const note = shown(id)
      const order = ordered().map(([other]) => other)
      await data.remove(id)
      state.notes.delete(id)
      state.drafts.delete(id)
      drawNow()
      const next = order[order.indexOf(id) + 1] ?? order[order.indexOf(id) - 1]
      ;(root.querySelector(`[data-id="${CSS.escape(next ?? '')}"] button`) ?? root.querySelector('#add')).focus()
      say(`“${title(note)}” deleted.`, 'ok', { label: 'Undo', run: () => attempt(() => data.add(id, note)) })
    }),

  show: (view) => {
    state.view = view
    localStorage.setItem('board-view', view)
    draw()
  },
}

/** How wide the board is on screen; in the list, as wide as most. */
const boardWidth = () => (!inList() && root.querySelector('.canvas')?.clientWidth) || 1100

let drawing = false
/** Draws before the next frame, once, however many notes change in between. */
function draw() {
  if (drawing) return
  drawing = true
  requestAnimationFrame(() => {
    drawing = false
    drawNow()
  })
}

function drawNow() {
  render(
    html`<div class="bar">
        <h1>Board</h1>
        ${spacePicker(state.status, space)}
        <div class="row end">
          <div role="group" class="views" aria-label="View">
            ${[
              ['canvas', 'Board'],
              ['list', 'List'],
            ].map(
              ([view, label]) =>
                html`<button class=${(view === 'list') === inList() ? '' : 'outline'} aria-pressed=${(view === 'list') === inList()} @click=${() => actions.show(view)}>${label}</button>`,
            )}
          </div>
          <button id="add" @click=${actions.add} ?disabled=${!state.notes || locked()}>${addIcon} Add note</button>
        </div>
      </div>
      ${state.error ? html`<div class="notice bad" role="alert"><p>${state.error}</p><p><a href="/">Go to Home</a></p></div>` : board()}`,
    root,
  )
}

function board() {
  if (!state.notes)
    return html`<div class="canvas loading"><p class="muted" role="status">${state.joining || 'Opening the board…'}</p></div>`
  const list = inList()
  const options = { list, locked: locked(), actions }
  return html`<div class=${list ? 'column-view' : 'canvas'} tabindex=${list ? nothing : 0} role=${list ? nothing : 'region'} aria-label=${list ? nothing : 'Board'}>
    ${locked() ? html`<p class="muted small lock">You can read this board. Ask its owner for a writing invite to change it.</p>` : nothing}
    ${state.notes.size === 0 ? html`<div class="empty"><p><strong>No notes yet</strong></p><p>Add the first one. Everybody in this space sees it appear.</p></div>` : nothing}
    <ul class="notes" aria-label="Notes">${repeat(
      orderOnPage(),
      ([id]) => id,
      ([id, note]) => noteView(id, note, options),
    )}</ul>
  </div>`
}

async function start() {
  draw()
  try {
    await peerReady((sentence) => {
      state.joining = sentence
      draw()
    })
  } catch (error) {
    state.error = error.message
    return draw()
  }
  state.joining = ''
  space = currentSpace()
  followStatus((status) => {
    state.status = status
    draw()
  })
  data = openNotes(
    space,
    (notes, id) => {
      if (id) heard.set(id, (heard.get(id) ?? 0) + 1)
      state.notes = notes
      state.error = ''
      draw()
    },
    (sentence) => {
      state.error = sentence
      draw()
    },
  )
  name = await myName().catch(() => '')
}

narrow.addEventListener('change', draw)
// Nothing typed is lost when the page goes away: what has gathered is sent now.
addEventListener('pagehide', () => [...state.drafts.keys()].forEach(send))
await start()
