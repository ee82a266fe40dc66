// Reading Braid's 209 bodies.
import assert from 'node:assert/strict'
import { test } from 'node:test'
import { load } from './load.mjs'

const { FrameReader, FrameError, readVersions, writeVersions, HEAD_LIMIT } = await load('shared/multiresponse.ts')
const bytes = (text) => new TextEncoder().encode(text)
const text = (body) => new TextDecoder().decode(body)

const BODY =
  '\r\nHTTP 200 OK\r\nVersion: "a-1"\r\nParents: \r\nContent-Type: application/json\r\nContent-Length: 15\r\n\r\n{"title":"Tee"}\r\n\r\n' +
  '\r\n\r\n' + // heartbeats
  'HTTP/1.1 404 Not Found\r\nVersion: "a-2"\r\nContent-Length: 0\r\n\r\n' +
  'HTTP 200 OK\nVersion: "a-3"\nContent-Length: 2\n\n{}' + // bare newlines
  'Version: "a-4", "b-1"\r\nContent-Range: items "x"\r\nContent-Length: 3\r\n\r\n"y"\r\n\r\n' +
  'HTTP 200 OK\r\nVersion: "a-5"\r\nPatches: 2\r\n\r\nContent-Length: 3\r\nContent-Range: items "k"\r\n\r\n"1"\r\n\r\nContent-Length: 0\r\nContent-Range: items "l"\r\n\r\n\r\n\r\n'

test('the same frames come out however the body is cut', () => {
  const whole = bytes(BODY)
  const shape = (frames) => frames.map(({ status, headers, body, patches }) => [status, headers.get('version'), text(body), patches.map((patch) => [patch.range, text(patch.body)])])
  const expected = [
    [200, '"a-1"', '{"title":"Tee"}', []],
    [404, '"a-2"', '', []],
    [200, '"a-3"', '{}', []],
    [200, '"a-4", "b-1"', '"y"', [['items "x"', '"y"']]],
    [200, '"a-5"', '', [['items "k"', '"1"'], ['items "l"', '']]],
  ]
  assert.deepEqual(shape(new FrameReader().push(whole)), expected)
  for (let size = 1; size < 40; size++) {
    const reader = new FrameReader()
    const frames = []
    for (let at = 0; at < whole.length; at += size) frames.push(...reader.push(whole.subarray(at, at + size)))
    assert.deepEqual(shape(frames), expected, `in pieces of ${size}`)
  }
})

test('what is no multiresponse is refused', () => {
  assert.throws(() => new FrameReader().push(bytes('HTTP 200 OK\r\nno header here\r\n\r\n')), FrameError)
  assert.throws(() => new FrameReader().push(bytes('HTTP 200 OK\r\nContent-Length: -1\r\n\r\n')), FrameError)
  assert.throws(() => new FrameReader().push(bytes('HTTP 200 OK\r\nContent-Length: 99999999999\r\n\r\n')), FrameError)
  assert.throws(() => new FrameReader().push(bytes('HTTP 200 OK\r\nPatches: 1e9\r\n\r\n')), FrameError)
  assert.throws(() => new FrameReader().push(bytes('x'.repeat(HEAD_LIMIT + 1))), FrameError)
})

test('versions go back and forth, odd characters included', () => {
  for (const versions of [[], ['a-1'], ['a-1', 'b-22'], ['caf\u00e9 "x" \\ , y-1', 'z']]) {
    const header = writeVersions(versions)
    assert.match(header, /^[\x20-\x7e]*$/)
    assert.deepEqual(readVersions(header), versions)
  }
  assert.deepEqual(readVersions(null), [])
})
