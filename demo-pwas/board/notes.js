// The board's data, with nothing but fetch and EventSource. This file is the whole lesson.
//
// A note is a JSON object at /~/<space>/board/notes/<id>. Its fields are values of their own, so when one person moves a note
// while another edits its text, both changes hold: each sends only the fields it means, with PATCH.
import { ask, json, keys } from '/assets/ask.js'
import { follow } from '/assets/follow.js' // EventSource that outlives errors.

const MERGE_PATCH = 'application/merge-patch+json'

/**
 * Opens the notes of a space. `onChange` gets a Map of id → note, first all of them, then after every change by anybody
 * with the id of the note that changed. `onError` gets a sentence when the peer refuses.
 */
export function openNotes(space, onChange, onError) {
  const place = `/~/${keys(space)}/board/notes/`
  const notes = new Map()

  // The trailing slash means: the children of this place. The peer sends `reset` and then every note; from then on one event per
  // note that changed. The browser reconnects by itself and says which event it saw last, so nothing is missed or repeated.
  follow(
    () => `${place}?values=1`,
    {
      reset: () => {
        notes.clear()
        onChange(notes)
      },
      message: (event) => {
        const { key, value } = JSON.parse(event.data)
        notes.set(key, value)
        onChange(notes, key)
      },
      delete: (event) => {
        notes.delete(JSON.parse(event.data).key)
        onChange(notes)
      },
    },
    onError,
  )

  return {
    /** Stores a whole note. */
    add: (id, note) => ask(place + keys(id), json('PUT', note)),
    /** Changes some fields of a note and leaves the others to whoever is changing them. */
    change: (id, fields) => ask(place + keys(id), json('PATCH', fields, MERGE_PATCH)),
    /** Removes a note. */
    remove: (id) => ask(place + keys(id), { method: 'DELETE' }),
  }
}

/** The person's name, from their private space: every app of this origin may read it. Empty if none is set. */
export async function myName() {
  const response = await fetch('/~/me/profile/?values=1')
  const { items = [] } = response.ok ? await response.json() : {}
  return items.find((item) => item.key === 'name')?.value ?? ''
}
