// A small web server of the test's own: pages an author might write, in front of a relay or alone, and a place where pages report.
import { createReadStream, existsSync, statSync } from 'node:fs'
import { createServer, request } from 'node:http'
import { connect } from 'node:net'
import { extname, join, normalize } from 'node:path'
import { onCleanup } from './processes.mjs'
import { PATIENCE_MS } from './wait.mjs'

const TYPES = {
  '.html': 'text/html; charset=utf-8',
  '.js': 'text/javascript; charset=utf-8',
  '.mjs': 'text/javascript; charset=utf-8',
  '.css': 'text/css; charset=utf-8',
  '.json': 'application/json',
  '.svg': 'image/svg+xml',
  '.png': 'image/png',
  '.wasm': 'application/wasm',
}
/** The largest report a page may send. */
const REPORT_LIMIT = 16 * 1024 * 1024

/**
 * @param {object} options
 * @param {Record<string, string|Buffer|{body: string|Buffer, type?: string, headers?: Record<string, string>, status?: number}|Function>} [options.files]
 *   by path; a function gets `(request, response)` and answers itself
 * @param {string} [options.dir] then files from this folder
 * @param {string} [options.upstream] then this server, WebSockets included (the relay's URL, say)
 * @param {Record<string, string>} [options.headers] added to every answer made here
 *
 * `down()` takes what is upstream away until `up()`; `requests` has all that were made, WebSockets as `UPGRADE`.
 *
 * A page reports by `fetch('/__report', {method: 'POST', body: JSON.stringify(…)})`, from this origin or any other. `reports` has
 * them in order; `report(wanted)` resolves with the first one, past or future, that `wanted` accepts.
 */
export async function startSite({ files = {}, dir, upstream, headers = {}, port = 0 } = {}) {
  const reports = []
  const waiting = new Set()
  const requests = []
  const sockets = new Set()
  const site = { url: '', port: 0, files, reports, requests, report, close, isDown: false, down, up: () => (site.isDown = false) }
  const server = createServer(answer)
  server.on('connection', (socket) => {
    sockets.add(socket)
    socket.once('close', () => sockets.delete(socket))
  })
  server.on('upgrade', (asked, socket, head) => {
    requests.push({ method: 'UPGRADE', path: asked.url, at: Date.now() })
    if (upstream && !site.isDown) tunnel(asked, socket, head, new URL(upstream))
    else socket.destroy()
  })

  /** What is upstream is gone, as a reverse proxy tells it: 503, no WebSockets, and those there are break. */
  function down() {
    site.isDown = true
    for (const socket of sockets) socket.destroy()
  }

  function answer(asked, response) {
    const path = new URL(asked.url, 'http://site').pathname
    requests.push({ method: asked.method, path, at: Date.now() })
    if (site.isDown) return response.writeHead(503, { 'content-type': 'text/plain' }).end('nothing is behind this')
    if (path === '/__report') return take(asked, response)
    const file = files[path] ?? files[`${path}index.html`]
    if (typeof file === 'function') return file(asked, response)
    if (file !== undefined) {
      const { body, type, headers: own, status = 200 } = typeof file === 'string' || Buffer.isBuffer(file) ? { body: file } : file
      const kind = type ?? TYPES[extname(path)] ?? 'text/html; charset=utf-8'
      response.writeHead(status, { 'content-type': kind, 'cache-control': 'no-store', ...headers, ...own })
      return response.end(body)
    }
    if (dir) {
      let found = join(dir, normalize(decodeURIComponent(path)))
      if (existsSync(found) && statSync(found).isDirectory()) found = join(found, 'index.html')
      if (found.startsWith(dir) && existsSync(found)) {
        const kind = TYPES[extname(found)] ?? 'application/octet-stream'
        response.writeHead(200, { 'content-type': kind, 'cache-control': 'no-store', ...headers })
        return createReadStream(found).pipe(response)
      }
    }
    if (upstream) return forward(asked, response, new URL(upstream))
    response.writeHead(404, { 'content-type': 'text/plain' })
    response.end('not here')
  }

  function take(asked, response) {
    const cors = { 'access-control-allow-origin': '*', 'access-control-allow-headers': '*', 'access-control-allow-private-network': 'true' }
    const parts = []
    let size = 0
    asked.on('data', (part) => {
      size += part.length
      if (size <= REPORT_LIMIT) parts.push(part)
    })
    asked.on('end', () => {
      response.writeHead(204, cors)
      response.end()
      if (asked.method !== 'POST') return
      const text = Buffer.concat(parts).toString()
      let data = text
      try {
        data = JSON.parse(text)
      } catch {
        // A plain text report is a report too.
      }
      const entry = { at: Date.now(), data }
      reports.push(entry)
      for (const waiter of waiting) waiter(entry)
    })
  }

  function report(wanted = () => true, { timeout = PATIENCE_MS, what = 'a report from the page', after = 0 } = {}) {
    const past = reports.find((entry) => entry.at >= after && wanted(entry.data))
    if (past) return Promise.resolve(past.data)
    return new Promise((resolve, reject) => {
      const done = (settle, value) => {
        clearTimeout(timer)
        waiting.delete(look)
        settle(value)
      }
      const look = (entry) => wanted(entry.data) && done(resolve, entry.data)
      const timer = setTimeout(() => done(reject, new Error(`waited ${timeout} ms for ${what}, in vain; ${reports.length} reports came`)), timeout)
      waiting.add(look)
    })
  }

  async function close() {
    forget()
    for (const socket of sockets) socket.destroy()
    await new Promise((resolve) => server.close(resolve))
  }
  const forget = onCleanup(close)
  await new Promise((resolve, reject) => {
    server.once('error', reject)
    server.listen(port, '127.0.0.1', resolve)
  })
  site.port = server.address().port
  site.url = `http://localhost:${site.port}/`
  return site
}

function forward(asked, response, upstream) {
  const onward = request(
    { host: '127.0.0.1', port: upstream.port, method: asked.method, path: asked.url, headers: asked.headers },
    (reply) => {
      response.writeHead(reply.statusCode, reply.statusMessage, reply.headers)
      reply.pipe(response)
    },
  )
  onward.on('error', () => {
    if (!response.headersSent) response.writeHead(502)
    response.end()
  })
  response.on('close', () => onward.destroy())
  asked.pipe(onward)
}

function tunnel(asked, socket, head, upstream) {
  const far = connect({ host: '127.0.0.1', port: Number(upstream.port) }, () => {
    const lines = [`${asked.method} ${asked.url} HTTP/1.1`]
    for (let i = 0; i < asked.rawHeaders.length; i += 2) lines.push(`${asked.rawHeaders[i]}: ${asked.rawHeaders[i + 1]}`)
    far.write(`${lines.join('\r\n')}\r\n\r\n`)
    if (head.length > 0) far.write(head)
    far.pipe(socket).pipe(far)
  })
  for (const end of [far, socket]) {
    end.on('error', () => {})
    end.on('close', () => {
      far.destroy()
      socket.destroy()
    })
  }
}
