// Editors on a text without a browser: what a surface does when others write, a word is composed, or something is undone.
import assert from 'node:assert/strict'
import { afterEach, test } from 'node:test'
import { load } from './load.mjs'
import { random } from './text/random.mjs'
import { TextServer } from './text/server.mjs'

const { SurfaceBinding, lineEnds } = await load('page/bindings/surface.ts')
const { Undo } = await load('page/bindings/undo.ts')
const { openSpace } = await load('page/space.ts')
const { apply, compose, rebase } = await load('page/text/splices.ts')

const realFetch = globalThis.fetch
let open = []
afterEach(async () => {
  await Promise.all(open.map((doc) => doc.close()))
  open = []
  globalThis.fetch = realFetch
})

/** An element as far as a binding sees one, and a person at it. */
class Area {
  element = Object.assign(new EventTarget(), { ownerDocument: new EventTarget() })
  value = ''
  at = { anchor: 0, head: 0 }
  writes = 0
  read = () => this.value
  write = (text) => {
    this.value = text
    this.writes++
  }
  selection = () => this.at
  select = (at) => {
    this.at = at
  }
  editable = () => true
  fire(type, more = {}) {
    const event = Object.assign(new Event(type, { cancelable: true }), more)
    this.element.dispatchEvent(event)
    return event
  }
  /** Types where the caret is; a browser does it first and tells then. */
  type(text, event = 'input') {
    const { anchor, head } = this.at
    const from = Math.min(anchor, head)
    this.value = this.value.slice(0, from) + text + this.value.slice(Math.max(anchor, head))
    this.at = { anchor: from + text.length, head: from + text.length }
    if (event) this.fire(event)
  }
}

async function bound(value = '') {
  const server = new TextServer()
  globalThis.fetch = server.fetch
  const space = openSpace('me', { control: async () => undefined })
  const [mine, other] = [space.text('plan'), space.text('plan')]
  open.push(mine, other)
  if (value) other.edit([{ from: 0, to: 0, insert: value }])
  await Promise.all([mine.ready, other.ready, other.saved()])
  await same(mine, other)
  const area = new Area()
  const binding = new SurfaceBinding(area, mine)
  return { mine, other, area, binding }
}
const same = (one, two) =>
  new Promise((resolve) => {
    const look = () => one.value === two.value && one.isSaved && two.isSaved && (offs.forEach((off) => off()), resolve())
    const offs = [one, two].flatMap((doc) => ['change', 'saved'].map((type) => doc.on(type, look)))
    look()
  })

test('what is typed goes to the text, what others write shows, and the caret stays in its word', async () => {
  const { mine, other, area } = await bound('alpha omega')
  assert.equal(area.value, 'alpha omega')
  area.at = { anchor: 6, head: 11 }
  other.edit([{ from: 0, to: 0, insert: 'The ' }])
  await same(mine, other)
  assert.deepEqual([area.value, area.at], ['The alpha omega', { anchor: 10, head: 15 }])
  area.type('beta')
  await same(mine, other)
  assert.equal(other.value, 'The alpha beta')
  other.edit([{ from: 14, to: 14, insert: '!' }])
  await same(mine, other)
  assert.deepEqual(area.at, { anchor: 14, head: 14 }, 'what others write at the caret comes behind it')
})

test('while a word is composed nothing touches the text on screen; after it everything is there', async () => {
  const { mine, other, area } = await bound('one two')
  area.at = { anchor: 7, head: 7 }
  area.fire('compositionstart')
  area.type(' 漢')
  const { writes } = area
  other.edit([{ from: 0, to: 3, insert: 'ONE MORE' }])
  await new Promise((resolve) => {
    const off = mine.on('change', () => (off(), resolve()))
  })
  assert.deepEqual([area.value, area.writes], ['one two 漢', writes])
  area.type('字')
  area.fire('compositionend')
  assert.equal(area.value, 'ONE MORE two 漢字')
  assert.deepEqual(area.at, { anchor: 15, head: 15 })
  await same(mine, other)
  assert.equal(other.value, 'ONE MORE two 漢字')
})

