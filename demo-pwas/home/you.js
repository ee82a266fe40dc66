// Who am I: a short id made by this browser, and a name the person may set.
import { html } from '/assets/html.js'
import { shortId } from '/assets/words.js'
import { face } from '/home/face.js'

/** The card about the person. The name lives at /~/me/profile/name, where every app of this origin can read it. */
export function youCard({ status, name }, actions) {
  const submit = (event) => {
    event.preventDefault()
    actions.rename(new FormData(event.target).get('name').trim())
  }
  return html`<section class="card" aria-labelledby="you-title">
    <h2 id="you-title">You</h2>
    <div class="you">${face(status?.id)}
      <p><strong>${name || 'No name yet'}</strong><br><span class="muted small">Known to others as <code title=${status?.id ?? ''}>${shortId(status?.id) || '······'}</code></span></p>
    </div>
    <form class="inline-form" @submit=${submit}>
      <label class="small">Your name
        <input name="name" autocomplete="nickname" maxlength="60" placeholder="What should people call you?" .value=${name ?? ''} ?disabled=${name === undefined}>
      </label>
      <button class="outline" ?disabled=${name === undefined}>Save</button>
    </form>
  </section>`
}
