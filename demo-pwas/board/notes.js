// The board's data, with nothing but fetch and EventSource. This file is the whole lesson.
//
// A note is a JSON object at /~/<space>/board/notes/<id>. Its fields are values of their own, so when one person moves a note
// while another edits its text, both changes hold: each sends only the fields it means, with PATCH.
import { ask, json, keys } from '/assets/ask.js';

const MERGE_PATCH = 'application/merge-patch+json';

/** Opens the notes of a space. `onChange` gets a Map of id → note, first all of them, then after every change by anybody. */
export function openNotes(space, onChange, onError) {
  const place = `/~/${keys(space)}/board/notes/`;
  let notes = new Map();
  let waiting = []; // Changes that arrive while the list is being read: they are newer than it, so they are applied after it.

  const apply = ({ key, value }) => (value === undefined || value === null ? notes.delete(key) : notes.set(key, value));

  async function readAll() {
    const fresh = new Map();
    for (let start = ''; start !== undefined; ) {
      const page = await (await ask(`${place}?values=1&limit=500${start && `&start=${encodeURIComponent(start)}`}`)).json();
      for (const { key, value } of page.items) fresh.set(key, value);
      start = page.next;
    }
    notes = fresh;
    waiting.forEach(apply);
    waiting = undefined;
    onChange(notes);
  }

  // One event per changed note. The browser reconnects by itself; after every (re)connection the list is read once more,
  // so nothing that happened in between is missed.
  const live = new EventSource(`${place}?values=1`);
  live.onopen = () => {
    waiting = [];
    readAll().catch(onError);
  };
  const changed = (item) => {
    if (waiting) {
      waiting.push(item);
      return;
    }
    apply(item);
    onChange(notes);
  };
  live.onmessage = (event) => changed(JSON.parse(event.data));
  live.addEventListener('delete', (event) => changed({ key: JSON.parse(event.data).key }));

  return {
    /** Stores a whole note. */
    add: (id, note) => ask(place + keys(id), json('PUT', note)),
    /** Changes some fields of a note and leaves the others to whoever is changing them. */
    change: (id, fields) => ask(place + keys(id), json('PATCH', fields, MERGE_PATCH)),
    /** Removes a note. */
    remove: (id) => ask(place + keys(id), { method: 'DELETE' }),
  };
}

/** The person's name, from their private space: every app of this origin may read it. Empty if none is set. */
export async function myName() {
  const response = await fetch('/~/me/profile/?values=1');
  const { items = [] } = response.ok ? await response.json() : {};
  return items.find((item) => item.key === 'name')?.value ?? '';
}
