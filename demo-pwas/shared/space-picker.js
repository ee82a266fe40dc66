// The line at the top of board and explorer: which space this is, and a way to another one.
import { html, live } from '/assets/html.js'
import { findSpace } from '/assets/shell.js'
import { allSpaces, isPrivate, spaceName, spaceWords } from '/assets/words.js'

/** A select with all spaces and the sync state of the chosen one. `status` may still be undefined. */
export function spacePicker(status, chosen) {
  const spaces = status ? allSpaces(status) : []
  const words = spaceWords(findSpace(status, chosen))
  const id = (space) => (isPrivate(space) ? 'me' : space.id)
  const go = (event) => {
    const url = new URL(location.href)
    url.search = event.target.value === 'me' ? '' : `?space=${encodeURIComponent(event.target.value)}`
    location.assign(url)
  }
  return html`<label class="space-picker"><span class="visually-hidden">Space</span>
      <select .value=${live(chosen)} @change=${go} ?disabled=${!status}>
        ${findSpace(status, chosen) ? '' : html`<option value=${chosen} selected>${status ? 'Unknown space' : 'Loading…'}</option>`}
        ${spaces.map((space) => html`<option value=${id(space)} ?selected=${id(space) === chosen}>${spaceName(space)}</option>`)}
      </select></label>
    <span class="chip ${words.tone}" role="status" id="sync">${words.text}</span>`
}
