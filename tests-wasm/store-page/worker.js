// The Service Worker under test: answers calls from its page with the wasm's functions, or with plain JavaScript ones.
import init, * as wasm from './store_page.js'

let booting
const boot = () => (booting ??= init({ module_or_path: new URL('./store_page_bg.wasm', import.meta.url) }))
const held = new Map()

addEventListener('install', () => skipWaiting())
addEventListener('activate', (event) => event.waitUntil(clients.claim()))
addEventListener('message', (event) => event.waitUntil(answer(event.data, event.ports[0])))

async function answer({ name, args }, port) {
  try {
    await boot()
    port.postMessage({ value: await (local[name] ?? wasm[name])(...args, ...(local[name] ? [port] : [])) })
  } catch (error) {
    port.postMessage({ error: String(error?.stack ?? error) })
  }
}

const settled = (request) =>
  new Promise((resolve, reject) => {
    request.onsuccess = () => resolve(request.result)
    request.onerror = () => reject(request.error)
  })
const ended = (transaction) =>
  new Promise((resolve, reject) => {
    transaction.oncomplete = resolve
    transaction.onabort = () => reject(transaction.error)
  })

const local = {
  /** Keeps writing; every acknowledged number goes to the page and, if wanted, to the server. */
  async write(name, from, most, port) {
    await wasm.writeUntilKilled(name, from, most, (n) => port.postMessage({ acknowledged: n }))
    return 'wrote them all'
  },

  /** The names of all databases. */
  databases: async () => (await indexedDB.databases()).map(({ name }) => name),

  /** An older layout held open by a connection that does not let go, then does. */
  async blockOpening(name) {
    const request = indexedDB.open(name, 1)
    request.onupgradeneeded = () => {
      for (const table of ['meta', 'head', 'tail', 'segment', 'view']) request.result.createObjectStore(table)
    }
    const holder = await settled(request)
    const began = performance.now()
    const refused = await wasm.tryOpen(name)
    const waited = performance.now() - began
    holder.close()
    return { refused, waited, after: await wasm.tryOpen(name) }
  },

  /** Our connection must let a newer release change the layout, and say afterwards that it is closed. */
  async letNewerIn(name) {
    const store = await wasm.Held.open(name)
    // Large values lie apart, each under a key of its own that begins with 1.
    const before = await store.put(1, 5_000)
    // A write still under way when the newer release comes is not lost.
    const writing = store.put(2, 5_000)
    const request = indexedDB.open(name, 7)
    request.onupgradeneeded = () => {}
    const blocked = new Promise((resolve) => {
      request.onblocked = () => resolve('blocked')
    })
    const newer = await settled(request)
    const keys = await settled(newer.transaction('page').objectStore('page').getAllKeys())
    newer.close()
    const after = await store.put(3, 10)
    return { before: before ?? null, writing: (await writing) ?? null, rows: keys.filter((key) => new Uint8Array(key)[0] === 1).length, after, blocked: await Promise.race([blocked, 'not blocked']) }
  },

  /** A database as a release with layout 2 left it, with so many rows that wait to be packed. */
  async plantSecond(name, rows) {
    const request = indexedDB.open(name, 2)
    request.onupgradeneeded = () => {
      for (const table of ['meta', 'head', 'tail', 'segment', 'view', 'arrival', '_store']) request.result.createObjectStore(table)
    }
    const database = await settled(request)
    const transaction = database.transaction(['view', '_store'], 'readwrite')
    let bytes = 0
    for (let n = 0; n < rows; n++) {
      const key = new Uint8Array(4)
      new DataView(key.buffer).setUint32(0, n)
      const value = new Uint8Array(n & 0xff).fill(n & 0xff)
      transaction.objectStore('view').put(value.buffer, key)
      bytes += key.length + value.length + 64
    }
    transaction.objectStore('_store').put([bytes, 1], 'usage')
    await ended(transaction)
    database.close()
  },

  /** Brings up such a database; says when this many puts have been made. */
  async upgradeReporting(name, rows, at, port) {
    const { put } = IDBObjectStore.prototype
    let count = 0
    IDBObjectStore.prototype.put = function (...args) {
      if (++count === at) port.postMessage({ acknowledged: at })
      return put.apply(this, args)
    }
    try {
      await wasm.checkUpgraded(name, rows)
    } finally {
      IDBObjectStore.prototype.put = put
    }
  },

  /** The layout a database has. */
  async layout(name) {
    return (await indexedDB.databases()).find((found) => found.name === name)?.version
  },

  /** What the browser did is how the rows lie: readable without our code. */
  async rawRows(name, table) {
    const database = await settled(indexedDB.open(name))
    const store = database.transaction(table).objectStore(table)
    const [keys, values] = await Promise.all([settled(store.getAllKeys()), settled(store.getAll())])
    const version = database.version
    database.close()
    return { version, keys: keys.map((key) => key.constructor.name), values: values.map((value) => value.constructor.name) }
  },

  /** A store kept open in this worker between calls. */
  async hold(name) {
    held.set(name, await wasm.Held.open(name))
  },
  heldPut: (name, key, size) => held.get(name).put(key, size),
  heldEmpty: (name, end) => held.get(name).empty(end),
  heldCount: (name) => held.get(name).count(),
  heldUsed: (name) => held.get(name).used(),

  /** Runs a function of the wasm, or `benchPlain`, on a database of its own; gives milliseconds. */
  async time(what, args, keep) {
    const name = args[0]
    const began = performance.now()
    const run = what === 'benchPlain' ? benchPlain : wasm[what]
    await run(...args)
    const took = performance.now() - began
    if (!keep) await wasm.removeDatabase(name)
    return took
  },
}

/** The same records written by plain JavaScript: puts not waited for, one transaction a batch. */
async function benchPlain(name, rows, size, durability) {
  const request = indexedDB.open(name, 1)
  request.onupgradeneeded = () => request.result.createObjectStore('tail')
  const database = await settled(request)
  const noise = crypto.getRandomValues(new Uint8Array(65_536))
  for (let from = 0; from < rows; from += size) {
    const transaction = database.transaction(['tail'], 'readwrite', { durability })
    const tail = transaction.objectStore('tail')
    for (let n = from; n < from + size; n++) {
      const key = new Uint8Array(16)
      const view = new DataView(key.buffer)
      view.setUint32(0, 1)
      view.setUint32(4, 1)
      view.setUint32(12, n)
      const at = (n * 61) % (noise.length - 300)
      tail.put(noise.slice(at, at + 300).buffer, key)
    }
    await ended(transaction)
  }
  database.close()
}
