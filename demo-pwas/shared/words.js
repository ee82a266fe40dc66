// Turns what GET /~/peer says into words a person understands. Nothing here talks to the peer.

/** The last few characters of an id: enough to tell people apart, short enough to read aloud. */
export const shortId = (id) => (id ? id.slice(-6) : '')

const UNITS = ['bytes', 'KB', 'MB', 'GB', 'TB']

/** A size in words: 1 536 → "1.5 KB". Negative and missing sizes count as nothing. */
export function bytes(count) {
  let value = Math.max(0, Number(count) || 0)
  let unit = 0
  for (; value >= 1000 && unit < UNITS.length - 1; unit += 1) value /= 1000
  return `${unit === 0 || value >= 100 ? Math.round(value) : value.toFixed(1)} ${UNITS[unit]}`
}

/** "1 change", "2 changes". */
export const count = (n, one, many = `${one}s`) => `${n.toLocaleString('en')} ${n === 1 ? one : many}`

/** How one link runs. `tone` is ok, warn or idle. */
export function linkWords(link) {
  if (link.state === 'connecting') return { tone: 'warn', path: 'connecting', detail: link.why ?? 'Reaching this person…' }
  if (link.path === 'relay') return { tone: 'warn', path: 'through the relay', detail: 'The relay passes sealed data on; it cannot read it.' }
  return { tone: 'ok', path: 'direct', detail: 'From browser to browser, no server in between.' }
}

const RELAY_WORDS = {
  connecting: { tone: 'warn', text: 'connecting…' },
  connected: { tone: 'warn', text: 'connected, asking for a place' },
  reserved: { tone: 'ok', text: 'connected' },
  failed: { tone: 'bad', text: 'not reachable' },
}

/** The state of one relay; `why` is the peer's own sentence, if it gave one. */
export function relayWords(relay) {
  const words = RELAY_WORDS[relay.state] ?? { tone: 'idle', text: String(relay.state ?? 'unknown') }
  return { ...words, why: relay.why ?? relay.error ?? '' }
}

/** A relay's place as a person would write it: "localhost:8787" out of "/dns4/localhost/tcp/8787/ws/p2p/…". */
export function relayName(addr) {
  const parts = String(addr).split('/')
  const port = parts[parts.indexOf('tcp') + 1]
  return parts.length > 4 ? `${parts[2]}:${port}` : String(addr)
}

/** One line for the header: how this peer is connected just now. */
export function connectionWords(status) {
  if (!status) return { tone: 'idle', text: 'Starting…' }
  // For a moment there may be two links to one person, when a better one comes up.
  const by = (path) => new Set((status.links ?? []).filter((link) => linkWords(link).path === path).map(({ peer }) => peer))
  const others = by('direct')
  const direct = others.size
  const relayed = [...by('through the relay')].filter((peer) => !others.has(peer)).length
  if (direct && relayed) return { tone: 'ok', text: `${direct} direct, ${relayed} via relay` }
  if (direct) return { tone: 'ok', text: `Direct to ${count(direct, 'other')}` }
  if (relayed) return { tone: 'ok', text: `Via relay to ${count(relayed, 'other')}` }
  const relays = status.relays ?? []
  if (relays.some((relay) => ['connected', 'reserved'].includes(relay.state))) return { tone: 'ok', text: 'Online, nobody else here' }
  if (relays.some((relay) => relay.state === 'connecting')) return { tone: 'warn', text: 'Connecting…' }
  return { tone: 'warn', text: navigator.onLine ? 'Relay not reachable' : 'Offline' }
}

/** How far the changes of one space have travelled. */
export function spaceWords(space) {
  if (!space) return { tone: 'idle', text: 'Loading…' }
  if (isPrivate(space)) return { tone: 'idle', text: 'Only on this device' }
  if ((space.arriving ?? 0) > 0) return { tone: 'warn', text: space.peers > 0 ? `Receiving from ${count(space.peers, 'other')}` : 'Receiving' }
  if (space.state === 'joining') return { tone: 'warn', text: 'Joining: waiting for who invited you' }
  const pending = space.pending ?? 0
  if (pending > 0) return { tone: 'warn', text: `${count(pending, 'change')} only on this device` }
  if ((space.peers ?? 0) > 0) return { tone: 'ok', text: `In step with ${count(space.peers, 'other')}` }
  if (space.members === 1) return { tone: 'idle', text: 'Nobody else is in it yet' }
  if (space.members > 1) return { tone: 'ok', text: 'Stored by others too' }
  return { tone: 'idle', text: 'Nobody else is here now' }
}

/** Whether this is the person's own space, which nobody else has. */
export const isPrivate = (space) => space.me === true || space.id === 'me'

/** The name to show for a space. */
export const spaceName = (space) => (isPrivate(space) ? 'Private' : space.name || `Space ${shortId(space.id)}`)

/** All spaces of a status document, shared ones first; the private one is always there, even before anything was written to it. */
export function allSpaces(status) {
  const spaces = status?.spaces ?? []
  const own = spaces.filter(isPrivate)
  return [...spaces.filter((space) => !isPrivate(space)), ...(own.length ? own : [{ id: 'me', role: 'owner', entries: 0, peers: 0, pending: 0 }])]
}

/** How much may be stored: the peer's own budget, or the browser's quota if that is less; undefined if neither is known. */
export function roomOf(storage) {
  const limits = [storage.budget, storage.quota].filter((limit) => limit > 0)
  return limits.length ? Math.min(...limits) : undefined
}
