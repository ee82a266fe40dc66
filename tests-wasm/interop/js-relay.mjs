// A js-libp2p circuit relay on a free port of this machine; prints its address and runs until it is killed. To compare ours with.
import './polyfill.mjs'
import { noise } from '@chainsafe/libp2p-noise'
import { yamux } from '@chainsafe/libp2p-yamux'
import { circuitRelayServer } from '@libp2p/circuit-relay-v2'
import { identify } from '@libp2p/identify'
import { ping } from '@libp2p/ping'
import { webSockets } from '@libp2p/websockets'
import { createLibp2p } from 'libp2p'

/** As many of everything as a comparison needs. */
const MANY = 10_000

const node = await createLibp2p({
  addresses: { listen: ['/ip4/127.0.0.1/tcp/0/ws'] },
  transports: [webSockets()],
  connectionEncrypters: [noise()],
  streamMuxers: [yamux()],
  connectionManager: { maxConnections: MANY, inboundConnectionThreshold: MANY, maxIncomingPendingConnections: MANY },
  services: {
    identify: identify(),
    ping: ping(),
    relay: circuitRelayServer({ maxInboundHopStreams: MANY, maxOutboundStopStreams: MANY, reservations: { maxReservations: MANY, applyDefaultLimit: false } }),
  },
})
process.stdout.write(`ready ${node.getMultiaddrs()[0]}\n`)
