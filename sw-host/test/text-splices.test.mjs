// The algebra under collaborative text: every law on thousands of random changes, the conversions on every kind of character.
import assert from 'node:assert/strict'
import { test } from 'node:test'
import { load } from './load.mjs'
import { random } from './text/random.mjs'

const { apply, compose, invert, mapPosition, rebase, regular } = await load('page/text/splices.ts')
const { codePoints, fromPatches, pointsAt, toPatches, unitsAt, weight, wellFormed, whole } = await load('page/text/code-points.ts')
const { diff } = await load('page/text/diff.ts')

const ROUNDS = 4000

test('composing is doing one after the other', () => {
  const dice = random(1)
  for (let round = 0; round < ROUNDS; round++) {
    const text = dice.text(12)
    const first = dice.change(text)
    const middle = apply(text, first)
    const second = dice.change(middle)
    const both = compose(first, second)
    assert.equal(apply(text, both), apply(middle, second))
    assert.deepEqual(both, regular(both, text.length), 'composed changes are regular')
    const third = dice.change(apply(middle, second))
    assert.equal(apply(text, compose(both, third)), apply(text, compose(first, compose(second, third))), 'in whichever order they are put together')
  }
})

test('two changes of one text meet, whichever comes first', () => {
  const dice = random(2)
  for (let round = 0; round < ROUNDS; round++) {
    const text = dice.text(12)
    const [one, two] = [dice.change(text), dice.change(text)]
    for (const after of [true, false]) {
      const left = apply(apply(text, two), rebase(one, two, after))
      const right = apply(apply(text, one), rebase(two, one, !after))
      assert.equal(left, right, JSON.stringify({ text, one, two, after }))
    }
  }
})

test('rebasing keeps what the other inserted, and deletes nothing twice', () => {
  assert.deepEqual(rebase([{ from: 2, to: 6, insert: 'X' }], [{ from: 4, to: 4, insert: 'abc' }], true), [{ from: 2, to: 4, insert: 'X' }, { from: 7, to: 9, insert: '' }])
  assert.deepEqual(rebase([{ from: 2, to: 6, insert: '' }], [{ from: 0, to: 9, insert: 'n' }], true), [])
  assert.deepEqual(rebase([{ from: 1, to: 3, insert: '' }, { from: 4, to: 6, insert: '' }], [{ from: 2, to: 5, insert: '' }], true), [{ from: 1, to: 3, insert: '' }])
  assert.deepEqual(rebase([{ from: 3, to: 3, insert: 'me' }], [{ from: 3, to: 3, insert: 'you' }], false), [{ from: 3, to: 3, insert: 'me' }])
  assert.deepEqual(rebase([{ from: 3, to: 3, insert: 'me' }], [{ from: 3, to: 3, insert: 'you' }], true), [{ from: 6, to: 6, insert: 'me' }])
})

test('a change and its inverse leave the text as it was', () => {
  const dice = random(3)
  for (let round = 0; round < ROUNDS; round++) {
    const text = dice.text(12)
    const change = dice.change(text)
    assert.equal(apply(apply(text, change), invert(change, text)), text)
  }
})

test('positions move with the text around them', () => {
  const change = [{ from: 2, to: 4, insert: 'abc' }, { from: 6, to: 6, insert: 'd' }]
  assert.deepEqual([0, 1, 2, 3, 4, 5, 6, 7].map((at) => mapPosition(at, change, true)), [0, 1, 5, 5, 5, 6, 8, 9])
  assert.deepEqual([0, 1, 2, 3, 4, 5, 6, 7].map((at) => mapPosition(at, change, false)), [0, 1, 2, 5, 5, 6, 7, 9])
})

test('a change that does not fit is refused', () => {
  for (const wrong of [[{ from: -1, to: 0, insert: '' }], [{ from: 3, to: 2, insert: '' }], [{ from: 0, to: 9, insert: '' }], [{ from: 0.5, to: 1, insert: '' }], [{ from: 0, to: 3, insert: '' }, { from: 2, to: 4, insert: '' }], [{ from: Number.NaN, to: 1, insert: '' }]]) {
    assert.throws(() => regular(wrong, 5), RangeError, JSON.stringify(wrong))
  }
  assert.deepEqual(regular([{ from: 4, to: 5, insert: 'b' }, { from: 1, to: 1, insert: '' }, { from: 2, to: 4, insert: 'a' }], 5), [{ from: 2, to: 5, insert: 'ab' }])
})

