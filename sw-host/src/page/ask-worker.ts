/** Questions to the worker that it answers through the question's own port. */
import { protocolOf, PROTOCOL, readWelcome, wire } from '../shared/messages.ts'
import type { PageMessage, Welcome } from '../shared/messages.ts'
import { KithError, problem } from '../shared/problem.ts'

/** How long a worker may take to answer, in milliseconds; a stopped one is started for it. */
const ANSWER_PATIENCE_MS = 15_000
/** Set in sessionStorage after the one reload tried when page and worker no longer understand each other. */
const RELOADED = 'kith-protocol-reload'

/** Sends a question. @returns the answer, or undefined if none comes. */
export function askWorker(worker: ServiceWorker, question: PageMessage, patience = ANSWER_PATIENCE_MS): Promise<unknown> {
  return new Promise((resolve) => {
    const { port1, port2 } = new MessageChannel()
    const settle = (answer?: unknown): void => {
      clearTimeout(timer)
      port1.close()
      resolve(answer)
    }
    const timer = setTimeout(settle, patience)
    port1.onmessage = ({ data }) => settle(data)
    worker.postMessage(wire(question), [port2])
  })
}

/**
 * The handshake: who is this worker?
 * A worker of another protocol means that a newer release took over: this page then loads itself anew, once.
 */
export async function hello(worker: ServiceWorker, release: string): Promise<Welcome> {
  const answer = await askWorker(worker, { type: 'hello', release })
  const welcome = readWelcome(answer)
  if (!welcome) {
    throw new KithError(
      problem(
        'no-kith-in-worker',
        0,
        `The Service Worker of this page (${new URL(worker.scriptURL).pathname}) does not answer for Kith. ` +
          "Import Kith into it: importScripts('/kith-worker-classic.js'), or import '/kith-worker.js' in a module worker.",
      ),
    )
  }
  if (protocolOf(answer) !== PROTOCOL) {
    if (sessionStorage.getItem(RELOADED)) {
      throw new KithError(
        problem('worker-silent', 0, 'This page and its worker are of two releases that do not understand each other. Close all tabs of this site and open it again.'),
      )
    }
    sessionStorage.setItem(RELOADED, '1')
    location.reload()
    return new Promise(() => undefined)
  }
  sessionStorage.removeItem(RELOADED)
  return welcome
}
