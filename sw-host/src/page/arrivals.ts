/**
 * Hands over what arrives: the first message at once, those that come while it is on its way together. A message to another
 * thread costs as much with 16 KiB as with 128, and a busy channel brings a thousand a second.
 */
import { BATCH_BYTES } from '../shared/carrier-messages.ts'

/** What arrives on one channel. */
export class Arrivals {
  readonly #hand: (bytes: ArrayBuffer) => void
  readonly #turn = new MessageChannel()
  #waiting: ArrayBuffer[] = []
  #bytes = 0
  #inTurn = false

  constructor(hand: (bytes: ArrayBuffer) => void) {
    this.#hand = hand
    // Comes after the messages that the browser has ready now: a turn of the page's event loop.
    this.#turn.port1.onmessage = () => {
      this.#inTurn = false
      if (this.#flush()) this.#takeTurn()
    }
  }

  /** Hands the message over, now or with others in a moment. */
  add(message: ArrayBuffer): void {
    if (this.#bytes + message.byteLength > BATCH_BYTES) this.#flush()
    this.#waiting.push(message)
    this.#bytes += message.byteLength
    if (this.#inTurn) return
    this.#flush()
    this.#takeTurn()
  }

  /** Hands over what waits; nothing more comes. */
  end(): void {
    this.#flush()
    this.#turn.port1.close()
  }

  #takeTurn(): void {
    this.#inTurn = true
    this.#turn.port2.postMessage(undefined)
  }

  #flush(): boolean {
    const [first, ...more] = this.#waiting.splice(0)
    if (!first) return false
    const whole = more.length === 0 ? first : joined([first, ...more], this.#bytes)
    this.#bytes = 0
    this.#hand(whole)
    return true
  }
}

function joined(parts: ArrayBuffer[], length: number): ArrayBuffer {
  const whole = new Uint8Array(length)
  let at = 0
  for (const part of parts) {
    whole.set(new Uint8Array(part), at)
    at += part.byteLength
  }
  return whole.buffer
}
