// When something is blocked: what it means for the person, and what they can do. Work goes on in every one of these cases.
import { html, nothing } from '/assets/html.js'
import { bytes, count, relayName, relayWords, roomOf, shortId, spaceName } from '/assets/words.js'

const STORAGE_WARNING = 0.8

/** How much more is taken from somebody who has come to the limit, at a press. */
const ALLOWED_AT_ONCE = 64_000_000
const DAY = new Intl.DateTimeFormat('en', { day: 'numeric', month: 'long', year: 'numeric', timeZone: 'UTC' })

/** The notices for the current state, most urgent first; nothing when all is well. `problem` is what the SDK says is wrong, `lost` what the browser deleted. */
export function problems({ status }, problem, lost, actions) {
  return [...(lost ? [lostNotice(lost, actions)] : []), ...heldBack(status).map((held) => heldNotice(held, actions)), ...found(status, problem).map(notice)]
}

const notice = ({ tone, title, text }) => html`<div class="notice ${tone}" role="status"><p><strong>${title}</strong> ${text}</p></div>`

const named = (spaces) => new Intl.ListFormat('en').format(spaces.map((space) => `“${spaceName(space)}”`))

/** The browser deleted what was stored here: what that means, and what is on its way back. */
function lostNotice({ seen, spaces }, actions) {
  const back = spaces.filter((space) => space.back)
  const coming = spaces.filter((space) => !space.back && space.invite)
  const gone = spaces.filter((space) => !space.back && !space.invite)
  return html`<div class="notice bad lost" role="status">
    <p><strong>Your browser deleted what was stored here.</strong> Browsers do that when a device runs out of space. It was last used on ${DAY.format(new Date(seen))}.
      You start anew: others see you as somebody else, and what only this browser had is gone.</p>
    ${back.length ? html`<p>Joined again, and filled from the others: ${named(back)}.</p>` : nothing}
    ${coming.length ? html`<p>Joining again as soon as somebody in it is online: ${named(coming)}.</p>` : nothing}
    ${gone.length ? html`<p>Ask somebody in it for a new invite: ${named(gone)}.${gone.map((space) => (space.why ? ` ${space.why}` : ''))}</p>` : nothing}
    <p><button class="outline small-button" @click=${actions.forgetLost}>Understood</button></p>
  </div>`
}

/** Everybody of whom no more is taken today. */
const heldBack = (status) => (status?.spaces ?? []).flatMap((space) => (space.held ?? []).map((held) => ({ ...held, space })))

/** Somebody writes more than is taken without asking: ask. */
function heldNotice(held, actions) {
  const { space, author, log, bytes: taken, waiting } = held
  return html`<div class="notice warn held" role="status" data-log=${log}>
    <p><strong>Somebody writes a lot in “${spaceName(space)}”.</strong> <code title=${author ?? log}>${shortId(author ?? log)}</code> has added ${bytes(taken)} today,
      the most that is stored without asking you. ${waiting ? `${count(waiting, 'more change waits', 'more changes wait')}.` : ''} What you do not take now is asked for again tomorrow.</p>
    <p><button class="outline small-button" @click=${() => actions.allow(held, ALLOWED_AT_ONCE)}>Take ${bytes(ALLOWED_AT_ONCE)} more</button></p>
  </div>`
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
