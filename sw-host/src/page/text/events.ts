/** Listeners of a text. */
import type { TextChange, TextEventMap } from '../api-text.ts'

type Listeners = { [K in keyof TextEventMap]: Set<(event: TextEventMap[K]) => void> }

/** Who listens to one document. */
export class Events {
  readonly #listeners: Listeners = { change: new Set(), cursors: new Set(), saved: new Set(), problem: new Set() }

  on<K extends keyof TextEventMap>(type: K, listener: (event: TextEventMap[K]) => void): () => void {
    this.#listeners[type].add(listener)
    return () => void this.#listeners[type].delete(listener)
  }

  has(type: keyof TextEventMap): boolean {
    return this.#listeners[type].size > 0
  }

  /** Tells everybody. A listener that throws is reported as an uncaught error and stops neither the others nor the document. */
  emit<K extends keyof TextEventMap>(type: K, event: TextEventMap[K]): void {
    for (const listener of [...this.#listeners[type]]) {
      try {
        listener(event)
      } catch (error) {
        queueMicrotask(() => {
          throw error
        })
      }
    }
  }

  /** Remote changes one by one, until the signal ends. */
  async *remote(signal: AbortSignal): AsyncGenerator<TextChange, void, undefined> {
    const queue: TextChange[] = []
    let wake: () => void = () => undefined
    const off = this.on('change', (change) => {
      if (change.remote) queue.push(change)
      wake()
    })
    const end = (): void => wake()
    signal.addEventListener('abort', end)
    try {
      for (;;) {
        for (let change = queue.shift(); change; change = queue.shift()) yield change
        if (signal.aborted) return
        await new Promise<void>((resolve) => {
          wake = resolve
        })
      }
    } finally {
      off()
      signal.removeEventListener('abort', end)
    }
  }
}
