// A page with js-libp2p and its own WebRTC transport.
import { webRTC } from '@libp2p/webrtc'
import { startJsPeer } from './js-peer.mjs'

let peer
let link

globalThis.js = {
  async start(seed, relay) {
    peer = await startJsPeer({ seed, relay, transports: [webRTC({ rtcConfiguration: { iceServers: [] } })], listen: ['/webrtc'] })
    return { id: peer.id, key: peer.key }
  },
  addresses: () => peer.addresses(),
  async dial(address) {
    const connection = await peer.dial(address)
    globalThis.connection = connection
    return { address: connection.remoteAddr.toString(), limited: connection.limits != null, multiplexer: connection.multiplexer }
  },
  ping: (address) => peer.ping(address),
  async echo(size) {
    link ??= await peer.link(globalThis.connection)
    const back = await link.echo(size)
    return { first: back[0], length: back.length }
  },
  links: () => peer.links.map(({ address }) => address),
  close: () => globalThis.connection.close(),
}
globalThis.ready = true
