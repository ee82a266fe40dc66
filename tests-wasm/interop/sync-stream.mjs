// `/kith/sync/1` as a stranger would write it from its description: records of a 32-bit word and maybe bytes.

export const SYNC = '/kith/sync/1'
const ACK = 0x8000_0000

const word = (number) => {
  const bytes = new Uint8Array(4)
  new DataView(bytes.buffer).setUint32(0, number >>> 0)
  return bytes
}
const record = (bytes) => {
  const whole = new Uint8Array(4 + bytes.length)
  whole.set(word(bytes.length))
  whole.set(bytes, 4)
  return whole
}
const flat = (chunk) => (chunk instanceof Uint8Array ? chunk : chunk.subarray())

/**
 * Speaks it on a stream. The opener greets first; the other side answers the same hello. Frames starting with 1 are answered
 * with 2 in their place, others are handed to `onFrame`.
 */
export function speak(stream, { opener, onFrame = () => {} }) {
  let arrived = new Uint8Array(0)
  let greeted = false
  let up
  const ready = new Promise((resolve) => {
    up = resolve
  })
  const hello = new Uint8Array(9)
  hello[0] = 1
  new DataView(hello.buffer).setBigUint64(1, BigInt(Date.now()))
  if (opener) stream.send(record(hello))
  const send = (frame) => {
    const whole = record(frame)
    for (let at = 0; at < whole.length; at += 16_000) stream.send(whole.subarray(at, at + 16_000))
  }
  const take = () => {
    for (;;) {
      if (arrived.length < 4) return
      const length = new DataView(arrived.buffer, arrived.byteOffset).getUint32(0)
      if (length === 0 || (length & ACK) !== 0) {
        arrived = arrived.slice(4)
        continue
      }
      if (arrived.length < 4 + length) return
      const frame = arrived.slice(4, 4 + length)
      arrived = arrived.slice(4 + length)
      if (!greeted) {
        greeted = true
        if (!opener) stream.send(record(frame))
        up()
        continue
      }
      stream.send(word(ACK | (length + 4)))
      if (frame[0] === 1) {
        frame[0] = 2
        send(frame)
      } else onFrame(frame)
    }
  }
  const beat = setInterval(() => {
    if (greeted && stream.status === 'open') stream.send(word(0))
  }, 1000)
  stream.addEventListener('message', ({ data }) => {
    const chunk = flat(data)
    const joined = new Uint8Array(arrived.length + chunk.length)
    joined.set(arrived)
    joined.set(chunk, arrived.length)
    arrived = joined
    take()
  })
  stream.addEventListener('close', () => clearInterval(beat))
  return { ready, send, stop: () => clearInterval(beat) }
}
