// A central server as an author would write it without Kith: one Yjs document in memory, updates relayed over plain WebSockets.
import * as decoding from 'lib0/decoding'
import * as encoding from 'lib0/encoding'
import { WebSocketServer } from 'ws'
import * as sync from 'y-protocols/sync'
import * as Y from 'yjs'
import { onCleanup } from '../../harness/index.mjs'

/** Starts it on a free port; `doc` is what it serves, `sent` and `received` count bytes. */
export async function startYjsServer(doc = new Y.Doc()) {
  const server = new WebSocketServer({ host: '127.0.0.1', port: 0, perMessageDeflate: false, maxPayload: 1 << 30 })
  await new Promise((resolve) => server.once('listening', resolve))
  const counts = { sent: 0, received: 0 }
  const send = (socket, encoder) => {
    const bytes = encoding.toUint8Array(encoder)
    counts.sent += bytes.length
    socket.send(bytes)
  }
  doc.on('update', (update, origin) => {
    const encoder = encoding.createEncoder()
    sync.writeUpdate(encoder, update)
    for (const socket of server.clients) if (socket !== origin && socket.readyState === socket.OPEN) send(socket, encoder)
  })
  server.on('connection', (socket) => {
    socket.binaryType = 'nodebuffer'
    socket._socket.setNoDelay(true)
    socket.on('message', (message) => {
      counts.received += message.length
      const answer = encoding.createEncoder()
      sync.readSyncMessage(decoding.createDecoder(new Uint8Array(message)), answer, doc, socket)
      if (encoding.length(answer) > 0) send(socket, answer)
    })
    const hello = encoding.createEncoder()
    sync.writeSyncStep1(hello, doc)
    send(socket, hello)
  })
  const close = () => {
    forget()
    for (const socket of server.clients) socket.terminate()
    return new Promise((resolve) => server.close(resolve))
  }
  const forget = onCleanup(close)
  return { url: `ws://127.0.0.1:${server.address().port}/`, doc, counts, close }
}
