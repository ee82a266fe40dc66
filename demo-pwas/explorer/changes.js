// The feed of everything that happens in a space, by anybody, in the order it arrived here.
import { ask, keys } from '/assets/ask.js'
import { follow } from '/assets/follow.js'

const PAGE = 1000

/**
 * Follows `$changes` from now on. `on.change` gets { cursor, path, kind, version, author, time } for each, `on.refused` a sentence if the peer
 * refuses. What was there before is read past, page by page until one is empty, and only counted: `on.skipped` gets the number so far.
 */
export async function followChanges(space, on) {
  const place = `/~/${keys(space)}/$changes`
  let since = ''
  for (let skipped = 0, more = true; more; on.skipped(skipped)) {
    const page = await (await ask(`${place}?limit=${PAGE}${since && `&since=${encodeURIComponent(since)}`}`)).json()
    more = page.items.length > 0
    skipped += page.items.length
    since = page.next ?? since
  }
  const message = (event) => {
    const change = JSON.parse(event.data)
    since = change.cursor
    on.change(change)
  }
  follow(() => `${place}${since && `?since=${encodeURIComponent(since)}`}`, { message }, on.refused)
}
