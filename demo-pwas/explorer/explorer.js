// Explorer: the tree on one side, one value beside it, and below what happens in the space and how long it takes.
import { html, nothing, render, repeat } from '/assets/html.js'
import { playIcon, stopIcon } from '/assets/icons.js'
import { ask, keys } from '/assets/ask.js'
import { attempt, currentSpace, findSpace, followStatus, peerReady, say } from '/assets/shell.js'
import { spacePicker } from '/assets/space-picker.js'
import { shortId } from '/assets/words.js'
import { followChanges } from '/explorer/changes.js'
import { Editor } from '/explorer/editor.js'
import { MAX_COUNT, MAX_RATE, PLACE, generate } from '/explorer/generator.js'
import { gauges } from '/explorer/gauges.js'
import { Samples } from '/explorer/samples.js'
import { Tree } from '/explorer/tree.js'

/** Changes shown at most, and own writes remembered until they come back through the feed. */
const SHOWN = 60
const OPEN_WRITES = 20_000

/** The space this page is about; an invite may change it while the page starts. */
let space = currentSpace()
const root = document.querySelector('#app')
const state = {
  status: undefined,
  error: '',
  live: false,
  /** Changes from before this page was opened, while they are read past. */
  joining: '',
  run: undefined,
  changes: [],
  seen: 0,
  mine: new Set(),
  usedAtStart: undefined,
  entriesAtStart: undefined,
}
const samples = { put: new Samples(), own: new Samples(), remote: new Samples() }
/** When each own write was sent, by path, until the feed brings it back. */
const sentAt = new Map()
let stop

let drawing = false
/** Draws before the next frame, once, however many changes arrive in between. */
function draw() {
  if (drawing) return
  drawing = true
  requestAnimationFrame(() => {
    drawing = false
    render(page(), root)
  })
}

let tree
let editor

function onChange(change) {
  const sent = sentAt.get(change.path)
  if (sent !== undefined) {
    samples.own.add(performance.now() - sent)
    sentAt.delete(change.path)
    state.mine.add(change.author)
  } else if (!state.mine.has(change.author)) {
    // By the author's clock against ours: true only as far as the two clocks agree.
    samples.remote.add(Date.now() - change.time)
  }
  // A written object changes its place and every field in it: one write, shown as one line.
  const [newest] = state.changes
  const part = newest?.version === change.version && change.path.startsWith(`${newest.path}/`)
  if (!part) {
    state.seen += 1
    state.changes = [change, ...state.changes].slice(0, SHOWN)
  }
  for (const path of [change.path, change.from].filter((path) => path !== undefined)) {
    tree.note(path)
    editor.note(path)
  }
  draw()
}

const actions = {
  start: (event) => {
    event.preventDefault()
    const form = new FormData(event.target)
    const limit = (name, top) => Math.max(1, Math.min(top, Math.round(Number(form.get(name)) || 1)))
    for (const each of Object.values(samples)) each.clear()
    state.usedAtStart = state.status?.storage?.used
    state.entriesAtStart = findSpace(state.status, space)?.entries
    stop = generate(
      space,
      { rate: limit('rate', MAX_RATE), count: limit('count', MAX_COUNT) },
      {
        writing: (path, at) => {
          if (sentAt.size >= OPEN_WRITES) sentAt.delete(sentAt.keys().next().value)
          sentAt.set(path, at)
        },
        written: (ms) => samples.put.add(ms),
        progress: (run) => {
          if (state.run?.running && !run.running) announce(`${run.answered} values written.`)
          state.run = { ...run }
          draw()
        },
        failed: (error) => say(`Stopped: ${error.message}`, 'bad'),
      },
    )
  },
  stop: () => stop?.(),
  clear: () =>
    attempt(async () => {
      await ask(`/~/${keys(space, ...PLACE)}`, { method: 'DELETE' })
      say('Generated values deleted.')
    }),
}

const announce = (text) => {
  document.querySelector('#announce').textContent = text
}

function select(path) {
  editor.show(path)
  draw()
}

