/** One data channel of a carried connection: sends what it is given, no faster than the browser can. */

import { Arrivals } from './arrivals.ts'

/** Above this many bytes waiting in the browser, nothing more is asked of the worker. */
const HIGH_BYTES = 256 * 1024
/** At this many the worker is asked for more. */
const LOW_BYTES = 64 * 1024
/** Bytes taken are told in steps of this, so that a message each is not needed. Small beside the worker's credit. */
const TELL_BYTES = 64 * 1024

/** What a channel tells. `data` hands over the messages that came, one after the other. */
export interface ChannelEvents {
  data(bytes: ArrayBuffer): void
  taken(bytes: number): void
  closed(): void
}

/** A data channel, opened by either side. */
export class CarrierChannel {
  readonly #arrived: Arrivals
  readonly #channel: RTCDataChannel
  readonly #events: ChannelEvents
  /** Given before the channel was open. Bounded by the worker's credit. */
  #early: Uint8Array<ArrayBuffer>[] = []
  #untold = 0
  #shutting = false

  constructor(channel: RTCDataChannel, events: ChannelEvents) {
    this.#channel = channel
    this.#events = events
    this.#arrived = new Arrivals((bytes) => events.data(bytes))
    channel.binaryType = 'arraybuffer'
    channel.bufferedAmountLowThreshold = LOW_BYTES
    channel.onopen = () => {
      for (const bytes of this.#early.splice(0)) this.#send(bytes)
      this.#settle()
    }
    channel.onbufferedamountlow = () => this.#settle()
    channel.onmessage = ({ data }) => {
      // Text has no place in libp2p.
      if (data instanceof ArrayBuffer) this.#arrived.add(data)
    }
    channel.onclose = () => {
      this.#arrived.end()
      events.closed()
    }
  }

  /** Sends messages of `size` bytes, the last one maybe shorter, now or when the channel is open. */
  send(bytes: ArrayBuffer, size: number): void {
    for (let at = 0; at < bytes.byteLength; at += Math.max(size, 1)) {
      const message = new Uint8Array(bytes, at, Math.min(size, bytes.byteLength - at))
      if (this.#channel.readyState === 'connecting') this.#early.push(message)
      else this.#send(message)
    }
    this.#settle()
  }

  /** Closes once everything given is sent. */
  shut(): void {
    this.#shutting = true
    this.#channel.bufferedAmountLowThreshold = 0
    this.#settle()
  }

  #send(bytes: Uint8Array<ArrayBuffer>): void {
    if (this.#channel.readyState !== 'open') return
    const count = bytes.byteLength
    try {
      this.#channel.send(bytes)
    } catch {
      // Its buffer is full or it closed this moment; a stream with a hole is of no use.
      this.#channel.close()
      return
    }
    this.#untold += count
  }

  /** Tells what was taken and closes when that was asked for and nothing is left. */
  #settle(): void {
    const waiting = this.#channel.bufferedAmount
    if (this.#untold >= TELL_BYTES && waiting < HIGH_BYTES) {
      this.#events.taken(this.#untold)
      this.#untold = 0
    }
    if (this.#shutting && this.#early.length === 0 && waiting === 0) this.#channel.close()
  }
}
