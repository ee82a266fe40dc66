// A js-libp2p node, for Node and for pages alike.
import { noise } from '@chainsafe/libp2p-noise'
import { yamux } from '@chainsafe/libp2p-yamux'
import { circuitRelayTransport } from '@libp2p/circuit-relay-v2'
import { generateKeyPairFromSeed } from '@libp2p/crypto/keys'
import { identify } from '@libp2p/identify'
import { peerIdFromString } from '@libp2p/peer-id'
import { ping } from '@libp2p/ping'
import { webSockets } from '@libp2p/websockets'
import { multiaddr } from '@multiformats/multiaddr'
import { createLibp2p } from 'libp2p'
import { SYNC, speak } from './sync-stream.mjs'

/** Starts a node under the seed that is 32 times this byte; with a relay it asks for a reservation there. */
export async function startJsPeer({ seed, relay, transports = [], listen = [] }) {
  const node = await createLibp2p({
    privateKey: await generateKeyPairFromSeed('Ed25519', new Uint8Array(32).fill(seed)),
    addresses: { listen: [...(relay ? [`${relay}/p2p-circuit`] : []), ...listen] },
    transports: [webSockets(), circuitRelayTransport(), ...transports],
    connectionEncrypters: [noise()],
    streamMuxers: [yamux()],
    // Loopback is all these tests have.
    connectionGater: { denyDialMultiaddr: () => false },
    services: { identify: identify({ runOnLimitedConnection: true }), ping: ping({ runOnLimitedConnection: true }) },
  })
  const links = []
  await node.handle(
    SYNC,
    (stream, connection) => {
      const link = speak(stream, { opener: false })
      links.push({ ...link, remote: connection.remotePeer.toString(), address: connection.remoteAddr.toString() })
    },
    { runOnLimitedConnection: true },
  )
  return {
    node,
    links,
    /** Its own public key. */
    key: [...node.peerId.publicKey.raw],
    id: node.peerId.toString(),
    addresses: () => node.getMultiaddrs().map(String),
    dial: (address) => node.dial(multiaddr(address)),
    /** Milliseconds to a connected peer and back. */
    ping: (address) => node.services.ping.ping(multiaddr(address)),
    /** Opens a link on a connection and sends one frame to be echoed; resolves with the answer. */
    async link(connection) {
      const stream = await connection.newStream(SYNC, { runOnLimitedConnection: true })
      const answers = []
      let wake = () => {}
      const link = speak(stream, {
        opener: true,
        onFrame: (frame) => {
          answers.push(frame)
          wake()
        },
      })
      await link.ready
      return {
        ...link,
        async echo(size) {
          const frame = new Uint8Array(size).fill(9)
          frame[0] = 1
          link.send(frame)
          while (answers.length === 0) await new Promise((resolve) => (wake = resolve))
          return answers.shift()
        },
      }
    },
    /** The addresses identify told of a peer. */
    known: async (id) => (await node.peerStore.get(peerIdFromString(id))).addresses.map(({ multiaddr }) => multiaddr.toString()),
    stop: () => node.stop(),
  }
}
