/** What subscriptions of values, listings and feeds mean: frames become states. */
import { isJson } from '../shared/media.ts'
import { readVersions, writeVersions } from '../shared/multiresponse.ts'
import type { Frame } from '../shared/multiresponse.ts'
import type { Change, Item, Json, Update } from './api.ts'
import type { Connection } from './peer-fetch.ts'
import { follow } from './subscription.ts'

const decoder = new TextDecoder()
const jsonOf = (bytes: Uint8Array): unknown => JSON.parse(decoder.decode(bytes))

function valueOf<T>(frame: Frame): T | undefined {
  if (frame.status === 404) return undefined
  const media = frame.headers.get('content-type') ?? 'application/json'
  return (isJson(media) ? jsonOf(frame.body) : new Blob([frame.body], { type: media })) as T
}

/** Frames that are newer than the last, resumed by version. */
async function* followVersions(
  connection: Connection,
  url: string,
  signal: AbortSignal | undefined,
  startOver: () => void = () => undefined,
): AsyncGenerator<{ frame: Frame; version: string[]; parents: string[] }, void, undefined> {
  let known: string[] | undefined
  const frames = follow(connection, {
    url: () => url,
    resume: () => (known?.length ? { parents: writeVersions(known) } : {}),
    forget: () => {
      known = undefined
      startOver()
    },
    signal,
  })
  for await (const frame of frames) {
    const version = readVersions(frame.headers.get('version'))
    // A reconnection may repeat the state the reader has.
    if (known && version.join() === known.join()) continue
    known = version
    yield { frame, version, parents: readVersions(frame.headers.get('parents')) }
  }
}

/** The states of one value. */
export async function* followValue<T>(connection: Connection, url: string, signal?: AbortSignal): AsyncGenerator<Update<T>, void, undefined> {
  for await (const { frame, version, parents } of followVersions(connection, url, signal)) {
    yield { value: valueOf<T>(frame), version, parents }
  }
}

/** The states of all children of a place, by key. */
export async function* followList(
  connection: Connection,
  url: string,
  signal?: AbortSignal,
): AsyncGenerator<Update<Record<string, Json>>, void, undefined> {
  let children = new Map<string, Json>()
  const startOver = (): void => {
    children = new Map()
  }
  for await (const { frame, version, parents } of followVersions(connection, `${url}?values=1`, signal, startOver)) {
    if (frame.patches.length === 0) {
      const { items } = jsonOf(frame.body) as { items: Item[] }
      children = new Map(items.map(({ key, value = null }) => [key, value]))
    }
    for (const { range, body } of frame.patches) {
      const [key] = readVersions(range)
      if (key === undefined) continue
      if (body.byteLength === 0) children.delete(key)
      else children.set(key, (jsonOf(body) as Item).value ?? null)
    }
    yield { value: Object.fromEntries(children), version, parents }
  }
}

/** The changes of a space, one by one. */
export async function* followChanges(
  connection: Connection,
  url: string,
  options: { since?: string; signal?: AbortSignal } = {},
): AsyncGenerator<Change, void, undefined> {
  let { since } = options
  const frames = follow(connection, {
    url: () => (since ? `${url}?since=${encodeURIComponent(since)}` : url),
    resume: () => ({}),
    forget: () => undefined,
    signal: options.signal,
  })
  for await (const frame of frames) {
    const page = jsonOf(frame.body) as Change[] | { items: Change[] }
    for (const change of Array.isArray(page) ? page : page.items) {
      since = change.cursor
      yield change
    }
  }
}
