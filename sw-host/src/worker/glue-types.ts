/** The peer as the worker sees it: what `kith-peer` exports through wasm-bindgen. */

/** A header as name and value. */
export type Header = [name: string, value: string]

/** The peer's answer to one request: a body, a stream, or neither. */
export interface Reply {
  status: number
  statusText: string
  headers: Header[]
  /** The whole body. */
  body?: Uint8Array<ArrayBuffer>
  /** Names a stream to {@link Peer.pull} from. */
  stream?: number
}

/** How the peer is opened. */
export interface OpenOptions {
  /** The IndexedDB database. */
  name: string
  /** Relay addresses (multiaddr texts); may be empty. */
  relays: string[]
  /** The most bytes the peer may store; its own default otherwise. */
  budget?: number
  /** What one author may add to a space in a day before the person is asked; its own defaults otherwise. */
  quota?: { bytes?: number; entries?: number }
  /** Whether the peer died lately: it then takes in what comes one by one for a minute, to find what brings it down. */
  careful?: boolean
}

/** What only the host can know, shown in `/~/peer`. */
export interface Environment {
  /** Bytes the browser grants the origin. */
  quota?: number
  /** Bytes the origin uses, by the browser's count. */
  usage?: number
  /** Whether the browser promised not to evict the data. */
  persisted?: boolean
  /** How many tabs carry WebRTC for us: 0 or 1. */
  carriers?: number
}

/** One open peer. */
export interface Peer {
  /** One request; `url` is absolute. Never rejects for bad requests: those are problem replies. */
  request(method: string, url: string, headers: Header[], body: Uint8Array | undefined): Promise<Reply>
  /** The next chunk of a stream; undefined at its end. One pull at a time per stream. */
  pull(stream: number): Promise<Uint8Array<ArrayBuffer> | undefined>
  /** The stream's reader went away. */
  cancel(stream: number): void
  /** Opens the way for a body that comes piece by piece: its number, or the reply if it is not welcome. */
  openUpload(method: string, url: string, headers: Header[]): number | Reply
  /** The next piece, stored when this resolves; false: send no more. One piece at a time. */
  upload(upload: number, bytes: Uint8Array): Promise<boolean>
  /** The reply to a body that came piece by piece. */
  finishUpload(upload: number): Reply
  /** The sender of a body went away. */
  cancelUpload(upload: number): void
  setRelays(relays: string[]): void
  attachCarrier(port: MessagePort): void
  detachCarrier(): void
  setEnvironment(environment: Environment): void
  close(): Promise<void>
}

/** The glue of one wasm instance. */
export interface PeerGlue {
  default(options: { module_or_path: WebAssembly.Module }): Promise<unknown>
  version(): string
  Peer: { open(options: OpenOptions): Promise<Peer> }
}

/** What the glue calls back, and how it is stopped. */
export interface GlueHooks {
  /** Set once the instance was dropped. */
  readonly dead: unknown
  /** Throws once the instance is dropped, so that no timer, socket or promise of it can enter the wasm again. */
  enter(): void
  /** Sees every error that leaves the wasm. */
  leave(error: unknown): void
  /** The class its sockets are made of. */
  WebSocket: typeof WebSocket
}
