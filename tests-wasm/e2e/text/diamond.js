// A client of texts with a history of its own, on diamond-types as npm has it and the package `braid-http`: what `Merge-Type: dt` is for.
import { fetch as braidFetch } from '../../../node_modules/braid-http/braid-http-client.js'
import start, { Branch, OpLog } from '../../../node_modules/diamond-types-web/dt.js'

const ready = start('/dt_bg.wasm')
const sorted = (numbers) => new Uint32Array(numbers.sort((a, b) => a - b))
const headers = { 'Merge-Type': 'dt', Accept: 'text/plain' }

/** A document of diamond-types that is kept the same as a text of the peer. */
export class Diamond {
  agent = `d${Math.random().toString(36).slice(2, 12)}`
  /** The number diamond-types has for each event, by its name. */
  numbers = new Map()
  /** How many events of each agent there are. */
  counts = new Map()
  count = 0
  outstanding = 0
  updates = 0
  errors = []
  /** Edits that were told, as they came. */
  told = []

  static async open(url) {
    await ready
    return new Diamond(url)
  }

  constructor(url) {
    this.url = url
    this.log = new OpLog()
    this.branch = new Branch()
    this.stop = new AbortController()
    // What is on its way is not known there: go on from what was told and what was answered.
    this.known = []
    const parents = () => (this.known.length ? this.known : null)
    braidFetch(url, { headers, peer: this.agent, subscribe: true, retry: true, parents, signal: this.stop.signal }).then(
      (response) => response.subscribe((update) => this.take(update), (error) => this.errors.push(String(error))),
      (error) => this.errors.push(String(error)),
    )
  }

  get text() {
    this.branch.merge(this.log)
    return this.branch.get()
  }

  version() {
    return this.log.getRemoteVersion().map(([agent, seq]) => `${agent}-${seq}`)
  }

  /** Adds an edit: `patches` are `[from, to, text]` in the text at `parents`; deletions go from their end. */
  add(agent, parents, patches) {
    let at = sorted(parents.map((name) => this.numbers.get(name)))
    if (at.includes(undefined) || at.some(Number.isNaN)) throw new Error(`unknown parents: ${parents}`)
    const note = () => {
      const seq = this.counts.get(agent) ?? 0
      this.counts.set(agent, seq + 1)
      this.numbers.set(`${agent}-${seq}`, this.count)
      at = new Uint32Array([this.count++])
    }
    this.log.setAgent(agent)
    let moved = 0
    for (const [from, to, text] of patches) {
      for (let last = to - 1; last >= from; last--) {
        this.log.del(last + moved, 1, at)
        note()
      }
      moved -= to - from
      let place = to + moved
      for (const point of text) {
        this.log.ins(place++, point, at)
        note()
      }
      moved += [...text].length
    }
  }

  take({ version = [], parents = [], patches, status }) {
    if (Number(status ?? 200) === 404 || version.length === 0) return
    const [name] = version
    this.updates++
    const places = patches.map(({ range, content_text: text }) => [.../(\d+):(\d+)/.exec(range).slice(1).map(Number), text])
    this.told.push({ version: name, parents, patches: places })
    if (!this.numbers.has(name)) {
      try {
        this.add(name.slice(0, name.lastIndexOf('-')), parents, places)
      } catch (error) {
        this.errors.push(String(error))
      }
    }
    this.learn(name, parents)
  }

  /** The peer knows this event, and so what it builds on. */
  learn(name, parents) {
    this.known = [...this.known.filter((one) => !parents.includes(one) && one !== name), name]
  }

  async edit(from, to, text) {
    const parents = this.version()
    this.add(this.agent, parents, [[from, to, text]])
    const version = [`${this.agent}-${this.counts.get(this.agent) - 1}`]
    this.outstanding++
    try {
      const patches = [{ unit: 'text', range: `[${from}:${to}]`, content: text }]
      const response = await braidFetch(this.url, { method: 'PUT', version, parents, peer: this.agent, headers, patches, retry: true })
      if (response.ok) this.learn(version[0], parents)
      else this.errors.push(`PUT ${version}: ${response.status}`)
    } catch (error) {
      this.errors.push(String(error))
    }
    this.outstanding--
  }
}
