// The feed of everything that happens in a space, by anybody, in the order it arrived here.
import { ask, keys } from '/assets/ask.js'
import { follow } from '/assets/follow.js'

/**
 * Follows `$changes` from now on. `on.change` gets { cursor, path, kind, version, author, time } for each, `on.refused` a sentence if the peer
 * refuses.
 */
export async function followChanges(space, on) {
  const place = `/~/${keys(space)}/$changes`
  let since = (await (await ask(`${place}?since=now`)).json()).next
  const message = (event) => {
    const change = JSON.parse(event.data)
    since = change.cursor
    on.change(change)
  }
  follow(() => `${place}?since=${encodeURIComponent(since)}`, { message }, on.refused)
}
