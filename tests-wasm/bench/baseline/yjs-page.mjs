// The same app without Kith: a Y.Map synced with a central server over a plain WebSocket, kept in IndexedDB if asked.
import * as decoding from 'lib0/decoding'
import * as encoding from 'lib0/encoding'
import { IndexeddbPersistence } from 'y-indexeddb'
import * as sync from 'y-protocols/sync'
import * as Y from 'yjs'

const doc = new Y.Doc()
const map = doc.getMap('records')
let persistence

const pack = (write) => {
  const encoder = encoding.createEncoder()
  write(encoder)
  return encoding.toUint8Array(encoder)
}

/** Connects; resolves once the server's state has been applied. `received` counts bytes. */
async function start(url, { persist } = {}) {
  if (persist) {
    persistence = new IndexeddbPersistence('bench', doc)
    await persistence.whenSynced
  }
  const socket = new WebSocket(url)
  socket.binaryType = 'arraybuffer'
  doc.on('update', (update, origin) => origin !== socket && socket.send(pack((encoder) => sync.writeUpdate(encoder, update))))
  let received = 0
  await new Promise((resolve, reject) => {
    socket.onerror = () => reject(new Error('no connection to the Yjs server'))
    socket.onopen = () => socket.send(pack((encoder) => sync.writeSyncStep1(encoder, doc)))
    socket.onmessage = ({ data }) => {
      received += data.byteLength
      const answer = encoding.createEncoder()
      const kind = sync.readSyncMessage(decoding.createDecoder(new Uint8Array(data)), answer, doc, socket)
      if (encoding.length(answer) > 0) socket.send(encoding.toUint8Array(answer))
      if (kind === sync.messageYjsSyncStep2) resolve()
    }
  })
  return { size: map.size, received: () => received }
}

/** Resolves when everything handed to the persistence is in IndexedDB: transactions on one store end in order. */
const kept = () =>
  new Promise((resolve, reject) => {
    const transaction = persistence.db.transaction(['updates'], 'readwrite')
    transaction.objectStore('updates').count()
    transaction.oncomplete = resolve
    transaction.onerror = () => reject(transaction.error)
  })

/** Bytes of the updates in IndexedDB. */
const storedBytes = () =>
  new Promise((resolve, reject) => {
    const all = persistence.db.transaction(['updates']).objectStore('updates').getAll()
    all.onsuccess = () => resolve(all.result.reduce((sum, update) => sum + update.byteLength, 0))
    all.onerror = () => reject(all.error)
  })

globalThis.yjs = { doc, map, start, kept, storedBytes }
