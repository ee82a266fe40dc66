// What the tests of collaborative text call in a page: SDK editors, and a client of somebody else's making on the npm package `braid-http`.
import { connect } from '/kith.js'
import { bindEditable, bindTextarea } from '/kith-editors.js'
import { EditorView, history, historyKeymap, keymap, kithText } from '/assets/vendor/codemirror.js'
import { fetch as braidFetch } from '../../../node_modules/braid-http/braid-http-client.js'
import { Diamond } from './diamond.js'

const space = (id) => connect().space(id)
const docs = new Map()
const views = new Map()

/** Opens a text for an editor of a kind: `textarea`, `editable`, `codemirror`, or none. It is called `as` from then on. */
async function open(as, id, path, kind, name) {
  const doc = space(id).text(path, { name })
  doc.problems = []
  doc.on('problem', ({ message }) => doc.problems.push(message))
  docs.set(as, doc)
  await doc.ready
  const element = document.body.appendChild(document.createElement(kind === 'textarea' ? 'textarea' : 'div'))
  element.id = as
  if (kind === 'textarea') bindTextarea(element, doc)
  if (kind === 'editable') {
    element.style.whiteSpace = 'pre-wrap'
    bindEditable(element, doc)
  }
  if (kind === 'codemirror') {
    views.set(as, new EditorView({ doc: doc.value, parent: element, extensions: [history(), keymap.of(historyKeymap), kithText(doc)] }))
  }
  return doc.value
}

/** What an editor shows. */
function shown(as) {
  const element = document.querySelector(`#${as}`)
  const view = views.get(as)
  if (view) return view.state.doc.toString()
  return element.tagName === 'TEXTAREA' ? element.value : docs.get(as).value
}

/** Puts the caret into an editor. */
function focus(as, at) {
  const view = views.get(as)
  const element = document.querySelector(`#${as}`)
  if (view) {
    view.focus()
    view.dispatch({ selection: { anchor: at ?? view.state.doc.length } })
    return
  }
  element.focus()
  if (element.tagName === 'TEXTAREA') element.setSelectionRange(at ?? element.value.length, at ?? element.value.length)
  else {
    const [text] = element.childNodes
    document.getSelection().collapse(text ?? element, at ?? docs.get(as).value.length)
  }
}

const WORDS = ['tea', ' ', 'é', '\n', '😀', 'night train ', '漢字', 'x']
const below = (limit) => Math.floor(Math.random() * limit)
/** A random change of whole characters, inserting more than it deletes. */
function change(text) {
  const points = [...text]
  const from = below(points.length + 1)
  const to = Math.min(points.length, from + (below(3) === 0 ? below(4) : 0))
  return { from: points.slice(0, from).join('').length, to: points.slice(0, to).join('').length, points: [from, to], insert: WORDS[below(WORDS.length)] }
}
const pause = (ms) => new Promise((resolve) => setTimeout(resolve, ms))

/** Random changes in the way a person makes them in that editor. */
async function scribble(as, times) {
  const doc = docs.get(as)
  const view = views.get(as)
  const element = document.querySelector(`#${as}`)
  for (let n = 0; n < times; n++) {
    const { from, to, insert } = change(view ? view.state.doc.toString() : element?.tagName === 'TEXTAREA' ? element.value : doc.value)
    if (view) view.dispatch({ changes: { from, to, insert } })
    else if (element.tagName === 'TEXTAREA') {
      element.setRangeText(insert, from, to, 'end')
      element.dispatchEvent(new InputEvent('input', { bubbles: true, inputType: 'insertText' }))
    } else doc.edit([{ from, to, insert }])
    await pause(below(60))
  }
}

/** A `simpleton` client: keeps no history, takes only updates whose parents are its own version. After the description of the protocol. */
class Simpleton {
  peer = `s${Math.random().toString(36).slice(2, 12)}`
  version = []
  text = ''
  count = -1
  outstanding = 0
  updates = 0
  errors = []

  constructor(url) {
    this.url = url
    const headers = { 'Merge-Type': 'simpleton', Accept: 'text/plain' }
    this.stop = new AbortController()
    braidFetch(url, { headers, peer: this.peer, subscribe: true, retry: true, parents: () => (this.version.length ? this.version : null), signal: this.stop.signal }).then(
      (response) => response.subscribe((update) => this.take(update), (error) => this.errors.push(String(error))),
      (error) => this.errors.push(String(error)),
    )
  }

  take({ version, parents = [], body_text: body, patches, status }) {
    if (Number(status ?? 200) === 404) return
    if ([...parents].sort().join() !== [...this.version].sort().join() && !(this.version.length === 0 && body !== undefined)) return
    this.updates++
    if (patches) {
      const points = [...this.text]
      let moved = 0
      for (const { range, content_text: content } of patches) {
        const [from, to] = /(\d+):(\d+)/.exec(range).slice(1).map(Number)
        points.splice(from + moved, to - from, ...content)
        moved += [...content].length - (to - from)
      }
      this.text = points.join('')
    } else this.text = body ?? ''
    this.version = version
  }

  edit(from, to, insert) {
    const points = [...this.text]
    points.splice(from, to - from, ...insert)
    this.count += to - from + [...insert].length
    const [parents, version] = [this.version, [`${this.peer}-${this.count}`]]
    Object.assign(this, { version, text: points.join('') })
    this.outstanding++
    return braidFetch(this.url, {
      method: 'PUT',
      version,
      parents,
      peer: this.peer,
      headers: { 'Merge-Type': 'simpleton' },
      patches: [{ unit: 'text', range: `[${from}:${to}]`, content: insert }],
      retry: true,
    }).then(
      (response) => {
        this.outstanding--
        if (!response.ok) this.errors.push(`PUT ${version}: ${response.status}`)
      },
      (error) => this.errors.push(String(error)),
    )
  }

  async scribble(times) {
    for (let n = 0; n < times; n++) {
      while (this.outstanding >= 10) await pause(5)
      const { points, insert } = change(this.text)
      void this.edit(...points, insert)
      await pause(below(60))
    }
  }
}

/** Random changes of a client with a history. */
async function scribbleWith(diamond, times) {
  for (let n = 0; n < times; n++) {
    while (diamond.outstanding >= 10) await pause(5)
    const { points, insert } = change(diamond.text)
    void diamond.edit(...points, insert)
    await pause(below(60))
  }
}

window.texts = { docs, views, open, shown, focus, scribble, Simpleton, Diamond, scribbleWith, braidFetch, pause }
