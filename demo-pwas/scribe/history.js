// Looking back: a slider over the versions of a text, the text as it was, and a way to have it back.
import { html, nothing } from '/assets/html.js'
import { bytes, shortId } from '/assets/words.js'

const when = (time) => new Date(time).toLocaleString('en-GB', { dateStyle: 'medium', timeStyle: 'medium' })

/** The panel. `past` is { versions, at, text, error }: versions undefined while they are read, null where there are none. */
export function historyPanel({ past, locked }, actions) {
  if (!past) return nothing
  return html`<section class="card past" aria-labelledby="past-title">
    <div class="row"><h2 id="past-title">Earlier versions</h2>
      <button class="outline small-button end" @click=${actions.closeHistory}>Back to now</button></div>
    ${past.error ? html`<div class="notice bad" role="alert"><p>${past.error}</p></div>` : nothing}
    ${past.versions === undefined ? html`<p class="muted" aria-busy="true">Reading the history…</p>` : past.versions === null || past.versions.length === 0 ? none : slider(past, locked, actions)}
  </section>`
}

const none = html`<p class="muted">This peer keeps no earlier versions of this text, so there is nothing to look back on. What you write now is stored as always.</p>`

function slider({ versions, at, text }, locked, actions) {
  const version = versions[at]
  const words = `${at + 1} of ${versions.length}, ${when(version.time)}`
  return html`<label class="small">Version
      <input id="past-slider" type="range" min="0" max=${versions.length - 1} step="1" .value=${String(at)} aria-valuetext=${words} @input=${(event) => actions.lookAt(Number(event.target.value))}></label>
    <div class="row past-row">
      <p class="small muted grow">${words} · by ${shortId(version.author)}${version.size === undefined ? '' : ` · ${bytes(version.size)}`}</p>
      <button class="small-button" ?disabled=${locked || text === undefined} @click=${actions.restore}>Restore this version</button>
    </div>
    <pre id="past-text" class="past-text" tabindex="0" role="region" aria-label="The text as it was" aria-busy=${text === undefined}>${text ?? ''}</pre>`
}
