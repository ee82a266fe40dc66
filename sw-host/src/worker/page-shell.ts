/**
 * The page shell: the files of an app, kept so that it opens at once and offline.
 *
 * Off unless the worker was registered with `?shell=<url of a list>`. The list is JSON `{"release","files"}`, `files` being
 * either URLs or an object from URL to SHA-256. A release is kept in a cache of its own and used only once it is complete,
 * so a page never mixes files of two releases. What is complete is served from the cache at once; the list is then looked
 * at again in the background, and a newer release is used from the next page load on.
 */
import { SHELL_CACHE_PREFIX } from '../shared/names.ts'
import { sha256 } from './peer-wasm.ts'

/** Files taken from one list. */
export const SHELL_FILES = 500
/** Files fetched at a time. */
export const SHELL_AT_ONCE = 6
/** Least time between two looks at the list, in milliseconds. */
export const SHELL_RECHECK_MS = 30_000

/** A list as read: absolute URL to digest, or to undefined where the list gives none. */
interface ShellList {
  release: string
  files: Map<string, string | undefined>
}

const isText = (value: unknown): value is string => typeof value === 'string'

/** Reads a shell list; undefined if it is malformed. Files of other origins and below `/~/` are left out. */
export function parseShellList(value: unknown, base: string): ShellList | undefined {
  if (typeof value !== 'object' || value === null) return undefined
  const { release, files } = value as { release?: unknown; files?: unknown }
  if (!isText(release) || !/^[\w.-]{1,64}$/.test(release) || typeof files !== 'object' || files === null) return undefined
  const entries: [string, unknown][] = Array.isArray(files)
    ? files.filter(isText).map((file) => [file, undefined])
    : Object.entries(files as Record<string, unknown>)
  const read = new Map<string, string | undefined>()
  for (const [file, digest] of entries.slice(0, SHELL_FILES)) {
    const url = new URL(file, base)
    if (url.origin !== new URL(base).origin || url.pathname.startsWith('/~/')) continue
    read.set(url.href, isText(digest) ? digest : undefined)
  }
  return { release, files: read }
}

/** The shell of one worker. */
export class PageShell {
  readonly #list: string
  #complete: Promise<Cache | undefined> | undefined
  #checked = Number.NEGATIVE_INFINITY
  #filling: Promise<void> | undefined

  /** @param list the URL of the list */
  constructor(list: string) {
    this.#list = list
  }

  /** Answers from the complete release, otherwise from the network. */
  async respond(request: Request): Promise<Response> {
    this.#complete ??= this.#findComplete()
    const cache = await this.#complete
    const found = await cache?.match(request, { ignoreVary: true, ignoreSearch: request.mode === 'navigate' })
    return found ?? fetch(request)
  }

  /** Looks at the list and fetches a newer release. Failing is fine: what is there stays in use. */
  async refresh(): Promise<void> {
    if (Date.now() - this.#checked < SHELL_RECHECK_MS) return
    this.#checked = Date.now()
    this.#filling ??= this.#fill()
      .catch(() => undefined)
      .finally(() => {
        this.#filling = undefined
      })
    return this.#filling
  }

  /** The marker is written last: with it, the release is complete. */
  #marker(): string {
    return new URL('/~/.shell-complete', this.#list).href
  }

  async #findComplete(): Promise<Cache | undefined> {
    const names = (await caches.keys()).filter((name) => name.startsWith(SHELL_CACHE_PREFIX))
    for (const name of names.reverse()) {
      const cache = await caches.open(name)
      const marker = await cache.match(this.#marker())
      if (marker && (await marker.text()) === this.#list) return cache
    }
    return undefined
  }

  async #fill(): Promise<void> {
    const answer = await fetch(this.#list, { cache: 'no-cache' })
    if (!answer.ok) return
    const list = parseShellList(await answer.json(), this.#list)
    if (!list) {
      console.warn(`kith: ${this.#list} is not a page shell list ({"release", "files"}), so nothing is kept for offline use.`)
      return
    }
    const name = SHELL_CACHE_PREFIX + list.release
    const cache = await caches.open(name)
    if (await cache.match(this.#marker())) return
    const before = await this.#findComplete()
    const queue = [...list.files]
    const next = async (): Promise<void> => {
      for (let file = queue.shift(); file; file = queue.shift()) await this.#take(cache, before, ...file)
    }
    await Promise.all(Array.from({ length: SHELL_AT_ONCE }, next))
    await cache.put(this.#marker(), new Response(this.#list))
    this.#complete = Promise.resolve(cache)
    for (const other of await caches.keys()) {
      if (other.startsWith(SHELL_CACHE_PREFIX) && other !== name) await caches.delete(other)
    }
  }

  async #take(cache: Cache, before: Cache | undefined, url: string, digest: string | undefined): Promise<void> {
    if (digest && (await cache.match(url))) return
    const kept = digest ? await before?.match(url) : undefined
    if (kept && (await sha256(await kept.clone().arrayBuffer())) === digest) return cache.put(url, kept)
    const answer = await fetch(url, { cache: 'no-cache' })
    if (!answer.ok) throw new Error(`${url} was answered with ${answer.status}.`)
    const bytes = await answer.arrayBuffer()
    if (digest && (await sha256(bytes)) !== digest) throw new Error(`${url} belongs to another release.`)
    // A redirected response may not answer a navigation, so a fresh one is made; its bytes are no longer compressed.
    const headers = new Headers(answer.headers)
    for (const name of ['content-encoding', 'content-length', 'transfer-encoding']) headers.delete(name)
    await cache.put(url, new Response(bytes, { headers }))
  }
}
