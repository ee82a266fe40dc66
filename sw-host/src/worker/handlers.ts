/** Who answers what: one handler for each kind of request that `parse-request.ts` tells apart. */
import { PROBLEMS, problem, problemResponse } from '../shared/problem.ts'
import { askPeer } from './ask-peer.ts'
import { answerKillSwitch } from './kill-switch.ts'
import type { PageShell } from './page-shell.ts'
import type { Parsed } from './parse-request.ts'
import type { PeerHost } from './peer-host.ts'

/** What handlers work with. */
export interface Tools {
  host: PeerHost
  /** The page shell, when this worker keeps one. */
  shell: PageShell | undefined
  /** Work that may go on after the answer. */
  later(work: Promise<unknown>): void
}

/** One kind of request and its answer. */
export interface Handler<Kind extends Parsed['kind'] = Parsed['kind']> {
  kind: Kind
  handle(request: Request, tools: Tools, parsed: Extract<Parsed, { kind: Kind }>): Response | Promise<Response>
}

const notAllowed = (detail: string, allow: string): Response =>
  problemResponse(problem('method-not-allowed', 405, detail), { allow })

const HANDLERS: { [Kind in Exclude<Parsed['kind'], 'foreign'>]: Handler<Kind> } = {
  kill: {
    kind: 'kill',
    handle: (request, { host }, { wipe }) => answerKillSwitch(request, wipe, host),
  },
  multiplex: {
    kind: 'multiplex',
    handle: () => notAllowed('Subscriptions need no multiplexing here: open as many as you like.', 'GET, HEAD, PUT, PATCH, DELETE, POST, OPTIONS'),
  },
  ping: {
    kind: 'ping',
    // Not waiting for the peer: being asked is what keeps the worker alive.
    handle: (_request, { host, later }) => {
      later(host.open().catch(() => undefined))
      return new Response(null, { status: 204, headers: { 'cache-control': 'no-store' } })
    },
  },
  heartbeat: {
    kind: 'heartbeat',
    handle: () =>
      new Response(KITH_HEARTBEAT, { headers: { 'content-type': 'text/javascript; charset=utf-8', 'cache-control': 'no-cache' } }),
  },
  form: {
    kind: 'form',
    handle: () =>
      problemResponse(problem('not-by-form', 403, `${PROBLEMS['not-by-form']}: use fetch from a page of this site. Nothing was changed.`)),
  },
  peer: {
    kind: 'peer',
    handle: (request, { host }) => askPeer(request, host),
  },
  shell: {
    kind: 'shell',
    handle: (request, { shell, later }) => {
      if (request.mode === 'navigate' && shell) later(shell.refresh())
      return shell?.respond(request) ?? fetch(request)
    },
  },
}

/** The answer to a parsed request. */
export async function answer(request: Request, parsed: Exclude<Parsed, { kind: 'foreign' }>, tools: Tools): Promise<Response> {
  const handler = HANDLERS[parsed.kind] as Handler
  return handler.handle(request, tools, parsed)
}