function page() {
  const locked = findSpace(state.status, space)?.role === 'reader'
  return html`<div class="bar"><h1>Explorer</h1>${spacePicker(state.status, space)}</div>
    ${state.error ? html`<div class="notice bad" role="alert"><p>${state.error}</p><p><a href="/">Go to Home</a></p></div>` : nothing}
    ${
      tree && !state.error
        ? html`<div class="panes">
          <section class="card keys" aria-labelledby="keys-title"><h2 id="keys-title">Keys</h2>${tree.view(select)}</section>
          <div class="pane-column">
          <section class="card" aria-labelledby="value-title"><h2 id="value-title">Value</h2>${editor.view(locked)}</section>
          <section class="card feed" aria-labelledby="feed-title"><h2 id="feed-title">Changes as they arrive</h2>${feed()}</section>
          </div>
          <div class="pane-column">
          <section class="card" aria-labelledby="load-title"><h2 id="load-title">Random data</h2>${loadForm(locked)}</section>
          <section class="card" aria-labelledby="times-title"><h2 id="times-title">How long it takes</h2>${gauges(samples, state, findSpace(state.status, space))}</section>
          </div>
        </div>`
        : state.error
          ? nothing
          : html`<div class="card waiting"><p class="muted" aria-busy="true">${state.joining || 'Starting your peer…'}</p></div>`
    }`
}

function loadForm(locked) {
  const { run } = state
  return html`<form @submit=${actions.start}>
    <p class="muted small">Writes small JSON values to <code>${PLACE.join('/')}/…</code>, each one signed and stored before it is answered.</p>
    <div class="numbers">
      <label class="small">Per second <input name="rate" type="number" min="1" max=${MAX_RATE} value="20" required inputmode="numeric"></label>
      <label class="small">How many <input name="count" type="number" min="1" max=${MAX_COUNT} value="200" required inputmode="numeric"></label>
    </div>
    <div class="row">
      ${
        run?.running
          ? html`<button type="button" id="stop" @click=${actions.stop}>${stopIcon} Stop</button>`
          : html`<button id="start" ?disabled=${locked || !state.live}>${playIcon} Start</button>`
      }
      <button type="button" class="danger" ?disabled=${locked || run?.running} @click=${actions.clear}>Delete generated data</button>
    </div>
    <progress aria-label="Values written" max=${run?.count ?? 1} .value=${run?.answered ?? 0}></progress>
    <p class="small muted" id="run">${runWords(run)}</p>
  </form>`
}

function runWords(run) {
  if (!run) return state.live ? 'Not started.' : 'Getting ready…'
  const done = `${run.answered.toLocaleString('en')} of ${run.count.toLocaleString('en')} written, ${run.perSecond.toFixed(1)} per second.`
  return run.behind ? `${done} This device is slower than the rate you asked for.` : done
}

function feed() {
  if (state.changes.length === 0)
    return html`<div class="empty"><p>Waiting for the first change. Write something here, or in another window.</p></div>`
  return html`<p class="muted small">${state.seen.toLocaleString('en')} since this page was opened; the newest first.</p>
    <ol class="changes">${repeat(state.changes, (change) => change.cursor, change)}</ol>`
}

const change = ({ path, kind, author, time }) => html`<li>
  <time class="muted" datetime=${new Date(time).toISOString()}>${new Date(time).toLocaleTimeString('en-GB')}</time>
  <span class="chip plain ${state.mine.has(author) ? '' : 'ok'}">${state.mine.has(author) ? 'you' : shortId(author)}</span>
  <button class="path" title=${path} @click=${() => {
    tree.selected = path
    select(path)
  }}>${pathWords(path, kind)}</button>
</li>`

/** A path whose beginning may be cut off on screen. */
function pathWords(encoded, kind) {
  const path = decodeURIComponent(encoded)
  const cut = path.lastIndexOf('/') + 1
  const last = path.slice(cut)
  return html`<span class="dir">${path.slice(0, cut)}</span><span class="last">${kind === 'delete' ? html`<s>${last}</s>` : last}</span>`
}

async function start() {
  draw()
  try {
    await peerReady((sentence) => {
      state.joining = sentence
      draw()
    })
    space = currentSpace()
    tree = new Tree(space, draw)
    editor = new Editor(space, draw)
    followStatus((status) => {
      state.status = status
      if (status.identity) state.mine.add(status.identity)
      state.usedAtStart ??= status.storage?.used
      state.entriesAtStart ??= findSpace(status, space)?.entries
      draw()
    })
    await followChanges(space, {
      change: onChange,
      refused: (sentence) => say(sentence, 'bad'),
    })
    state.live = true
  } catch (error) {
    state.error = error.message
  }
  draw()
}

await start()
