// Scribe: a list of texts, or one of them open. The text itself is the SDK's, the editor CodeMirror's; here they meet a page.
import { html, nothing, ref, render, repeat } from '/assets/html.js'
import { addIcon, inviteIcon } from '/assets/icons.js'
import { inviteDialog } from '/assets/invite-dialog.js'
import { attempt, currentSpace, findSpace, followStatus, peerReady, say } from '/assets/shell.js'
import { spacePicker } from '/assets/space-picker.js'
import { count, isPrivate } from '/assets/words.js'
import { historyPanel } from '/scribe/history.js'
import { followNames, historyOf, inviteTo, myName, openText, textAt } from '/scribe/texts.js'
import { countWords, fileName } from '/scribe/words.js'

/** Words are counted again when nobody typed for this long. */
const COUNT_MS = 300
/** A version is fetched when the slider has rested for this long. */
const LOOK_MS = 120

const name = new URLSearchParams(location.search).get('doc') ?? ''
let space = currentSpace()
const root = document.querySelector('#app')
const state = {
  status: undefined,
  error: '',
  joining: '',
  names: undefined,
  /** The open text, once it is here. */
  doc: undefined,
  saved: true,
  words: 0,
  cursors: [],
  /** What the open history shows, see history.js. */
  past: undefined,
  invite: undefined,
  get locked() {
    return findSpace(this.status, space)?.role === 'reader'
  },
}
let editor
let counting
let looking

const announce = (text) => {
  document.querySelector('#announce').textContent = text
}
const change = (values) => {
  Object.assign(state, values)
  draw()
}
const linkTo = (text) => {
  const url = new URL('/scribe/', location.origin)
  if (space !== 'me') url.searchParams.set('space', space)
  if (text) url.searchParams.set('doc', text)
  return url.pathname + url.search
}

const actions = {
  open: (event) => {
    event.preventDefault()
    const wanted = new FormData(event.target).get('name').trim()
    if (wanted) location.assign(linkTo(wanted))
  },

  download: () => {
    const link = document.createElement('a')
    link.href = URL.createObjectURL(new Blob([state.doc.value], { type: 'text/plain;charset=utf-8' }))
    link.download = fileName(name)
    link.click()
    setTimeout(() => URL.revokeObjectURL(link.href), 1000)
    say(`“${link.download}” saved to your downloads.`)
  },

  openHistory: () =>
    attempt(async () => {
      change({ past: { versions: undefined } })
      await state.doc.saved()
      const versions = (await historyOf(space, name)) ?? null
      if (!state.past) return
      change({ past: { versions } })
      if (versions?.length) actions.lookAt(versions.length - 1)
      drawNow()
      root.querySelector('#past-slider')?.focus()
    }),

  closeHistory: () => {
    clearTimeout(looking)
    state.past = undefined
    drawNow()
    root.querySelector('#history')?.focus()
  },

  /** Shows a version; the slider moves at once, the text follows. */
  lookAt: (at) => {
    const { versions } = state.past
    change({ past: { versions, at, text: undefined } })
    clearTimeout(looking)
    looking = setTimeout(async () => {
      try {
        const text = await textAt(space, name, versions[at].version)
        if (state.past?.at === at) change({ past: { versions, at, text } })
      } catch (error) {
        if (state.past?.at === at) change({ past: { versions, at, text: undefined, error: error.message } })
      }
    }, LOOK_MS)
  },

  restore: () => {
    const before = state.doc.value
    state.doc.replace(state.past.text)
    change({ past: undefined })
    say('Restored. Nothing is lost: it is a new version.', 'ok', { label: 'Undo', run: () => state.doc.replace(before) })
    editor?.focus()
  },

  openInvite: () => {
    change({ invite: { space: findSpace(state.status, space), role: 'writer', app: '/scribe/', busy: false } })
    root.querySelector('#invite').showModal()
  },
  changeInvite: (values) => change({ invite: { ...state.invite, url: undefined, error: undefined, ...values } }),
  makeInvite: async () => {
    const { role } = state.invite
    change({ invite: { ...state.invite, busy: true, error: undefined } })
    let outcome
    try {
      const [{ url }, { encode }] = await Promise.all([inviteTo(space, name, role), import('/assets/vendor/uqr.js')])
      outcome = { url, qr: encode(url, { ecc: 'L', border: 2 }) }
    } catch (error) {
      outcome = { error: error.message }
    }
    if (state.invite) change({ invite: { ...state.invite, busy: false, ...outcome } })
  },
  closeInvite: () => change({ invite: undefined }),
}

let drawing = false
/** Draws before the next frame, once, however much changes in between. */
function draw() {
  if (drawing) return
  drawing = true
  requestAnimationFrame(() => {
    drawing = false
    drawNow()
  })
}
const drawNow = () => render(page(), root)

