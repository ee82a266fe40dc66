// What js-libp2p wants and Node 20 does not have yet.
import { WebSocket } from 'ws'

globalThis.WebSocket ??= WebSocket

Promise.withResolvers ??= function withResolvers() {
  let resolve
  let reject
  const promise = new this((yes, no) => {
    resolve = yes
    reject = no
  })
  return { promise, resolve, reject }
}
