// A TCP proxy in front of a server on this machine, whose line a test can cut, mend and slow down.
import { connect, createServer } from 'node:net'
import { onCleanup } from './processes.mjs'

/**
 * @param {string|{host?: string, port: number}} target where to: a URL, or host and port
 * @returns {Promise<{url: string, port: number, connections: number,
 *   cut(how?: 'refuse'|'silence'): Promise<void>, restore(): Promise<void>, latency(ms: number): void, close(): Promise<void>}>}
 *
 * `cut()` breaks every connection and refuses new ones, as when a server's process is gone. `cut('silence')` keeps them open and
 * lets nothing through, as when a radio link fades. `restore()` undoes either (a silenced connection then delivers what it held back).
 * `latency(ms)` delays every chunk, each way, from now on; order is kept.
 */
export async function startProxy(target, { port = 0 } = {}) {
  const { host, port: targetPort } = address(target)
  const pairs = new Set()
  const state = { delay: 0, silent: false, moved: 0 }
  const server = createServer({ allowHalfOpen: true }, (near) => {
    const far = connect({ host, port: targetPort, allowHalfOpen: true })
    const pair = { near, far, pumps: [pump(near, far, state), pump(far, near, state)] }
    pairs.add(pair)
    const drop = () => {
      pairs.delete(pair)
      near.destroy()
      far.destroy()
    }
    for (const socket of [near, far]) {
      socket.setNoDelay(true)
      socket.on('error', drop)
      socket.on('close', drop)
    }
  })
  const listen = (on) =>
    new Promise((resolve, reject) => {
      server.once('error', reject)
      server.listen(on, '127.0.0.1', () => {
        server.off('error', reject)
        resolve()
      })
    })
  const unlisten = () => new Promise((resolve) => (server.listening ? server.close(() => resolve()) : resolve()))
  const dropAll = () => {
    for (const { near, far } of pairs) {
      // A reset, not a polite end: that is what a cut line looks like. (Resetting a socket already shut down spins in libuv.)
      for (const socket of [near, far]) socket.writableEnded ? socket.destroy() : socket.resetAndDestroy()
    }
    pairs.clear()
  }
  await listen(port)
  const own = server.address().port
  const proxy = {
    url: `http://localhost:${own}/`,
    port: own,
    get connections() {
      return pairs.size
    },
    /** Bytes let through so far, both ways. */
    get moved() {
      return state.moved
    },
    async cut(how = 'refuse') {
      if (how === 'silence') {
        state.silent = true
        return
      }
      const closed = unlisten()
      dropAll()
      await closed
    },
    async restore() {
      state.silent = false
      for (const { pumps } of pairs) for (const flow of pumps) flow()
      if (!server.listening) await listen(own)
    },
    latency(ms) {
      state.delay = ms
    },
    async close() {
      forget()
      const closed = unlisten()
      dropAll()
      await closed
    },
  }
  const forget = onCleanup(() => proxy.close())
  return proxy
}

/** Carries bytes one way, in order, no sooner than the delay allows; returns a function that makes it look again. */
function pump(from, to, state) {
  const held = []
  let timer
  const flow = () => {
    clearTimeout(timer)
    while (held.length > 0 && !state.silent) {
      const wait = held[0].due - Date.now()
      if (wait > 0) {
        timer = setTimeout(flow, wait)
        return
      }
      const { bytes } = held.shift()
      if (to.destroyed) return
      if (bytes === null) {
        to.end()
      } else {
        state.moved += bytes.length
        if (!to.write(bytes)) from.pause()
      }
    }
  }
  const hold = (bytes) => {
    held.push({ bytes, due: Date.now() + state.delay })
    flow()
  }
  from.on('data', hold)
  from.on('end', () => hold(null))
  from.on('close', () => clearTimeout(timer))
  to.on('drain', () => from.resume())
  return flow
}

function address(target) {
  if (typeof target !== 'string') return { host: target.host ?? '127.0.0.1', port: target.port }
  const url = new URL(target)
  return { host: url.hostname === 'localhost' ? '127.0.0.1' : url.hostname, port: Number(url.port || 80) }
}
