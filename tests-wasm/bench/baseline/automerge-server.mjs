// A central automerge-repo server with one document.
import * as Automerge from '@automerge/automerge'
import { Repo } from '@automerge/automerge-repo'
import { WebSocketServerAdapter } from '@automerge/automerge-repo-network-websocket'
import { WebSocketServer } from 'ws'
import { onCleanup } from '../../harness/index.mjs'

/** Records in one change: with a change for each, making the document takes time with the square of their number. It makes syncing easier, too. */
const CHANGE = 100

/** A document with these records, saved; undefined if making it takes too long. */
export function makeAutomerge(count, record, keyOf, patienceMs) {
  const end = Date.now() + patienceMs
  let doc = Automerge.change(Automerge.init(), (draft) => {
    draft.records = {}
  })
  for (let from = 0; from < count; from += CHANGE) {
    doc = Automerge.change(doc, (draft) => {
      for (let n = from; n < Math.min(count, from + CHANGE); n++) draft.records[keyOf(n)] = record(n)
    })
    if (Date.now() > end) return undefined
  }
  return Automerge.save(doc)
}

/** Serves a saved document on a free port. */
export async function startAutomergeServer(saved) {
  const server = new WebSocketServer({ host: '127.0.0.1', port: 0, perMessageDeflate: false, maxPayload: 1 << 30 })
  await new Promise((resolve) => server.once('listening', resolve))
  const sockets = new Set()
  server.on('connection', (socket) => sockets.add(socket._socket))
  const repo = new Repo({ network: [new WebSocketServerAdapter(server)], sharePolicy: async () => true })
  const handle = repo.import(saved)
  const close = async () => {
    forget()
    for (const socket of server.clients) socket.terminate()
    await new Promise((resolve) => server.close(resolve))
  }
  const forget = onCleanup(close)
  /** Bytes sent so far. */
  const sent = () => [...sockets].reduce((sum, socket) => sum + socket.bytesWritten, 0)
  return { sent, url: `ws://127.0.0.1:${server.address().port}/`, document: handle.url, close }
}
