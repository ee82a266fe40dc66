// This device: how much is stored, whether the browser promised to keep it, what nobody else has yet, and the relay.
import { html, nothing } from '/assets/html.js'
import { bytes, count, isPrivate, relayName, relayWords, roomOf } from '/assets/words.js'

/** The card about storage and relays. */
export function deviceCard({ status, persisted }, actions) {
  const storage = { ...status?.storage, persisted: persisted || status?.storage?.persisted }
  const room = roomOf(storage)
  const pending = (status?.spaces ?? []).filter((space) => !isPrivate(space)).reduce((sum, space) => sum + (space.pending ?? 0), 0)
  return html`<section class="card" aria-labelledby="device-title">
    <h2 id="device-title">This device</h2>
    <dl class="facts">
      <div><dt>Stored here</dt><dd>${status ? `${bytes(storage.used)}${room ? ` of ${bytes(room)} allowed` : ''}` : '…'}
        <progress aria-label="Storage used" max="100" .value=${room ? Math.min(100, (100 * (storage.used ?? 0)) / room) : 0}></progress></dd></div>
      <div><dt>Kept when space runs low?</dt><dd class="row">${keptWords(storage)}
        ${status && !storage.persisted ? html`<button class="outline small-button" @click=${actions.persist}>Ask to keep it</button>` : nothing}</dd></div>
      <div><dt>Not yet stored by anyone else</dt><dd>${status ? (pending ? html`<span class="chip warn">${count(pending, 'change')}</span>` : 'Nothing. All shared changes have reached others.') : '…'}</dd></div>
      <div><dt>Relay</dt>${relays(status)}</div>
      <div><dt>Version</dt><dd>${status?.version ?? '…'}</dd></div>
    </dl>
  </section>`
}

function keptWords(storage) {
  if (storage.persisted === true) return html`<span class="chip ok">Yes, your browser promised</span>`
  return html`<span class="chip warn">Not promised yet</span>`
}

function relays(status) {
  if (!status) return html`<dd>…</dd>`
  if (!status.relays?.length) return html`<dd>None is set, so nobody outside this browser can be reached.</dd>`
  return status.relays.map((relay) => {
    const words = relayWords(relay)
    return html`<dd class="row"><span class="chip ${words.tone}">${words.text}</span> <code title=${relay.addr}>${relayName(relay.addr)}</code></dd>`
  })
}
