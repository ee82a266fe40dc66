// The feed of everything that happens in a space, by anybody, in the order it arrived here.
import { ask, keys } from '/assets/ask.js'
import { follow } from '/assets/follow.js'

const PAGE = 1000

/** Follows `$changes` from now on. `onChange` gets { cursor, path, kind, version, author, time } for each, `onRefused` a sentence if the peer refuses. */
export async function followChanges(space, onChange, onRefused) {
  const place = `/~/${keys(space)}/$changes`
  // What was there before is skipped: pages are read, without drawing anything, until one is not full.
  let since = ''
  for (let full = true; full; ) {
    const page = await (await ask(`${place}?limit=${PAGE}${since && `&since=${encodeURIComponent(since)}`}`)).json()
    full = page.items.length === PAGE
    since = page.next ?? page.items.at(-1)?.cursor ?? since
  }
  const message = (event) => {
    const change = JSON.parse(event.data)
    since = change.cursor
    onChange(change)
  }
  follow(() => `${place}${since && `?since=${encodeURIComponent(since)}`}`, { message }, onRefused)
}
