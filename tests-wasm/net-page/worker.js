// A Service Worker with nothing but the network in it, driven by its page.
import init, { NetPage } from './net_page.js'

let net
let key
let began
const links = new Map()
const log = []
const echoes = new Map()
let relay = 'none'
let received = 0
let unsent = 0
let sentWaiter
let nextEcho = 0

const ECHO = 1
const ANSWER = 2
const DATA = 3
/** Bytes given to the network before waiting until some left. */
const WINDOW = 2 * 1024 * 1024

addEventListener('install', () => skipWaiting())
addEventListener('activate', (event) => event.waitUntil(clients.claim()))
addEventListener('message', (event) => event.waitUntil(answer(event.data, event.ports)))

async function answer({ name, args }, [port, ...rest]) {
  try {
    port.postMessage({ value: await calls[name](...args, ...rest) })
  } catch (error) {
    port.postMessage({ error: String(error?.stack ?? error) })
  }
}

async function listen() {
  for (;;) {
    const event = await net.next()
    if (event === undefined) return
    if (event.type !== 'frame' && event.type !== 'sent') log.push({ at: Math.round(performance.now() - began), ...event, peer: undefined })
    if (event.type === 'up') links.set(event.link, { path: event.path, peer: [...event.peer] })
    if (event.type === 'down') links.delete(event.link)
    if (event.type === 'relay') relay = event.state
    if (event.type === 'rtt' && links.has(event.link)) links.get(event.link).rtt = event.ms
    if (event.type === 'sent') {
      unsent -= event.bytes
      sentWaiter?.()
    }
    if (event.type === 'frame') await heard(event)
  }
}

async function heard({ link, bytes }) {
  if (bytes[0] === ECHO) {
    bytes[0] = ANSWER
    await net.send(link, bytes)
  } else if (bytes[0] === ANSWER) {
    const number = new DataView(bytes.buffer).getUint32(1)
    echoes.get(number)?.()
    echoes.delete(number)
  } else received += bytes.length
}

/** The newest link: the one in use. */
const current = () => [...links.keys()].at(-1)

const calls = {
  async start(seed, relays, publicKey) {
    key = new Uint8Array(publicKey)
    await init({ module_or_path: new URL('./net_page_bg.wasm', import.meta.url) })
    began = performance.now()
    net = NetPage.start(new Uint8Array(32).fill(seed), relays)
    listen()
  },
  peerId: () => NetPage.peerId(key),
  attach: (port) => net.attachCarrier(port),
  detach: () => net.detachCarrier(),
  setRelays: (relays) => net.setRelays(relays),
  dial: (key, hints) => net.dial(new Uint8Array(key), hints),
  state: () => ({ relay, links: [...links].map(([link, rest]) => ({ link, ...rest })), received, notes: log.filter((e) => e.type === 'note').map((e) => e.text) }),
  log: () => log,

  /** Milliseconds for a frame to go there and back, sorted. */
  async echo(times, size) {
    const took = []
    for (let i = 0; i < times; i++) {
      const number = ++nextEcho
      const frame = new Uint8Array(size)
      frame[0] = ECHO
      new DataView(frame.buffer).setUint32(1, number)
      const began = performance.now()
      const back = new Promise((resolve) => echoes.set(number, resolve))
      await net.send(current(), frame)
      await back
      took.push(performance.now() - began)
    }
    return took.sort((a, b) => a - b)
  },

  /** Sends so many bytes and waits until they left. */
  async blast(bytes, size) {
    const frame = new Uint8Array(size).fill(DATA)
    const link = current()
    for (let sent = 0; sent < bytes; sent += size) {
      while (unsent > WINDOW) await new Promise((resolve) => (sentWaiter = resolve))
      unsent += size
      await net.send(link, frame)
    }
  },
}
