// How much memory processes take, as the system and as the browser count it (Linux, Chromium).
import { readFileSync } from 'node:fs'
import { openCdp } from '../../harness/cdp.mjs'

const KB = 1024
/** Looking through a heap takes long where the machine is busy and the heap large. */
const HEAP_MS = 180_000

/** Resident bytes of a process. */
export const resident = (pid) => Number(/VmRSS:\s+(\d+)/.exec(readFileSync(`/proc/${pid}/status`, 'utf8'))[1]) * KB

/** Bytes that belong to this process alone: what would come back if it ended. */
function own(pid) {
  const text = readFileSync(`/proc/${pid}/smaps_rollup`, 'utf8')
  const of = (name) => Number(new RegExp(`${name}:\\s+(\\d+)`).exec(text)?.[1] ?? 0)
  return (of('Private_Clean') + of('Private_Dirty')) * KB
}

const endpoint = (browser) => browser.log.map((line) => /DevTools listening on (ws:\S+)/.exec(line)?.[1]).find(Boolean)

/** What all renderers together and the whole browser take, each without what processes share. */
export async function browserMemory(browser) {
  const cdp = await openCdp(endpoint(browser))
  try {
    const { processInfo } = await cdp.send('SystemInfo.getProcessInfo')
    const bytes = processInfo.map(({ type, id }) => ({ type, bytes: own(id) }))
    const renderers = bytes.filter(({ type }) => type === 'renderer').map((one) => one.bytes)
    return { renderers: renderers.reduce((sum, one) => sum + one, 0), browser: bytes.reduce((sum, one) => sum + one.bytes, 0) }
  } finally {
    cdp.close()
  }
}

/**
 * The heap of a worker or a page, after collecting garbage: `js` in use with its array buffers, and the size of its `wasm` memories.
 * `kind` is `service_worker` or `page`; the first one whose address begins with `url` counts.
 */
export async function heap(browser, kind, url) {
  const list = await (await fetch(`http://${new URL(endpoint(browser)).host}/json/list`)).json()
  const found = list.find((target) => target.type === kind && target.url.startsWith(url))
  if (!found) throw new Error(`no ${kind} of ${url} is running`)
  const cdp = await openCdp(found.webSocketDebuggerUrl)
  try {
    await cdp.send('HeapProfiler.collectGarbage', {}, HEAP_MS)
    const { usedSize, embedderHeapUsedSize = 0, backingStorageSize = 0 } = await cdp.send('Runtime.getHeapUsage')
    const { result } = await cdp.send('Runtime.evaluate', { expression: 'WebAssembly.Memory.prototype' })
    const { objects } = await cdp.send('Runtime.queryObjects', { prototypeObjectId: result.objectId }, HEAP_MS)
    const { result: wasm } = await cdp.send('Runtime.callFunctionOn', {
      objectId: objects.objectId,
      functionDeclaration: 'function () { return this.reduce((sum, memory) => sum + memory.buffer.byteLength, 0) }',
      returnByValue: true,
    })
    return { js: usedSize + embedderHeapUsedSize + backingStorageSize, wasm: wasm.value }
  } finally {
    cdp.close()
  }
}
