/**
 * Errors as RFC 9457 problems: the same document whether the peer, the worker or the page found the trouble.
 */

/** A problem document. `type` is stable; `detail` says in plain words what happened and what to do. */
export interface Problem {
  /** A stable URI naming the kind of problem, e.g. `urn:kith:problem:not-found`. */
  type: string
  /** A short sentence for the kind of problem. */
  title: string
  /** The HTTP status; 0 when no request was made. */
  status: number
  /** What happened here and what to do. */
  detail: string
  /** Further members such as `missing` or `limit`. */
  [member: string]: unknown
}

/** Where problem types live. */
export const PROBLEM_BASE = 'urn:kith:problem:'

/** Problems found by the worker or the page. The peer has its own, with the same base. */
export const PROBLEMS = {
  'insecure-page': 'This page is not secure enough for Kith',
  'no-service-worker': 'This browser window offers no Service Worker',
  'worker-script': 'The Kith worker could not be installed',
  'not-controlled': 'The Kith worker does not control this page',
  'no-kith-in-worker': "This page's Service Worker does not contain Kith",
  'worker-silent': 'The Kith worker does not answer',
  'peer-damaged': 'The peer program is damaged',
  'peer-unreachable': 'The peer program could not be loaded',
  'peer-start': 'The peer could not start',
  'peer-stopped': 'The peer stopped in the middle of the request',
  'too-large': 'That is too large',
  'not-by-form': 'A form or link cannot write here',
  'method-not-allowed': 'That method cannot be used here',
  'bad-reply': 'The peer gave an answer that is not HTTP',
  'relay-unreachable': 'The relay could not be reached',
  'not-a-text': 'No text can be edited there',
  'invite-not-opened': 'The invite could not be opened',
} as const

/** The kinds of problem the host itself reports. */
export type ProblemName = keyof typeof PROBLEMS

/** Builds a problem of a known kind. */
export function problem(name: ProblemName, status: number, detail: string, members: Record<string, unknown> = {}): Problem {
  return { ...members, type: PROBLEM_BASE + name, title: PROBLEMS[name], status, detail }
}

/** The problem as an answer. */
export function problemResponse(document: Problem, headers: Record<string, string> = {}): Response {
  return new Response(JSON.stringify(document), {
    status: document.status,
    headers: { 'content-type': 'application/problem+json', 'cache-control': 'no-store', ...headers },
  })
}

/** An error with a problem's members. What every call of the SDK rejects with. */
export class KithError extends Error {
  /** The problem's stable URI. */
  readonly type: string
  /** A short sentence for the kind of problem. */
  readonly title: string
  /** The HTTP status; 0 when no request was made. */
  readonly status: number
  /** What happened and what to do, in plain words. */
  readonly detail: string
  /** The whole problem document, with further members such as `missing` or `limit`. */
  readonly problem: Problem

  constructor(document: Problem, options?: { cause?: unknown }) {
    super(document.detail || document.title, options)
    this.name = 'KithError'
    this.type = document.type
    this.title = document.title
    this.status = document.status
    this.detail = document.detail
    this.problem = document
  }
}

/** Any thrown thing as a plain sentence. */
export const sentence = (error: unknown): string => (error instanceof Error ? error.message : String(error))

/** Any thrown thing as a {@link KithError}: one of ours as it is, another under the given kind. */
export function asKithError(error: unknown, name: ProblemName, status: number): KithError {
  return error instanceof KithError ? error : new KithError(problem(name, status, sentence(error)), { cause: error })
}

/** Reads a failed answer's problem; an answer that carries none still becomes one. */
export async function problemOf(response: Response): Promise<Problem> {
  const fallback: Problem = {
    type: 'about:blank',
    title: response.statusText || `HTTP ${response.status}`,
    status: response.status,
    detail: `The request was answered with ${response.status} ${response.statusText}`.trim() + '.',
  }
  if (!/\bjson\b/.test(response.headers.get('content-type') ?? '')) return fallback
  try {
    const read: unknown = await response.json()
    return typeof read === 'object' && read !== null ? { ...fallback, ...read } : fallback
  } catch {
    return fallback
  }
}
