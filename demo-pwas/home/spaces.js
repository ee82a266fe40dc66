// My spaces: create one, open one in an app, invite people to it, or join one by an invite.
import { html, nothing, repeat } from '/assets/html.js'
import { addIcon, inviteIcon } from '/assets/icons.js'
import { allSpaces, count, isPrivate, spaceName, spaceWords } from '/assets/words.js'

const ROLES = { owner: 'You own it', writer: 'You can read and write', reader: 'You can read' }

/** The list of spaces, the private one last, with the form for a new one. */
export function spacesSection({ status, fresh }, actions) {
  const spaces = allSpaces(status)
  const shared = spaces.some((space) => !isPrivate(space))
  return html`<section aria-labelledby="spaces-title">
    <div class="section-head"><h2 id="spaces-title">Your spaces</h2></div>
    <div class="stack">
      ${shared ? nothing : emptyHint()}
      <ul class="spaces">
        ${repeat(
          spaces,
          (space) => space.id,
          (space) => spaceCard(space, space.id === fresh, actions),
        )}
      </ul>
      ${createForm(actions)}
    </div>
  </section>`
}

const emptyHint = () => html`<div class="empty">
  <p><strong>No shared space yet</strong></p>
  <p>A space is a place you share with some people: a trip, a household, a project. Make one below, then invite somebody with a link.</p>
</div>`

function spaceCard(space, fresh, actions) {
  const words = spaceWords(space)
  const query = isPrivate(space) ? '' : `?space=${encodeURIComponent(space.id)}`
  const name = spaceName(space)
  return html`<li class=${fresh ? 'card fresh' : 'card'} data-space=${space.id}>
    <div class="space-head">
      <div><h3>${name}</h3>
        <small class="muted">${isPrivate(space) ? 'Nobody else can see it' : (ROLES[space.role] ?? space.role)}${space.members > 1 ? ` · ${count(space.members, 'person', 'people')}` : ''}${space.entries === undefined ? '' : ` · ${count(space.entries, 'change')} kept here`}</small></div>
      <span class="chip ${words.tone}">${words.text}</span>
    </div>
    ${space.arriving > 0 ? arriving(space) : nothing}
    <div class="row">
      <a role="button" class="small-button" href="/board/${query}" aria-label="Open ${name} in Board">Board</a>
      <a role="button" class="outline small-button" href="/scribe/${query}" aria-label="Open ${name} in Scribe">Scribe</a>
      <a role="button" class="outline small-button" href="/explorer/${query}" aria-label="Open ${name} in Explorer">Explorer</a>
      ${
        space.role === 'owner' && !isPrivate(space)
          ? html`<button class="outline small-button" aria-label="Invite people to ${name}" @click=${() => actions.openInvite(space)}>${inviteIcon} Invite</button>`
          : nothing
      }
    </div>
  </li>`
}

/** How much of a space is here while the rest of it is on its way. */
const arriving = ({ entries = 0, arriving: coming }) => html`<p class="muted arriving">
      <span>Still arriving: ${count(coming, 'change')} to come. You can use it already.</span>
      <progress max=${entries + coming} value=${entries} aria-label="How much of it is here"></progress></p>`

function createForm(actions) {
  const submit = async (event) => {
    event.preventDefault()
    const form = event.target
    const name = new FormData(form).get('name').trim()
    if (name && (await actions.create(name))) form.reset()
  }
  return html`<form class="inline-form" @submit=${submit}>
    <label class="small">New space
      <input name="name" required maxlength="80" placeholder="Trip, household, project…" autocomplete="off">
    </label>
    <button>${addIcon} Create</button>
  </form>`
}

/** The card for pasting an invite. */
export function joinCard(actions) {
  const submit = async (event) => {
    event.preventDefault()
    const form = event.target
    if (await actions.join(new FormData(form).get('link').trim())) form.reset()
  }
  return html`<section class="card" aria-labelledby="join-title">
    <h2 id="join-title">Got an invite?</h2>
    <p class="muted">Opening the link is enough. If somebody sent it as text, paste it here.</p>
    <form class="inline-form" @submit=${submit}>
      <label class="small">Invite link
        <input name="link" type="text" inputmode="url" required placeholder="https://…#kith=…" autocomplete="off" autocapitalize="off" spellcheck="false">
      </label>
      <button class="outline">Join</button>
    </form>
  </section>`
}
