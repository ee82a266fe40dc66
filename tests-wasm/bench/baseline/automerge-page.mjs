// A fresh automerge-repo peer in a page, kept in IndexedDB.
import { automergeWasmBase64 } from '@automerge/automerge/automerge.wasm.base64'
import { initializeBase64Wasm, Repo } from '@automerge/automerge-repo/slim'
import { WebSocketClientAdapter } from '@automerge/automerge-repo-network-websocket'
import { IndexedDBStorageAdapter } from '@automerge/automerge-repo-storage-indexeddb'

await initializeBase64Wasm(automergeWasmBase64)

/** Between two looks whether all is there. */
const LOOK_MS = 20

/** Finds the document and waits until all records are there, then until they are stored; gives milliseconds. */
async function catchUp(url, document, count, last) {
  const began = performance.now()
  const repo = new Repo({ network: [new WebSocketClientAdapter(url)], storage: new IndexedDBStorageAdapter('bench') })
  const handle = await repo.find(document)
  // Looking at one record is cheap, counting them is not.
  const all = () => {
    const records = handle.doc()?.records
    return records?.[last] !== undefined && Object.keys(records).length >= count
  }
  while (!all()) await new Promise((resolve) => setTimeout(resolve, LOOK_MS))
  const there = performance.now() - began
  await repo.flush()
  return { there, stored: performance.now() - began }
}

globalThis.automerge = { catchUp }
