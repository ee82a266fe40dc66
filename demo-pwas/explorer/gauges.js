// The measured times: median and 95th percentile, how they spread, and what the writes cost in storage.
import { html, svg } from '/assets/html.js'
import { bytes } from '/assets/words.js'

const MEASURES = [
  ['put', 'PUT answered', 'From sending a write until it is durable here.'],
  ['own', 'PUT → this page’s own feed', 'From sending a write until the change feed brings it back.'],
  ['remote', 'Somebody else’s change → seen here', 'By their clock against yours: only as exact as the two clocks agree.'],
]

const ms = (value) => (Math.abs(value) < 10 ? value.toFixed(1) : Math.round(value).toLocaleString('en'))

/** The card's content. */
export function gauges(samples, { status, usedAtStart, entriesAtStart }, space) {
  const grown = (status?.storage?.used ?? 0) - (usedAtStart ?? 0)
  const entries = (space?.entries ?? 0) - (entriesAtStart ?? 0)
  return html`<dl class="gauges">
    ${MEASURES.map(([key, label, detail]) => gauge(samples[key], label, detail))}
    <div><dt>Storage</dt>
      <dd><strong>${bytes(status?.storage?.used)}</strong><span class="small muted">${grown > 0 ? `${bytes(grown)} more than at the start${entries > 0 ? `, about ${bytes(grown / entries)} per change` : ''}.` : 'Unchanged since the start.'}</span></dd></div>
  </dl>`
}

function gauge(samples, label, detail) {
  const sum = samples.summary()
  return html`<div><dt>${label}</dt>
    <dd><span class="numbers-line"><strong>${sum ? `${ms(sum.p50)} ms` : '–'}</strong><span class="small">${sum ? `half of them · 95 of 100 within ${ms(sum.p95)} ms · ${samples.count.toLocaleString('en')} measured` : 'Nothing measured yet'}</span></span>
      ${bars(samples)}<span class="small muted">${detail}</span></dd></div>`
}

/** A row of bars, short times left, long ones right. Decoration: the numbers say the same. */
function bars(samples) {
  const heights = samples.count ? samples.histogram() : []
  const path = heights
    .map((share, x) => (share ? `M${x * 4 + 0.5} 20v${-Math.max(1.5, share * 19).toFixed(1)}h3v${Math.max(1.5, share * 19).toFixed(1)}z` : ''))
    .join('')
  return svg`<svg class="bars" viewBox="0 0 96 20" preserveAspectRatio="none" aria-hidden="true"><path d=${path}></path></svg>`
}
