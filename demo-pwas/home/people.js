// The people this browser is linked with just now, and which way the data goes.
import { html, repeat } from '/assets/html.js'
import { bytes, linkWords, shortId } from '/assets/words.js'
import { face } from '/home/face.js'

/** The card about links. */
export function peopleCard({ status }) {
  const links = status?.links ?? []
  return html`<section class="card" aria-labelledby="people-title">
    <h2 id="people-title">Connected now</h2>
    ${
      links.length
        ? html`<ul class="people">${repeat(links, (link) => link.peer, person)}</ul>`
        : html`<p class="muted">${status ? 'Nobody else is connected. When somebody in one of your spaces has it open, they appear here.' : 'Looking…'}</p>`
    }
  </section>`
}

function person(link) {
  const words = linkWords(link)
  const traffic = `${bytes(link.bytesIn)} received, ${bytes(link.bytesOut)} sent`
  return html`<li data-path=${link.path}>
    ${face(link.peer)}
    <span>${link.name ?? html`<code title=${link.peer}>${shortId(link.peer)}</code>`}</span>
    <span class="chip ${words.tone}">${words.path}</span>
    <span class="detail">${words.detail} ${link.rttMs === undefined || link.rttMs === null ? '' : `${Math.round(link.rttMs)} ms away.`} ${traffic}.</span>
  </li>`
}
