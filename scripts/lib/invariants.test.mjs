// The checks must be able to fail: each is shown what it forbids.
import assert from 'node:assert/strict'
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { after, test } from 'node:test'
import { exportsOf, handMade, impure } from './invariants.mjs'

const folder = mkdtempSync(join(tmpdir(), 'kith-invariants-'))
after(() => rmSync(folder, { recursive: true }))

function file(name, text) {
  writeFileSync(join(folder, name), text)
  return join(folder, name)
}
const told = (list) => list.map((line) => line.replace(/^.*?:(\d+): /, '$1 '))

test('a clock, a random source and an await in the core are found; words in comments are not', () => {
  const path = file('a.rs', '// Instant::now() would be wrong\nlet t = Instant::now();\nlet r = OsRng;\nlet x = f().await;\n')
  assert.deepEqual(told(impure(path)).map((line) => line.split(' ')[0]), ['2', '3', '4'])
})

test('an exported method that takes &mut self or self is found; &self, plain impls and private ones are not', () => {
  const path = file(
    'b.rs',
    `#[wasm_bindgen]
impl Peer {
    pub fn good(&self, a: u32) {}
    pub async fn open(options: JsValue) -> Peer { todo() }
    #[wasm_bindgen(js_name = setRelays)]
    pub fn bad(&mut self) {}
    pub async fn worse(self) { if a { b } }
}
impl Peer {
    pub fn inner(&mut self) {}
}
`,
  )
  const { exported, wrong } = exportsOf(path)
  assert.equal(exported, 4)
  assert.deepEqual(told(wrong), ['6 an export takes `&mut self`, not `&self`', '7 an export takes `self`, not `&self`'])
})

test('a message made or read by hand is found', () => {
  const path = file('c.ts', "port.postMessage(wire({ type: 'x' }))\nport.postMessage({ type: 'x' })\nif (event.data.type === 'x') go()\n")
  assert.deepEqual(told(handMade(path)).map((line) => line.split(' ')[0]), ['2', '3'])
})
