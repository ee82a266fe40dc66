/** What pages say to the worker, and what workers say to each other. */
import { CHANNEL } from '../shared/names.ts'
import { PROTOCOL, protocolOf, readAnnouncement, readPageMessage, wire } from '../shared/messages.ts'
import type { PageMessage, Welcome } from '../shared/messages.ts'
import { knownRelays, rememberRelays } from './config.ts'
import type { PeerHost } from './peer-host.ts'
import { scope } from './scope.ts'
import { takeOver } from './take-over.ts'

/** Who this worker is. */
export interface Identity {
  instance: string
  embedded: boolean
  /** Resolves once the worker holds its life lock. */
  alive: Promise<void>
}

/** Hears what other workers say. */
export function hearWorkers(identity: Identity, host: PeerHost): void {
  new BroadcastChannel(CHANNEL).addEventListener('message', ({ data }) => {
    const announcement = readAnnouncement(data)
    if (!announcement || announcement.instance === identity.instance) return
    if (announcement.type === 'drain' && !identity.embedded) host.streams.drain()
    if (announcement.type === 'yield') void host.handOver()
    const ours = announcement.type === 'make-way' && announcement.scope === scope.registration.scope
    if (ours && !identity.embedded && scope.serviceWorker?.state === 'installed') takeOver(identity.instance)
  })
}

async function take(message: PageMessage, event: ExtendableMessageEvent, identity: Identity, host: PeerHost): Promise<void> {
  const [port] = event.ports
  switch (message.type) {
    case 'hello': {
      void host.open().catch(() => undefined)
      await identity.alive
      const welcome: Welcome = { type: 'welcome', instance: identity.instance, release: KITH_RELEASE, embedded: identity.embedded }
      port?.postMessage(wire(welcome))
      return
    }
    case 'claim':
      if (scope.kithOptions?.claim === false) return
      // Not every registration is ready at this moment; the page asks again.
      return scope.clients.claim().catch(() => undefined)
    case 'relays': {
      const all = await rememberRelays(message.source, message.addrs)
      if (all) host.setRelays(all)
      return
    }
    case 'reconnect':
      // Telling the relays again is what makes those that failed be tried.
      return host.setRelays(await knownRelays())
    case 'carrier':
      if (port) await host.attachCarrier(port)
      return
    case 'carrier-gone':
      return host.detachCarrier()
    case 'environment':
      return host.setEnvironment({ persisted: message.persisted })
    case 'take-over':
      if (!identity.embedded) takeOver(identity.instance)
      return
    case 'shutdown':
      await host.shutDown()
      port?.postMessage(wire({ type: 'closed' }))
  }
}

/** Takes a page's message. @returns work to wait for; undefined if the message is none of ours. */
export function takePageMessage(event: ExtendableMessageEvent, identity: Identity, host: PeerHost): Promise<void> | undefined {
  const spoken = protocolOf(event.data)
  if (spoken === undefined) return undefined
  const message = readPageMessage(event.data)
  if (message) return take(message, event, identity, host).catch((error) => console.error('kith: a message failed;', error))
  // A page of another protocol: it learns our number and reloads itself.
  if (spoken !== PROTOCOL) event.ports[0]?.postMessage(wire({ type: 'welcome', instance: identity.instance, release: KITH_RELEASE }))
  return Promise.resolve()
}
