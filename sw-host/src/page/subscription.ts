/** Reads a subscription for as long as it is wanted: any end of the stream means "connect again with what you have". */
import { KithError, problem, problemOf } from '../shared/problem.ts'
import type { Problem } from '../shared/problem.ts'
import { FrameReader } from '../shared/multiresponse.ts'
import type { Frame } from '../shared/multiresponse.ts'
import { peerFetch } from './peer-fetch.ts'
import type { Connection } from './peer-fetch.ts'

/** First and longest pause before connecting again, in milliseconds. A stream that carried something resets it. */
const FIRST_PAUSE_MS = 50
const LONGEST_PAUSE_MS = 5_000
/** The peer is asked to send a sign of life this often, in seconds. */
const HEARTBEAT_S = 15
/** Silence after which the stream counts as dead, in milliseconds: Firefox can lose one without a word. */
const SILENCE_MS = 3 * HEARTBEAT_S * 1000
/** Answers after which connecting again is worth it. */
export const PASSING: ReadonlySet<number> = new Set([408, 425, 429, 502, 503, 504])

/** Where a subscription stands: the headers that ask for what comes after it. */
export type Resume = () => Record<string, string>

/** What a reader makes of a subscription. */
export interface Subscription {
  /** The URL. May change with where it stands (`?since=`). */
  url(): string
  /** Further headers, `Parents` among them. */
  resume: Resume
  /** Waited for before each connection. */
  before?(): Promise<void>
  /** The peer answered: what follows is the stream. */
  opened?(): void
  /** The peer no longer knows where the reader stands (410, 432): start over. */
  forget(): void
  /** The reader gives up. */
  signal: AbortSignal | undefined
}

/** All frames of a subscription, over as many connections as it takes. Ends when the signal does; throws what cannot pass by itself. */
export async function* follow(connection: Connection, subscription: Subscription): AsyncGenerator<Frame, void, undefined> {
  const { signal } = subscription
  let wait = FIRST_PAUSE_MS
  while (!signal?.aborted) {
    try {
      for await (const frame of connectOnce(connection, subscription)) {
        wait = FIRST_PAUSE_MS
        yield frame
      }
    } catch (error) {
      if (signal?.aborted) return
      if (error instanceof KithError) {
        if (error.status === 410 || error.status === 432) subscription.forget()
        else if (error.status !== 0 && !PASSING.has(error.status)) throw error
      }
    }
    await new Promise<void>((resolve) => {
      const timer = setTimeout(resolve, wait)
      signal?.addEventListener('abort', () => (clearTimeout(timer), resolve()), { once: true })
    })
    wait = Math.min(wait * 2, LONGEST_PAUSE_MS)
  }
}

/** The peer's reason for ending a subscription: a problem as its last frame. */
const ended = (frame: Frame): Promise<Problem> =>
  problemOf(new Response(frame.body, { status: frame.status >= 400 ? frame.status : 500, headers: frame.headers }))

async function* connectOnce(connection: Connection, { url, resume, before, opened, signal }: Subscription): AsyncGenerator<Frame, void, undefined> {
  const over = new AbortController()
  const stop = (): void => over.abort()
  signal?.addEventListener('abort', stop, { once: true })
  let silence: ReturnType<typeof setTimeout> | undefined
  const heard = (): void => {
    clearTimeout(silence)
    silence = setTimeout(stop, SILENCE_MS)
  }
  try {
    await before?.()
    heard()
    const headers = { subscribe: 'true', heartbeats: `${HEARTBEAT_S}s`, ...resume() }
    const response = await peerFetch(connection, url(), { headers, signal: over.signal })
    if (response.status !== 209) {
      throw new KithError(
        response.ok
          ? problem('bad-reply', response.status, 'This place answered, but not with a subscription.')
          : await problemOf(response),
      )
    }
    opened?.()
    const frames = new FrameReader()
    const reader = response.body?.getReader()
    for (;;) {
      const chunk = await reader?.read()
      if (!chunk || chunk.done) return
      heard()
      for (const frame of frames.push(chunk.value)) {
        if (frame.headers.get('content-type')?.startsWith('application/problem+json')) throw new KithError(await ended(frame))
        yield frame
      }
    }
  } finally {
    clearTimeout(silence)
    signal?.removeEventListener('abort', stop)
    over.abort()
  }
}
