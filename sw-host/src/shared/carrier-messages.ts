/**
 * The messages between the worker and the page that carries WebRTC for it. The worker's half is written in Rust
 * (`peer-wasm/net/src/webrtc/port.rs`); the two change together, with the version.
 *
 * Every message is an array: its name, then the peer connection it is about, then what the name asks for.
 */

/** The version of these messages, told by the worker's `hello`. */
export const CARRIER_VERSION = 2

/** Bytes of data channel messages handed over at once by the page; the worker takes no more. */
export const BATCH_BYTES = 128 * 1024

/** What the worker tells the page. Channels it opens have even names, those of the other side odd ones. */
export type Order =
  | ['hello', version: number]
  | ['ping']
  /** Close everything; this port is no longer used. */
  | ['detach']
  /** Make a peer connection with an `init` channel and an offer. */
  | ['offer', pc: number]
  /** Make a peer connection for this offer and an answer. */
  | ['answer', pc: number, sdp: string]
  /** The other side's answer. */
  | ['accept', pc: number, sdp: string]
  | ['candidate', pc: number, json: string]
  /** Connected: the `init` channel is no longer needed. */
  | ['ready', pc: number]
  | ['open', pc: number, channel: number]
  /** Send these bytes as messages of `size` each; the last may be shorter. */
  | ['data', pc: number, channel: number, bytes: ArrayBuffer, size: number]
  /** Close a channel once everything given to it was sent. */
  | ['shut', pc: number, channel: number]
  | ['close', pc: number]

/** What the page tells the worker. */
export type Report =
  | ['pong']
  | ['bye']
  | ['description', pc: number, sdp: string]
  | ['candidate', pc: number, json: string]
  /** All candidates were told. */
  | ['gathered', pc: number]
  | ['state', pc: number, state: 'connected' | 'disconnected' | 'failed' | 'closed']
  | ['failed', pc: number, why: string]
  | ['channel', pc: number, channel: number]
  /** Messages that arrived, one after the other. */
  | ['data', pc: number, channel: number, bytes: ArrayBuffer]
  /** The browser took this many bytes of what was posted. */
  | ['taken', pc: number, channel: number, bytes: number]
  | ['closed', pc: number, channel: number]

/** The kinds of what follows an order's name. */
const ORDERS: Record<Order[0], readonly ('number' | 'string' | 'buffer')[]> = {
  hello: ['number'],
  ping: [],
  detach: [],
  offer: ['number'],
  answer: ['number', 'string'],
  accept: ['number', 'string'],
  candidate: ['number', 'string'],
  ready: ['number'],
  open: ['number', 'number'],
  data: ['number', 'number', 'buffer', 'number'],
  shut: ['number', 'number'],
  close: ['number'],
}

const isKind = (value: unknown, kind: 'number' | 'string' | 'buffer'): boolean =>
  kind === 'buffer' ? value instanceof ArrayBuffer : typeof value === kind

/** The order in a message, or nothing when it is none. */
export function readOrder(data: unknown): Order | undefined {
  if (!Array.isArray(data) || typeof data[0] !== 'string' || !Object.hasOwn(ORDERS, data[0])) return undefined
  const kinds = ORDERS[data[0] as Order[0]]
  return kinds.every((kind, index) => isKind(data[index + 1], kind)) ? (data as Order) : undefined
}

/** Posts a report; bytes are handed over, not copied. */
export function report(port: MessagePort, message: Report): void {
  port.postMessage(message, message[0] === 'data' ? [message[3]] : [])
}
