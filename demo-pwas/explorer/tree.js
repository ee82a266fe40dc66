// The keys of a space as a tree. Only branches that are open are read, a page of keys at a time, however much the space holds.
// Paths are kept as they stand in URLs, every key percent-encoded, so that a key may hold any character.
import { html, nothing, repeat } from '/assets/html.js'
import { ask, keys } from '/assets/ask.js'

const PAGE = 100
/** A branch is read again at most this often while changes rain in. */
const REFRESH_MS = 500

/** One open branch: its keys so far, and where the next page starts. */
const branch = () => ({ items: [], next: undefined, loading: false, error: '', timer: undefined })

const inside = (path, key) => (path === '' ? key : `${path}/${key}`)

/** The tree of one space. `changed` is called when there is something new to draw. */
export class Tree {
  #space
  #changed
  #open = new Map()
  /** Keys changed a moment ago, to be pointed out: path → number of flashes so far. */
  #flashes = new Map()
  selected = ''

  constructor(space, changed) {
    this.#space = space
    this.#changed = changed
    this.open('')
  }

  isOpen = (path) => this.#open.has(path)

  /** Opens a branch and reads its first keys. */
  open(path) {
    if (this.#open.has(path)) return
    this.#open.set(path, branch())
    this.more(path)
  }

  close(path) {
    if (path !== '') this.#open.delete(path)
    this.#changed()
  }

  /** Reads the next page of keys of an open branch. */
  async more(path) {
    const node = this.#open.get(path)
    await this.#read(node, path, node.next, PAGE, (page) => [...node.items, ...page.items])
  }

  async #read(node, path, start, limit, merged) {
    node.loading = true
    this.#changed()
    try {
      const place = path === '' ? '' : `${path}/`
      const page = await (await ask(`/~/${keys(this.#space)}/${place}?limit=${limit}${start ? `&start=${encodeURIComponent(start)}` : ''}`)).json()
      node.items = merged(page)
      node.next = page.next
      node.error = ''
    } catch (error) {
      node.error = error.message
    }
    node.loading = false
    this.#changed()
  }

  /** A value changed somewhere: the open branches above it may have a key more or less. */
  note(path) {
    const parts = path.split('/')
    for (let depth = 0; depth < parts.length; depth += 1) {
      const above = parts.slice(0, depth).join('/')
      const node = this.#open.get(above)
      if (!node) continue
      const key = parts[depth]
      const child = inside(above, key)
      this.#flashes.set(child, (this.#flashes.get(child) ?? 0) + 1)
      // Known keys stay where they are; a new or vanished key means reading what is shown of the branch once more.
      node.timer ??= setTimeout(() => {
        node.timer = undefined
        if (this.#open.get(above) === node)
          this.#read(node, above, undefined, Math.min(1000, Math.max(PAGE, node.items.length)), (page) => page.items)
      }, REFRESH_MS)
    }
  }

  /** Draws the tree. `select(path)` is called when a key is chosen. */
  view(select) {
    const root = this.#open.get('')
    return html`<div class="tree" @keydown=${(event) => this.#key(event)}>
      ${root.items.length === 0 && !root.loading && !root.error ? html`<div class="empty"><p><strong>Nothing here yet</strong></p><p>Write a value, or let the generator make some.</p></div>` : this.#children('', select)}
    </div>`
  }

  #children(path, select) {
    const node = this.#open.get(path)
    return html`<ul>
      ${repeat(
        node.items,
        (item) => item.key,
        (item) => this.#row(inside(path, keys(item.key)), item.key, select),
      )}
      ${node.error ? html`<li class="problem">${node.error}</li>` : nothing}
      ${node.next ? html`<li><button class="outline small-button more" ?disabled=${node.loading} @click=${() => this.more(path)}>More keys…</button></li>` : nothing}
      ${node.loading && node.items.length === 0 ? html`<li class="muted small" aria-busy="true">Reading…</li>` : nothing}
    </ul>`
  }

  #row(path, key, select) {
    const node = this.#open.get(path)
    const leaf = node && !node.loading && !node.error && node.items.length === 0
    const flash = this.#flashes.get(path)
    return html`<li>
      <button class="key" data-path=${path} aria-expanded=${leaf ? nothing : Boolean(node)} aria-current=${this.selected === path ? 'true' : nothing}
        @click=${() => this.#choose(path, select)}>
        <span class="twist" aria-hidden="true">${leaf ? '·' : node ? '▾' : '▸'}</span><span class=${flash ? `name flash${flash % 2}` : 'name'}>${key}</span>
      </button>
      ${node && !leaf ? this.#children(path, select) : nothing}
    </li>`
  }

  /** Choosing a key shows its value and opens it; choosing it again closes it. */
  #choose(path, select) {
    if (this.selected === path && this.isOpen(path)) this.close(path)
    else this.open(path)
    this.selected = path
    select(path)
  }

  #key(event) {
    const button = event.target.closest('.key')
    if (!button) return
    const { path } = button.dataset
    const all = [...event.currentTarget.querySelectorAll('.key')]
    const at = all.indexOf(button)
    const go = {
      ArrowDown: () => all[at + 1]?.focus(),
      ArrowUp: () => all[at - 1]?.focus(),
      Home: () => all[0]?.focus(),
      End: () => all.at(-1)?.focus(),
      ArrowRight: () => (this.isOpen(path) ? all[at + 1]?.focus() : this.open(path)),
      ArrowLeft: () => {
        if (this.isOpen(path)) this.close(path)
        else all.find((other) => other.dataset.path === path.split('/').slice(0, -1).join('/'))?.focus()
      },
    }[event.key]
    if (!go) return
    event.preventDefault()
    go()
  }
}
