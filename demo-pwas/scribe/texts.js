// Where scribe's texts live, and how one is opened: a text at /~/<space>/scribe/<name>.
import { connect } from '/kith.js'
import { ask, keys } from '/assets/ask.js'
import { follow } from '/assets/follow.js'

const PLACE = 'scribe'
const kith = connect()
const placeOf = (space, name) => `/~/${keys(space, PLACE, name)}`

/** The text with this name: a live document, see TextDocument in kith.d.ts. */
export const openText = (space, name, options) => kith.space(space).text([PLACE, name], options)

/** The person's own name, from their private space; empty if none is set. */
export const myName = async () => (await kith.space().get('profile/name')) ?? ''

/** A link that lets whoever opens it into the space and opens this text for them. */
export const inviteTo = (space, name, role) => kith.space(space).invite({ role, app: `/scribe/?doc=${encodeURIComponent(name)}` })

/** Calls `onChange` with the names of all texts of a space, sorted, now and after every change. */
export function followNames(space, onChange, onRefused) {
  const names = new Set()
  const tell = () => onChange([...names].sort((a, b) => a.localeCompare(b)))
  const name = (event) => JSON.parse(event.data).key
  follow(
    () => `/~/${keys(space, PLACE)}/`,
    {
      reset: () => (names.clear(), tell()),
      message: (event) => (names.add(name(event)), tell()),
      delete: (event) => (names.delete(name(event)), tell()),
    },
    onRefused,
  )
}

/** The newest versions of a text, oldest first: [{ version, author, time, size }]. Undefined where the peer keeps none. */
export async function historyOf(space, name, limit = 1000) {
  try {
    const items = []
    for (let before; items.length < limit; ) {
      const query = new URLSearchParams({ history: '1', limit: '200', ...(before ? { before } : {}) })
      const page = await (await ask(`${placeOf(space, name)}?${query}`)).json()
      items.push(...page.items)
      before = page.next
      if (!before || page.items.length === 0) break
    }
    return items.reverse()
  } catch (error) {
    // No text yet, or a peer that does not look back on texts.
    if ([400, 404, 410, 501].includes(error.status)) return undefined
    throw error
  }
}

/** A text as it was at a version. */
export const textAt = async (space, name, version) => (await ask(`${placeOf(space, name)}?version=${encodeURIComponent(version)}`)).text()
