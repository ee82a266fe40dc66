// The invite dialog: what the invited may do, which app the link opens, then the link as text, QR code and for sharing.
import { html, nothing, svg } from '/assets/html.js'
import { closeIcon, copyIcon, shareIcon } from '/assets/icons.js'
import { say } from '/assets/shell.js'
import { spaceName } from '/assets/words.js'

const ROLES = [
  ['writer', 'Read and write', 'They can change everything in the space.'],
  ['reader', 'Only read', 'They see everything and change nothing.'],
]

/** The dialog stays in the page; `showModal()` opens it, so focus and Escape behave as the browser does them. `apps`: what may open for the invited, as [path, name, detail]. */
export function inviteDialog({ invite }, actions, apps) {
  const close = () => document.querySelector('#invite').close()
  return html`<dialog id="invite" aria-labelledby="invite-title" @close=${actions.closeInvite}>
    ${
      invite
        ? html`<article>
          <header><h2 id="invite-title">Invite to ${spaceName(invite.space)}</h2>
            <button class="quiet" aria-label="Close" @click=${close}>${closeIcon}</button></header>
          ${invite.url ? made(invite, actions) : form(invite, actions, apps)}
        </article>`
        : nothing
    }
  </dialog>`
}

function form(invite, actions, apps) {
  const submit = (event) => {
    event.preventDefault()
    actions.makeInvite()
  }
  return html`<form @submit=${submit}>
    ${choice('role', 'What may they do?', ROLES, invite.role, actions)} ${apps.length > 1 ? choice('app', 'What opens for them?', apps, invite.app, actions) : nothing}
    ${invite.error ? html`<div class="notice bad" role="alert"><p>${invite.error}</p></div>` : nothing}
    <button aria-busy=${invite.busy} ?disabled=${invite.busy}>Make the link</button>
  </form>`
}

const choice = (name, legend, options, chosen, actions) => html`<fieldset>
  <legend>${legend}</legend>
  <div class="choices">
    ${options.map(
      ([value, label, detail]) => html`<label><input type="radio" name=${name} value=${value} .checked=${value === chosen}
        @change=${() => actions.changeInvite({ [name]: value })}>${label}<small>${detail}</small></label>`,
    )}
  </div>
</fieldset>`

function made(invite, actions) {
  const role = invite.role === 'reader' ? 'read' : 'read and write in'
  return html`<div class="stack">
    <p>Whoever has this link can ${role} <strong>${spaceName(invite.space)}</strong>. Send it only to people you mean. The secret in it never reaches a server.</p>
    ${invite.qr ? qrCode(invite.qr) : nothing}
    <label class="small">Invite link
      <input class="link-text" id="invite-link" readonly .value=${invite.url} @focus=${(event) => event.target.select()}></label>
    <div class="row">
      <button @click=${() => copy(invite.url)}>${copyIcon} Copy link</button>
      ${navigator.share ? html`<button class="outline" @click=${() => share(invite)}>${shareIcon} Share…</button>` : nothing}
      <button class="outline" @click=${() => actions.changeInvite({})}>Other choices</button>
    </div>
    <p class="muted small">Keep one of your windows open until they have joined: their browser fetches the data from yours.</p>
  </div>`
}

async function copy(url) {
  try {
    await navigator.clipboard.writeText(url)
    say('Link copied.')
  } catch {
    document.querySelector('#invite-link').select()
    say('Your browser did not allow copying. The link is selected: copy it by hand.', 'bad')
  }
}

async function share({ url, space }) {
  // Closing the share sheet is no error worth a word.
  await navigator.share({ title: `Join “${spaceName(space)}” on Kith`, url }).catch(() => undefined)
}

/** A QR code as one path, one unit per module. */
function qrCode({ data, size }) {
  const path = data.flatMap((row, y) => row.map((dark, x) => (dark ? `M${x} ${y}h1v1h-1z` : ''))).join('')
  return html`<svg class="qr" viewBox="0 0 ${size} ${size}" role="img" aria-label="QR code of the invite link" shape-rendering="crispEdges">${svg`<path d=${path}></path>`}</svg>`
}