const page = () => html`<div class="bar">
    <h1>${name ? html`<a href=${linkTo()} aria-label="Scribe: all texts">Scribe</a> <span aria-hidden="true">›</span> <span class="doc-name">${name}</span>` : 'Scribe'}</h1>
    ${spacePicker(state.status, space)}
    ${name && state.doc ? tools() : nothing}
  </div>
  ${state.error ? html`<div class="notice bad" role="alert"><p>${state.error}</p><p><a href=${linkTo()}>All texts</a></p></div>` : nothing}
  ${name ? writing() : state.error ? nothing : list()}
  ${inviteDialog(state, actions, [])}`

function tools() {
  const mine = findSpace(state.status, space)
  return html`<div class="row end">
    ${mine?.role === 'owner' && !isPrivate(mine) ? html`<button class="outline small-button" @click=${actions.openInvite}>${inviteIcon} Invite</button>` : nothing}
    <button id="history" class="outline small-button" aria-expanded=${Boolean(state.past)} @click=${state.past ? actions.closeHistory : actions.openHistory}>History</button>
    <button id="download" class="outline small-button" @click=${actions.download}>Download</button>
  </div>`
}

/** The editor's element stays the same whatever is drawn: lit leaves alone what it has no part in. */
const writing = () => html`${historyPanel(state, actions)}
  ${state.doc ? nothing : state.error ? nothing : html`<div class="paper"><p class="muted" role="status">${state.joining || 'Opening the text…'}</p></div>`}
  ${state.doc ? html`<div class="paper" id="editor" ?hidden=${Boolean(state.past)} ${ref(mount)}></div>${foot()}` : nothing}`

const foot = () => html`<div class="row foot">
  <span class="chip ${state.saved ? 'ok' : 'warn'}" id="saved" role="status">${state.locked ? 'You can read this text' : state.saved ? 'Saved on this device' : 'Saving…'}</span>
  <span class="muted small" id="words">${count(state.words, 'word')}, ${count(state.doc.value.length, 'character')}</span>
  <ul class="here" aria-label="Also here">${repeat(
    state.cursors,
    ({ client }) => client,
    (cursor) => html`<li><button class="person color-${colorOf(cursor)}" aria-label="Go to ${cursor.name || 'Somebody'}" @click=${() => editor.reveal(cursor.to)}>${cursor.name || 'Somebody'}</button></li>`,
  )}</ul>
</div>`

let colorOf = () => 0

function mount(element) {
  if (!element || editor) return
  import('/scribe/editor.js').then(({ mountEditor }) => {
    editor = mountEditor(element, state.doc, `Text of ${name}`, state.locked)
  }, (error) => change({ error: `The editor could not be loaded: ${error.message}` }))
}

const list = () => html`<div class="lists">
  <form class="card inline" @submit=${actions.open}>
    <label class="small grow">Write a new text, or open one by its name
      <input name="name" required maxlength="120" placeholder="Plan, letter, shopping list…" autocomplete="off"></label>
    <button id="open">${addIcon} Open</button>
  </form>
  ${
    state.names === undefined
      ? html`<div class="card waiting"><p class="muted" role="status">${state.joining || 'Looking for your texts…'}</p></div>`
      : state.names.length === 0
        ? html`<div class="empty"><p><strong>No texts yet</strong></p><p>Give the first one a name. Everybody in this space can write in it, at the same time.</p></div>`
        : html`<ul class="texts" aria-label="Texts">${repeat(
            state.names,
            (text) => text,
            (text) => html`<li><a class="card" href=${linkTo(text)}>${text}</a></li>`,
          )}</ul>`
  }
</div>`

/** Opens the text of this page's address. */
async function openDocument() {
  const own = await myName().catch(() => '')
  const doc = openText(space, name, { name: own })
  const counted = () => change({ words: countWords(doc.value) })
  doc.on('change', () => {
    clearTimeout(counting)
    counting = setTimeout(counted, COUNT_MS)
  })
  doc.on('saved', (saved) => change({ saved }))
  doc.on('problem', (problem) => change({ error: `${problem.detail} What you typed is still on this page: copy it before you leave.` }))
  await doc.ready
  ;({ colorOf } = await import('/assets/vendor/codemirror.js'))
  doc.on('cursors', (cursors) => {
    const here = (list) => list.map((cursor) => cursor.name || 'Somebody')
    const [before, now] = [here(state.cursors), here(cursors)]
    for (const who of now) if (!before.includes(who)) announce(`${who} is here.`)
    for (const who of before) if (!now.includes(who)) announce(`${who} left.`)
    change({ cursors })
  })
  document.title = `${name} · Scribe · Kith`
  change({ doc, words: countWords(doc.value) })
  // For tests, and for those who like to look behind things: the open document.
  window.scribe = doc
}

async function start() {
  draw()
  try {
    await peerReady((joining) => change({ joining }))
    space = currentSpace()
    followStatus((status) => {
      const before = state.locked
      change({ status, joining: '' })
      if (state.locked !== before) editor?.lock(state.locked)
    })
    if (name) await openDocument()
    else followNames(space, (names) => change({ names }), (error) => change({ error }))
  } catch (error) {
    change({ error: error.message })
  }
}

await start()
