// A peer with the exports of the real one, small enough to read, that can be made to crash. It keeps its values in IndexedDB, so
// that what was acknowledged is there after any death. Only for tests of the worker around it.

let wasm

async function __wbg_init({ module_or_path }) {
  const instance = await WebAssembly.instantiate(module_or_path, {})
  wasm = instance.exports;
  return wasm
}

const done = (request) =>
  new Promise((resolve, reject) => {
    request.onsuccess = () => resolve(request.result)
    request.onerror = () => reject(request.error)
  })

const json = (status, value, headers = []) => ({
  status,
  statusText: '',
  headers: [['content-type', status >= 400 ? 'application/problem+json' : 'application/json'], ...headers],
  body: new TextEncoder().encode(JSON.stringify(value)),
})

const notFound = () => json(404, { type: 'urn:kith:problem:not-found', title: 'There is nothing here', status: 404, detail: 'There is nothing at this path.' })

export class Peer {
  static async open({ name, relays }) {
    wasm.enter()
    const opening = indexedDB.open(name, 1)
    opening.onupgradeneeded = () => opening.result.createObjectStore('values')
    const peer = new Peer()
    peer.db = await done(opening)
    peer.db.onversionchange = () => peer.db.close()
    peer.relays = relays
    peer.openedWith = relays
    peer.opened = crypto.randomUUID()
    peer.carriers = 0
    peer.environment = {}
    peer.streams = new Map()
    return peer
  }

  async request(method, url, headers, body) {
    wasm.enter()
    const { pathname: path, searchParams } = new URL(url)
    const header = (name) => headers.find(([key]) => key.toLowerCase() === name)?.[1]
    if (path === '/~/peer' && method === 'GET' && !header('subscribe')) return json(200, this.status())
    if (path === '/~/join') return this.join(JSON.parse(new TextDecoder().decode(body)))
    if (path === '/~/fake/trap') {
      if (searchParams.has('later')) setTimeout(() => wasm.trap(), 0)
      else wasm.trap()
      return json(200, {})
    }
    if (path === '/~/fake/haunt') {
      // Writes on and on. A dropped instance must not come back to life through its timers.
      setInterval(() => {
        wasm.enter()
        this.put('/~/me/ghost', new TextEncoder().encode('"boo"'))
      }, 40)
      return json(200, {})
    }
    if (method === 'GET' && (header('subscribe') || header('accept')?.includes('event-stream'))) return this.subscribe(path, header('subscribe'))
    if (method === 'GET') {
      const value = await this.get(path)
      return value ? { ...json(200, null), headers: [['content-type', value.type]], body: value.bytes } : notFound()
    }
    if (method === 'PUT') {
      const before = await this.get(path)
      await this.put(path, body ?? new Uint8Array(), header('content-type') ?? 'application/octet-stream')
      return json(before ? 200 : 201, {}, [['version', `"fake-${Date.now()}"`]])
    }
    if (method === 'OPTIONS') return { status: 204, statusText: '', headers: [['allow', 'GET, PUT']] }
    return json(405, { type: 'urn:kith:problem:method-not-allowed', title: 'no', status: 405, detail: 'no' })
  }

  status() {
    return { id: 'fake', version: 'fake', opened: this.opened, storage: { used: 0, ...this.environment }, relays: this.relays, openedWith: this.openedWith, carriers: this.carriers, attached: this.attached ?? 0, links: [], spaces: [] }
  }

  join({ invite }) {
    if (!invite.includes('good')) return json(422, { type: 'urn:kith:problem:patch-does-not-fit', title: 'no', status: 422, detail: 'This is not an invite.' })
    return json(200, { space: 'space-1', role: 'writer', app: new URL(invite).pathname })
  }

  get(path) {
    return done(this.db.transaction('values').objectStore('values').get(path))
  }

  async put(path, bytes, type = 'application/json') {
    const transaction = this.db.transaction('values', 'readwrite', { durability: 'strict' })
    transaction.objectStore('values').put({ bytes, type }, path)
    await new Promise((resolve, reject) => {
      transaction.oncomplete = resolve
      transaction.onabort = () => reject(transaction.error)
    })
    for (const stream of this.streams.values()) if (stream.path === path) stream.push(bytes)
  }

  async subscribe(path, braid) {
    const id = this.streams.size + 1 + Math.floor(Math.random() * 1e9)
    const queue = []
    let wake
    const stream = {
      path,
      push(bytes) {
        const text = new TextDecoder().decode(bytes)
        queue.push(new TextEncoder().encode(braid ? `HTTP 200 OK\r\nVersion: "v${Math.random()}"\r\nContent-Type: application/json\r\nContent-Length: ${bytes.length}\r\n\r\n${text}\r\n\r\n` : `data: ${text}\n\n`))
        wake?.()
      },
      async pull() {
        while (queue.length === 0 && !stream.closed) await new Promise((resolve) => { wake = resolve })
        return queue.shift()
      },
      close() {
        stream.closed = true
        wake?.()
      },
    }
    this.streams.set(id, stream)
    queue.push(new TextEncoder().encode(braid ? '\r\n' : 'retry: 100\n\n'))
    const now = await this.get(path)
    if (now) stream.push(now.bytes)
    return braid
      ? { status: 209, statusText: 'Multiresponse', headers: [['content-type', 'application/http-history'], ['subscribe', '?1']], stream: id }
      : { status: 200, statusText: 'OK', headers: [['content-type', 'text/event-stream']], stream: id }
  }

  pull(stream) {
    wasm.enter()
    return this.streams.get(stream)?.pull() ?? Promise.resolve(undefined)
  }

  cancel(stream) {
    wasm.enter()
    this.streams.get(stream)?.close()
    this.streams.delete(stream)
  }

  openUpload(_method, url) {
    wasm.enter()
    const id = Math.floor(Math.random() * 1e9)
    this.uploads ??= new Map()
    if (new URL(url).searchParams.has('refuse')) return json(403, { type: 'urn:kith:problem:forbidden', title: 'no', status: 403, detail: 'no' })
    this.uploads.set(id, [])
    return id
  }

  async upload(id, bytes) {
    wasm.enter()
    const sizes = this.uploads.get(id)
    sizes.push(bytes.byteLength)
    return sizes.length < 100
  }

  finishUpload(id) {
    wasm.enter()
    const sizes = this.uploads.get(id)
    this.uploads.delete(id)
    return json(200, { sizes })
  }

  cancelUpload(id) {
    wasm.enter()
    this.uploads.delete(id)
  }

  setRelays(relays) {
    wasm.enter()
    this.relays = relays
  }

  attachCarrier(port) {
    wasm.enter()
    this.carriers = 1
    this.attached = (this.attached ?? 0) + 1
    // The page gives a carrier up whose worker says nothing.
    port.start()
    clearInterval(this.pings)
    this.pings = setInterval(() => port.postMessage(['ping']), 2000)
  }

  detachCarrier() {
    wasm.enter()
    this.carriers = 0
  }

  setEnvironment(environment) {
    wasm.enter()
    this.environment = environment
  }

  async close() {
    wasm.enter()
    for (const stream of this.streams.values()) stream.close()
    this.db.close()
  }
}

export function version() {
  return 'fake'
}

export { __wbg_init as default }
