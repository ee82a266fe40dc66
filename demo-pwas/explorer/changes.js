// The feed of everything that happens in a space, by anybody, in the order it arrived here.
import { ask, keys } from '/assets/ask.js';

const PAGE = 1000;

/** Follows `$changes` from now on. `onChange` gets { cursor, path, kind, version, author, time } for each. */
export async function followChanges(space, onChange) {
  const place = `/~/${keys(space)}/$changes`;
  // What was there before is skipped: pages are read, without drawing anything, until one is not full.
  let since = '';
  for (let full = true; full; ) {
    const page = await (await ask(`${place}?limit=${PAGE}${since && `&since=${encodeURIComponent(since)}`}`)).json();
    full = page.items.length === PAGE;
    since = page.next ?? page.items.at(-1)?.cursor ?? since;
  }
  const live = new EventSource(`${place}${since && `?since=${encodeURIComponent(since)}`}`);
  live.onmessage = (event) => onChange(JSON.parse(event.data));
  return live;
}