test('code points and units agree with the language, whatever the characters', () => {
  const dice = random(4)
  for (let round = 0; round < ROUNDS; round++) {
    const text = dice.text(10)
    assert.equal(codePoints(text), [...text].length)
    const change = whole(text, dice.change(text))
    const patches = toPatches(text, change)
    for (const [n, { from, to }] of patches.entries()) {
      assert.equal([...text].slice(0, from).join('').length, change[n].from)
      assert.equal([...text].slice(0, to).join('').length, change[n].to)
    }
    assert.deepEqual(fromPatches(text, patches), change)
    assert.equal(weight(patches), change.reduce((sum, { from, to, insert }) => sum + [...text.slice(from, to)].length + [...insert].length, 0))
    const point = dice.below(patches.length + 12)
    assert.equal(unitsAt(text, point), [...text].slice(0, point).join('').length)
    assert.equal(pointsAt(text, unitsAt(text, point)), Math.min(point, [...text].length))
  }
})

test('ranges of an update that lie outside, or out of order, are refused', () => {
  assert.throws(() => fromPatches('a😀', [{ from: 0, to: 3, insert: '' }]), RangeError)
  assert.throws(() => fromPatches('abc', [{ from: 2, to: 3, insert: '' }, { from: 1, to: 1, insert: 'x' }]), RangeError)
  assert.throws(() => fromPatches('abc', [{ from: 2, to: 1, insert: '' }]), RangeError)
  assert.deepEqual(fromPatches('a😀b', [{ from: 2, to: 3, insert: 'é' }]), [{ from: 3, to: 4, insert: 'é' }])
})

test('no change leaves half a character behind', () => {
  const dice = random(5)
  for (let round = 0; round < ROUNDS; round++) {
    const text = dice.text(8)
    const length = text.length
    const from = dice.below(length + 1)
    const change = whole(text, [{ from, to: from + dice.below(length - from + 1), insert: dice.pick(['', 'x', '\ud83d', '\ude00', '😀']) }])
    const result = apply(text, change)
    assert.equal(result, wellFormed(result))
  }
  assert.equal(apply('😀', whole('😀', [{ from: 1, to: 2, insert: '' }])), '\ufffd')
  assert.equal(apply('😀', whole('😀', [{ from: 1, to: 2, insert: '\ude01' }])), '😁', 'another half that fits')
})

test('the difference of two texts leads from one to the other', () => {
  const dice = random(6)
  for (let round = 0; round < ROUNDS; round++) {
    const [before, after] = [dice.text(14), dice.text(14)]
    const caret = dice.below(after.length + 1)
    assert.equal(apply(before, diff(before, after)), after)
    assert.equal(apply(before, diff(before, after, caret)), after)
    const edited = apply(before, whole(before, dice.change(before)))
    assert.equal(apply(before, diff(before, edited)), edited)
  }
})

test('a difference is as small as the change', () => {
  const before = Array.from({ length: 400 }, (_, n) => `line ${n} of the text`).join('\n')
  const after = before.replace('line 20 ', 'Line 20 ').replace('line 300 of the', 'line 300 of a')
  const change = diff(before, after)
  const touched = change.reduce((sum, { from, to, insert }) => sum + to - from + insert.length, 0)
  assert.ok(touched <= 8, JSON.stringify(change))
  assert.equal(apply(before, change), after)
  const other = Array.from({ length: 3000 }, (_, n) => String.fromCharCode(97 + ((n * 7919) % 26))).join('')
  assert.equal(apply(before, diff(before, other)), other, 'far apart: one range')
  assert.deepEqual(diff('same', 'same'), [])
})

test('what was typed is found where the caret is', () => {
  assert.deepEqual(diff('aaaa', 'aaaaa', 2), [{ from: 1, to: 1, insert: 'a' }])
  assert.deepEqual(diff('aaaa', 'aaaaa', 5), [{ from: 4, to: 4, insert: 'a' }])
  assert.deepEqual(diff('aaaa', 'aaa', 1), [{ from: 1, to: 2, insert: '' }])
})
