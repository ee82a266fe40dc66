// When something is blocked: what it means for the person, and what they can do. Work goes on in every one of these cases.
import { html } from '/assets/html.js'
import { bytes, relayName, relayWords, roomOf } from '/assets/words.js'

const STORAGE_WARNING = 0.8

/** The notices for the current state, most urgent first; nothing when all is well. `problem` is what the SDK says is wrong. */
export function problems({ status }, problem) {
  return found(status, problem).map(
    ({ tone, title, text }) => html`<div class="notice ${tone}" role="status"><p><strong>${title}</strong> ${text}</p></div>`,
  )
}

function found(status, problem) {
  const list = []
  if (problem) list.push({ tone: 'bad', title: 'Something is wrong.', text: problem.message })
  if (!navigator.onLine)
    list.push({ tone: 'warn', title: 'You are offline.', text: 'Everything works; your changes are kept here and travel when you are back.' })
  if (!status) return list
  const { storage = {}, relays = [] } = status
  const room = roomOf(storage)
  if (room && storage.used / room > STORAGE_WARNING) {
    list.push({
      tone: 'bad',
      title: 'Storage is nearly full.',
      text: `${bytes(storage.used)} of ${bytes(room)} are used. Free space on this device, or new changes will be refused.`,
    })
  }
  for (const relay of navigator.onLine ? relays : []) {
    const words = relayWords(relay)
    if (words.tone === 'bad') {
      list.push({
        tone: 'warn',
        title: `The relay ${relayName(relay.addr)} cannot be reached.`,
        text: `${words.why} People you are already linked with stay linked; new people cannot find you until it is back. It is tried again by itself.`,
      })
    }
  }
  // The peer's own diagnosis, already in plain words, e.g. that direct connections are blocked here.
  for (const text of status.notes ?? []) list.push({ tone: 'warn', title: 'Note:', text: typeof text === 'string' ? text : text.text })
  return list
}
