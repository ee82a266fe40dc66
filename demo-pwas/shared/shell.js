// What every demo page does besides its own work: keep the chosen space in the header's links, show the connection, show messages.
import { follow } from '/assets/follow.js'
import { html, render, repeat } from '/assets/html.js'
import { allSpaces, connectionWords, isPrivate } from '/assets/words.js'

/** The space this page is about: `?space=<id>`, else the private space `me`. */
export const currentSpace = () => new URLSearchParams(location.search).get('space') || 'me'

/** Puts a space into the address and into the links between the apps, without loading anything. */
export function chooseSpace(id) {
  const url = new URL(location.href)
  if (id === 'me') url.searchParams.delete('space')
  else url.searchParams.set('space', id)
  if (url.href !== location.href) history.replaceState(history.state, '', url)
  for (const link of document.querySelectorAll('.apps a, .brand')) {
    const target = new URL(link.getAttribute('href'), location.href)
    if (id === 'me') target.searchParams.delete('space')
    else target.searchParams.set('space', id)
    link.setAttribute('href', target.pathname + target.search)
  }
}

/** The space with this id in a status document. */
export const findSpace = (status, id) => status && allSpaces(status).find((space) => space.id === id || (id === 'me' && isPrivate(space)))

/** Shows the connection in the header. */
export function showConnection(status) {
  const chip = document.querySelector('#net')
  if (!chip) return
  const words = connectionWords(status)
  chip.className = `net chip ${words.tone}`
  if (chip.textContent !== words.text) chip.textContent = words.text
}

const JOINING = 'Joining… this takes a moment while your browsers meet.'
/** The peer's "not now": nobody who has the data is online. Joining goes on by itself. */
const NOT_NOW = 503

/**
 * Resolves once this page's requests reach the peer. If an invite link opened the page, `onJoining` gets a sentence to show meanwhile, and
 * afterwards the space is the one it leads to. Rejects with a sentence for the person where Kith cannot run, or the invite cannot be
 * opened.
 */
export async function peerReady(onJoining = () => undefined) {
  const { kith } = window // Set by the script tag that adds Kith.
  if (!kith) throw new Error('Kith could not be loaded. Check your connection and reload this page.')
  kith.addEventListener('joining', () => onJoining(JOINING))
  kith.addEventListener('joined', (event) => {
    const { app, space } = event.detail
    if (new URL(app, location.origin).pathname !== location.pathname) return // The SDK goes there.
    event.preventDefault()
    chooseSpace(space)
  })
  await kith.ready
  try {
    await kith.joined
  } catch (error) {
    if (error.status !== NOT_NOW) throw error
    onJoining(error.message)
    await someJoiningEnds()
    // The SDK keeps the invite until it was opened: loading the page again opens it, and now the answer is there.
    location.reload()
    await new Promise(() => undefined)
  }
}

/** Resolves when a space that was being joined is there. */
function someJoiningEnds() {
  return new Promise((resolve, reject) => {
    let before = []
    const message = (event) => {
      const joining = JSON.parse(event.data).spaces.filter((space) => space.state === 'joining')
      if (before.some((space) => joining.every((other) => other.id !== space.id))) resolve()
      before = joining
    }
    follow(
      () => '/~/peer',
      { message },
      (sentence) => reject(new Error(sentence)),
    )
  })
}

// A link opened in a tab that is already at its address changes only the fragment: load the page anew, so that the invite is seen.
addEventListener('hashchange', () => {
  if (location.hash.startsWith('#kith=')) location.reload()
})

/** Follows GET /~/peer for as long as the page lives: every state is one unnamed event. */
export function followStatus(onStatus) {
  const message = (event) => {
    const status = JSON.parse(event.data)
    showConnection(status)
    onStatus(status)
  }
  follow(
    () => '/~/peer',
    { message },
    (sentence) => say(sentence, 'bad'),
  )
}

const TOAST_MS = 6000
const TOASTS_MAX = 3
let toasts = []

/** Shows a sentence for a few seconds, with an optional `offer` ({ label, run }). Errors stay until closed or pushed out by newer ones. */
export function say(text, tone = 'ok', offer = undefined) {
  const toast = { text, tone, offer, key: `${Date.now()}-${Math.random()}` }
  const close = () => {
    toasts = toasts.filter((other) => other !== toast)
    draw()
  }
  toast.close = close
  toasts = [...toasts.filter((other) => other.text !== text), toast].slice(-TOASTS_MAX)
  draw()
  if (tone !== 'bad') setTimeout(close, TOAST_MS)
}

function draw() {
  const place = document.querySelector('#toasts')
  if (!place) return
  render(
    repeat(
      toasts,
      (toast) => toast.key,
      (toast) => html`<p class=${toast.tone}><span>${toast.text}</span>
        ${
          toast.offer
            ? html`<button class="outline small-button" @click=${() => {
                toast.close()
                toast.offer.run()
              }}>${toast.offer.label}</button>`
            : ''
        }
        ${toast.tone === 'bad' ? html`<button class="outline small-button" @click=${toast.close}>Close</button>` : ''}</p>`,
    ),
    place,
  )
}

/** Runs an action and says in plain words when it fails. Resolves to whether it worked. */
export async function attempt(action) {
  try {
    await action()
    return true
  } catch (error) {
    say(error?.message ?? String(error), 'bad')
    return false
  }
}

addEventListener('offline', () => say('You are offline. Go on working: everything is kept here and travels when you are back.'))
addEventListener('online', () => say('Back online.'))
chooseSpace(currentSpace())
