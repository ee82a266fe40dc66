// All that home asks of the peer, in one place: the SDK in a dozen lines.
import { connect } from '/kith.js'

/** The connection: `kith.ready` resolves once the peer answers, and rejects in plain words if it never will. */
export const kith = connect()

/** Calls `onStatus` with the peer's status, now and after every change. */
export async function follow(onStatus) {
  for await (const status of kith.watchStatus()) onStatus(status)
}

/** The person's own name, kept in their private space; empty if none is set. */
export const readName = async () => (await kith.space().get('profile/name')) ?? ''
export const writeName = (name) => kith.space().put('profile/name', name)

export const createSpace = (name) => kith.createSpace(name)
export const join = (link) => kith.join(link)

/** A link that lets whoever opens it into a space and opens an app for them: { id, url }. */
export const invite = (space, role, app) => kith.space(space).invite({ role, app })

/** Takes so many bytes more of what somebody writes into a space than is taken without asking: one request, as from any page. */
export async function allow({ space, author, log }, bytes) {
  const answer = await fetch(`/~/${space.id}/$quota`, {
    method: 'POST',
    headers: { 'content-type': 'application/json' },
    body: JSON.stringify({ author: author ?? log, allow: bytes }),
  })
  if (!answer.ok) throw new Error((await answer.json()).detail)
}
