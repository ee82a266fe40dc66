// A small client of Chromium's devtools protocol, for what Playwright has no call for.
import WebSocket from 'ws'
import { within } from './wait.mjs'

/** How long one command may take, in milliseconds. */
const COMMAND_MS = 30_000

/** Connects to a devtools endpoint (`ws://…`). `send(method, params, ms)`, `on(method, listener)`, `close()`. */
export async function openCdp(endpoint) {
  const socket = new WebSocket(endpoint, { perMessageDeflate: false, maxPayload: 256 * 1024 * 1024 })
  const waiting = new Map()
  const listeners = new Map()
  let next = 1
  await within(
    new Promise((resolve, reject) => {
      socket.once('open', resolve)
      socket.once('error', reject)
    }),
    COMMAND_MS,
    'devtools connection',
  )
  socket.on('error', () => {})
  socket.on('message', (text) => {
    const message = JSON.parse(text)
    if (message.id === undefined) {
      for (const listener of listeners.get(message.method) ?? []) listener(message.params)
      return
    }
    const { resolve, reject } = waiting.get(message.id) ?? {}
    waiting.delete(message.id)
    if (message.error) reject?.(new Error(message.error.message))
    else resolve?.(message.result)
  })
  socket.on('close', () => {
    for (const { reject } of waiting.values()) reject(new Error('the devtools connection closed'))
    waiting.clear()
  })
  return {
    send(method, params = {}, ms = COMMAND_MS) {
      const id = next++
      const answer = new Promise((resolve, reject) => waiting.set(id, { resolve, reject }))
      socket.send(JSON.stringify({ id, method, params }), (error) => {
        if (!error) return
        waiting.get(id)?.reject(error)
        waiting.delete(id)
      })
      return within(answer, ms, `answer to ${method}`)
    },
    on(method, listener) {
      listeners.set(method, [...(listeners.get(method) ?? []), listener])
    },
    close() {
      socket.close()
    },
  }
}
