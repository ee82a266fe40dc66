// Home: one state, one function that draws it. The peer's status arrives by subscription, so nothing here polls.
import { html, nothing, render } from '/assets/html.js'
import { inviteDialog } from '/assets/invite-dialog.js'
import { attempt, say, showConnection } from '/assets/shell.js'
import { deviceCard } from '/home/device.js'
import { peopleCard } from '/home/people.js'
import { problems } from '/home/problems.js'
import { joinCard, spacesSection } from '/home/spaces.js'
import { youCard } from '/home/you.js'

/** What an invite may open. */
const APPS = [
  ['/board/', 'Board', 'Notes to move and edit.'],
  ['/scribe/', 'Scribe', 'Texts to write together.'],
  ['/', 'Home', 'This page.'],
  ['/explorer/', 'Explorer', 'The raw data.'],
]
const JOINING = 'Joining… this takes a moment while your browsers meet.'

const state = {
  /** 'starting', 'ready', or 'blocked' with `why`. */
  phase: 'starting',
  why: '',
  /** The last GET /~/peer. */
  status: undefined,
  /** Whether the browser promised to keep the data; undefined until known. */
  persisted: undefined,
  /** The person's own name, kept in their private space. */
  name: undefined,
  /** What is being joined: { text } while it runs. */
  joining: undefined,
  /** The space just created or joined, to be pointed out. */
  fresh: new URLSearchParams(location.search).get('space') ?? undefined,
  /** The open invite dialog: { space, role, app, url?, busy, error? }. */
  invite: undefined,
}

let sdk
const root = document.querySelector('#app')

/** Draws the page from the state. */
function draw() {
  render(page(), root)
}

const page = () => {
  if (state.phase === 'blocked') return html`<div class="notice bad" role="alert"><h2>Kith cannot start here</h2><p>${state.why}</p></div>`
  return html`
    ${state.joining ? html`<div class="notice joining" role="status"><span aria-busy="true"></span><p>${state.joining.text}</p></div>` : nothing}
    ${problems(state, sdk?.kith.problem, sdk?.kith.lost, actions)}
    ${state.status ? columns() : starting}
    ${inviteDialog(state, actions, APPS)}`
}

/** Until the first status is here, nothing is drawn whose size depends on it: so nothing jumps when it comes. */
const starting = html`<div class="card placeholder"><p class="muted" aria-busy="true">Starting your peer…</p></div>`

const columns = () => html`<div class="columns">
      <div class="column">${spacesSection(state, actions)} ${joinCard(actions)}</div>
      <div class="column">${youCard(state, actions)} ${peopleCard(state)} ${deviceCard(state, actions)}</div>
    </div>`

const change = (values) => {
  Object.assign(state, values)
  draw()
}

/** What the buttons do. Each one ends in a changed state, or in a sentence that says why not. */
const actions = {
  rename: (name) =>
    attempt(async () => {
      await sdk.writeName(name)
      change({ name })
      say('Name saved.')
    }),

  create: (name) =>
    attempt(async () => {
      const space = await sdk.createSpace(name)
      change({ fresh: space.id, status: await sdk.kith.status() })
      say(`“${space.name}” is ready. Invite somebody to share it.`)
    }),

  join: (link) =>
    attempt(async () => {
      change({ joining: { text: JOINING } })
      try {
        const joined = await sdk.join(link)
        if (joined.app && joined.app !== '/') location.assign(`${joined.app}?space=${encodeURIComponent(joined.space)}`)
        else change({ fresh: joined.space })
      } finally {
        change({ joining: undefined })
      }
    }),

  openInvite: (space) => {
    change({ invite: { space, role: 'writer', app: '/board/', busy: false } })
    root.querySelector('#invite').showModal()
  },

  changeInvite: (values) => change({ invite: { ...state.invite, url: undefined, error: undefined, ...values } }),

  makeInvite: async () => {
    const { space, role, app } = state.invite
    change({ invite: { ...state.invite, busy: true, error: undefined } })
    let outcome
    try {
      const [{ url }, { encode }] = await Promise.all([sdk.invite(space.id, role, app), import('/assets/vendor/uqr.js')])
      outcome = { url, qr: encode(url, { ecc: 'L', border: 2 }) }
    } catch (error) {
      outcome = { error: error.message }
    }
    if (state.invite) change({ invite: { ...state.invite, busy: false, ...outcome } })
  },

  closeInvite: () => change({ invite: undefined }),

  forgetLost: () => {
    sdk.kith.forgetLost()
    draw()
  },

  allow: (held, more) =>
    attempt(async () => {
      await sdk.allow(held, more)
      say('More is taken now.')
    }),

  persist: () =>
    attempt(async () => {
      const kept = await navigator.storage.persist()
      change({ persisted: kept })
      say(
        kept
          ? 'Your browser will keep this data.'
          : 'Your browser did not agree yet. Adding this page to your home screen or bookmarks usually helps.',
        kept ? 'ok' : 'bad',
      )
    }),
}

/** Starts the peer and follows it. */
async function start() {
  root.replaceChildren()
  draw()
  try {
    // The SDK is imported here, not at the top, so that a browser that cannot load it still gets an explanation.
    sdk = await import('/home/peer.js')
    watchJoining()
    await sdk.kith.ready
  } catch (error) {
    change({ phase: 'blocked', why: error.message })
    return
  }
  root.removeAttribute('aria-busy')
  change({ phase: 'ready' })
  sdk.follow((status) => {
    showConnection(status)
    change({ status })
  })
  change({ persisted: await navigator.storage?.persisted?.() })
  change({ name: await sdk.readName().catch(() => '') })
}

/** An invite link opened this page: the SDK joins; home says so, and stays where it is if the link leads here. */
function watchJoining() {
  const { kith } = sdk
  kith.addEventListener('joining', () => change({ joining: { text: JOINING } }))
  kith.addEventListener('joined', (event) => {
    if (event.detail.app !== '/') return
    event.preventDefault()
    change({ fresh: event.detail.space })
    say('You are in. The space is in your list.')
  })
  kith.addEventListener('problem', () => draw())
  kith.addEventListener('lost', () => draw())
  kith.joined.then(
    () => change({ joining: undefined }),
    (error) => {
      change({ joining: undefined })
      say(error.message, 'bad')
    },
  )
}

addEventListener('online', draw)
addEventListener('offline', draw)
await start()