test('a composition that comes to nothing still lets what others wrote show', async () => {
  const { mine, other, area } = await bound('one')
  area.at = { anchor: 3, head: 3 }
  area.fire('compositionstart')
  other.edit([{ from: 0, to: 0, insert: 'zero ' }])
  await new Promise((resolve) => {
    const off = mine.on('change', () => (off(), resolve()))
  })
  area.fire('compositionend')
  assert.deepEqual([area.value, area.at.head], ['zero one', 8])
})

test('undo takes back what was done here and nothing else; redo does it again', async () => {
  const { mine, other, area } = await bound('base')
  area.at = { anchor: 4, head: 4 }
  area.type(' mine')
  await same(mine, other)
  other.edit([{ from: 0, to: 0, insert: 'theirs ' }, { from: 6, to: 6, insert: '…' }])
  await same(mine, other)
  assert.equal(area.value, 'theirs base m…ine')
  assert.equal(area.fire('keydown', { key: 'z', ctrlKey: true, metaKey: false, altKey: false, shiftKey: false }).defaultPrevented, true)
  assert.equal(area.value, 'theirs base…')
  area.fire('keydown', { key: 'Z', ctrlKey: true, metaKey: false, altKey: false, shiftKey: true })
  assert.deepEqual([...area.value].sort(), [...'theirs base m…ine'].sort(), 'all of it is back')
  area.fire('beforeinput', { inputType: 'historyUndo' })
  assert.equal(area.value, 'theirs base…')
  await same(mine, other)
})

test('however much others write, undoing everything leaves what they wrote', () => {
  for (let seed = 1; seed <= 400; seed++) {
    const dice = random(seed)
    const undo = new Undo()
    const others = dice.text(6)
    let text = others
    /** The same text with only what others did. */
    let clean = others
    /** What leads from the clean text to the text. */
    let ours = []
    let time = 0
    for (let round = 0; round < 12; round++) {
      if (dice.below(2)) {
        // Ours only inserts, so that what others did can be told apart.
        const at = dice.boundary(text)
        const change = [{ from: at, to: at, insert: dice.pick(['X', 'YY', '😀Z']) }]
        undo.made(change, text, (time += dice.below(1000)))
        text = apply(text, change)
        ours = compose(ours, change)
      } else {
        const change = dice.change(clean)
        const shown = rebase(change, ours, false)
        ours = rebase(ours, change, true)
        clean = apply(clean, change)
        text = apply(text, shown)
        undo.remote(shown)
      }
    }
    const full = text
    let steps = 0
    for (let back = undo.step('undo', text); back; back = undo.step('undo', text), steps++) text = apply(text, back)
    assert.equal(text, clean, `seed ${seed}`)
    for (; steps > 0; steps--) text = apply(text, undo.step('redo', text))
    assert.equal(text, full, `seed ${seed}, redone`)
  }
})

test('line ends of other systems become those of the page, once', async () => {
  assert.deepEqual(apply('a\r\nb\rc\n', lineEnds('a\r\nb\rc\n')), 'a\nb\nc\n')
  const { mine, other, area } = await bound('one\r\ntwo')
  await same(mine, other)
  assert.deepEqual([area.value, other.value], ['one\ntwo', 'one\ntwo'])
  area.at = { anchor: 7, head: 7 }
  area.type('!')
  await same(mine, other)
  assert.equal(other.value, 'one\ntwo!')
})

test('a closed binding lets go of both', async () => {
  const { mine, other, area, binding } = await bound('text')
  binding.close()
  other.edit([{ from: 0, to: 0, insert: 'more ' }])
  await same(mine, other)
  assert.equal(area.value, 'text')
  area.type('x')
  assert.equal(mine.value, 'more text')
})
