// One value: read it, change it as JSON, save or delete it. What others change appears at once, unless there are unsaved words in the box.
import { html, live, nothing } from '/assets/html.js'
import { ask, json, keys } from '/assets/ask.js'
import { attempt, say } from '/assets/shell.js'
import { bytes } from '/assets/words.js'

/** A value is read again at most this often while changes rain in. */
const REFRESH_MS = 250

/** A path as a person reads it; "%2F" inside a key stays as it is. */
const readable = (path) => {
  try {
    return decodeURI(path)
  } catch {
    return path
  }
}
const decoded = (key) => {
  try {
    return decodeURIComponent(key)
  } catch {
    return key
  }
}
/** A path as a person types it, made fit for a URL. */
const written = (text) =>
  keys(
    ...text
      .split('/')
      .map((key) => decoded(key.trim()))
      .filter(Boolean),
  )

export class Editor {
  #space
  #changed
  #timer
  /** The path shown, the text in the box, and whether it differs from what is stored. */
  path = ''
  #text = ''
  #dirty = false
  #newer = false
  #facts = ''
  #note = ''

  constructor(space, changed) {
    this.#space = space
    this.#changed = changed
  }

  #url = () => `/~/${keys(this.#space)}/${this.path}`

  /** Shows the value at a path. */
  async show(path) {
    this.path = path
    this.#dirty = false
    await this.#read()
  }

  /** A value changed at this path: if it is the one shown, or a part of it, it is read again. */
  note(path) {
    if (this.path === '' || !(path === this.path || path.startsWith(`${this.path}/`) || this.path.startsWith(`${path}/`))) return
    this.#timer ??= setTimeout(() => {
      this.#timer = undefined
      if (!this.#dirty) this.#read()
      else this.#newer = true
      this.#changed()
    }, REFRESH_MS)
  }

  async #read() {
    const { path } = this
    let text = ''
    let facts = ''
    let note = ''
    try {
      const response = await ask(this.#url())
      const type = response.headers.get('content-type') ?? ''
      const body = await response.blob()
      if (type.includes('json')) text = JSON.stringify(JSON.parse(await body.text()), null, 2)
      else note = `This is ${type || 'of no known type'}, ${bytes(body.size)}; only JSON can be edited here.`
      facts = [`Version ${response.headers.get('version') ?? 'none'}`, bytes(body.size), response.headers.get('sync-status')]
        .filter(Boolean)
        .join(' · ')
    } catch (error) {
      note = error.status === 404 ? 'There is no value here yet.' : error.message
    }
    if (path !== this.path || this.#dirty) return
    this.#text = text
    this.#facts = facts
    this.#note = note
    this.#newer = false
    this.#changed()
  }

  #save = (event) => {
    event.preventDefault()
    attempt(async () => {
      let value
      try {
        value = JSON.parse(this.#text)
      } catch (error) {
        throw new Error(`This is not JSON yet: ${error.message}. Texts need quotation marks.`)
      }
      if (!this.path) throw new Error('Give the value a path, for example notes/first.')
      await ask(this.#url(), json('PUT', value))
      this.#dirty = false
      say('Saved on this device.')
      await this.#read()
    })
  }

  #remove = () =>
    attempt(async () => {
      await ask(this.#url(), { method: 'DELETE' })
      this.#dirty = false
      say(`${readable(this.path)} deleted.`)
      await this.#read()
    })

  #type = (event) => {
    this.#text = event.target.value
    this.#dirty = true
    this.#changed()
  }

  #rename = (event) => {
    this.path = written(event.target.value)
    this.#dirty = true
    this.#facts = ''
    this.#note = 'Saving writes to this path.'
    this.#changed()
  }

  view(locked) {
    return html`<form class="editor" @submit=${this.#save}>
      <label class="small">Path <input class="mono" name="path" .value=${live(readable(this.path))} @change=${this.#rename} placeholder="notes/first" autocomplete="off" autocapitalize="off" spellcheck="false"></label>
      <label class="small">Value as JSON
        <textarea class="mono" name="value" rows="10" spellcheck="false" placeholder='{ "text": "Hello" }' ?readonly=${locked} .value=${live(this.#text)} @input=${this.#type}></textarea></label>
      <p class="small muted facts-line">${this.#newer ? html`<button type="button" class="outline small-button" @click=${() => this.show(this.path)}>It changed elsewhere: show</button>` : this.#note || this.#facts || ' '}</p>
      ${locked ? html`<p class="small muted">You can read this space, not change it.</p>` : nothing}
      <div class="row"><button ?disabled=${locked}>Save</button>
        <button type="button" class="danger" ?disabled=${locked || !this.path} @click=${this.#remove}>Delete</button></div>
    </form>`
  }
}
