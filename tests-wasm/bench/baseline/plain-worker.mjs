// The least a Service Worker can do: keep values in IndexedDB and tell subscribers. No signatures, no versions, no merging, no network.
import { startSite } from '../../harness/index.mjs'

const WORKER = `
let opened
const open = () => (opened ??= new Promise((resolve, reject) => {
  const request = indexedDB.open('plain', 1)
  request.onupgradeneeded = () => request.result.createObjectStore('values')
  request.onsuccess = () => resolve(request.result)
  request.onerror = () => reject(request.error)
}))
const followers = new Map()
const encoder = new TextEncoder()
addEventListener('install', () => skipWaiting())
addEventListener('activate', (event) => event.waitUntil(clients.claim()))
addEventListener('fetch', (event) => {
  const { pathname, searchParams } = new URL(event.request.url)
  if (pathname === '/kv/') event.respondWith(list(searchParams))
  else if (pathname.startsWith('/kv/')) event.respondWith(answer(event.request, pathname))
})
const settled = (request) => new Promise((resolve, reject) => {
  request.onsuccess = () => resolve(request.result)
  request.onerror = () => reject(request.error)
})
async function list(query) {
  const db = await open()
  const values = await settled(db.transaction('values').objectStore('values').getAll(IDBKeyRange.lowerBound('/kv/' + query.get('start')), Number(query.get('limit'))))
  return new Response('[' + values.join(',') + ']', { headers: { 'content-type': 'application/json' } })
}
async function answer(request, path) {
  const db = await open()
  if (request.method === 'PUT') {
    const body = await request.text()
    await new Promise((resolve, reject) => {
      const transaction = db.transaction('values', 'readwrite', { durability: 'strict' })
      transaction.objectStore('values').put(body, path)
      transaction.oncomplete = resolve
      transaction.onabort = () => reject(transaction.error)
    })
    for (const follower of followers.get(path) ?? []) follower.enqueue(encoder.encode('data: ' + body + '\\n\\n'))
    return new Response(null, { status: 200 })
  }
  if (request.headers.get('accept') === 'text/event-stream') {
    const list = followers.get(path) ?? new Set()
    followers.set(path, list)
    let mine
    const body = new ReadableStream({ start: (controller) => { mine = controller; list.add(controller) }, cancel: () => { list.delete(mine) } })
    return new Response(body, { headers: { 'content-type': 'text/event-stream' } })
  }
  const value = await settled(db.transaction('values').objectStore('values').get(path))
  return value === undefined ? new Response(null, { status: 404 }) : new Response(value, { headers: { 'content-type': 'application/json' } })
}
`

const PAGE = `<!doctype html><meta charset="utf-8"><title>Plain</title><script type="module">
await navigator.serviceWorker.register('/sw.js')
if (!navigator.serviceWorker.controller) await new Promise((done) => navigator.serviceWorker.addEventListener('controllerchange', done, { once: true }))
globalThis.ready = true
</script>`

/** Serves the plain worker's page; values live under `/kv/`. */
export const startPlain = () => startSite({ files: { '/': PAGE, '/sw.js': { body: WORKER, type: 'text/javascript' } } })
