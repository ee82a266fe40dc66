/**
 * One life of the peer: a wasm instance, the peer opened in it, and everything that must end with it.
 *
 * A panic in Rust is a trap here, and after a trap nothing in that instance can be trusted. The guard around its exports
 * sees the trap wherever it happens (in a request, a timer, a socket's message), locks every way back in, closes its sockets
 * and fails whoever waits. Nothing that was acknowledged is lost: it was committed to IndexedDB first.
 */
import { createGlue } from 'kith:glue'
import type { OpenOptions, Peer } from './glue-types.ts'

/** Why the peer of this life is gone. */
export class PeerDied extends Error {
  override name = 'PeerDied'
}

/** A peer and its end. */
export class RunningPeer {
  readonly peer: Peer
  readonly #life: Life

  private constructor(peer: Peer, life: Life) {
    this.peer = peer
    this.#life = life
  }

  /** Instantiates the wasm afresh and opens the peer in it. */
  static async open(module: WebAssembly.Module, options: OpenOptions, onDeath: (why: PeerDied) => void): Promise<RunningPeer> {
    const life = new Life(onDeath)
    const glue = createGlue(life)
    try {
      await glue.default({ module_or_path: module })
      return new RunningPeer(await life.unlessDead(glue.Peer.open(options)), life)
    } catch (error) {
      life.end(new PeerDied('The peer could not be opened.', { cause: error }))
      throw error
    }
  }

  /** Whether this life is over. */
  get dead(): boolean {
    return this.#life.dead !== undefined
  }

  /** The promise, or a {@link PeerDied} if this life ends first. A trapped instance never settles its promises. */
  unlessDead<T>(promise: Promise<T>): Promise<T> {
    return this.#life.unlessDead(promise)
  }

  /** Ends this life without closing the peer. */
  drop(why: string): void {
    this.#life.end(new PeerDied(why))
  }

  /** Closes the peer in good order and ends this life. */
  async close(): Promise<void> {
    if (this.dead) return
    try {
      await this.unlessDead(this.peer.close())
    } finally {
      this.drop('The peer was closed.')
    }
  }
}

/** The hooks of one wasm instance. */
class Life {
  dead: PeerDied | undefined
  readonly WebSocket: typeof WebSocket
  readonly #onDeath: (why: PeerDied) => void
  readonly #waiting = new Set<(why: PeerDied) => void>()
  readonly #sockets = new Set<WebSocket>()

  constructor(onDeath: (why: PeerDied) => void) {
    this.#onDeath = onDeath
    const sockets = this.#sockets
    this.WebSocket = class extends WebSocket {
      constructor(url: string | URL, protocols?: string | string[]) {
        super(url, protocols)
        sockets.add(this)
        this.addEventListener('close', () => sockets.delete(this))
      }
    }
  }

  enter(): void {
    if (this.dead) throw this.dead
  }

  leave(error: unknown): void {
    if (!(error instanceof WebAssembly.RuntimeError) || this.dead) return
    const why = new PeerDied(`The peer stopped: ${error.message}`, { cause: error })
    this.end(why)
    this.#onDeath(why)
  }

  end(why: PeerDied): void {
    if (this.dead) return
    this.dead = why
    for (const socket of this.#sockets) socket.close()
    for (const fail of this.#waiting) fail(why)
    this.#waiting.clear()
  }

  unlessDead<T>(promise: Promise<T>): Promise<T> {
    if (this.dead) return Promise.reject(this.dead)
    return new Promise((resolve, reject) => {
      this.#waiting.add(reject)
      promise.then(resolve, reject).finally(() => this.#waiting.delete(reject))
    })
  }
}
