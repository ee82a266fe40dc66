// One request to the peer, and one sentence when it says no. The peer answers every refusal as application/problem+json (RFC 9457) with a `detail` in plain words.

/** An answer that was not 2xx. `status` is the HTTP status, the message is what to tell a person. */
export class Refused extends Error {
  constructor(status, message) {
    super(message)
    this.name = 'Refused'
    this.status = status
  }
}

/** fetch() that throws `Refused`, with the peer's own sentence, unless the answer is good. */
export async function ask(url, options) {
  let response
  try {
    response = await fetch(url, options)
  } catch {
    throw new Refused(0, 'The peer in this browser did not answer. Reload the page; nothing that was saved is lost.')
  }
  if (response.ok) return response
  const problem = await response.json().catch(() => ({}))
  throw new Refused(response.status, problem.detail ?? problem.title ?? `The peer answered ${response.status}.`)
}

/** The options that send `value` as JSON. */
export const json = (method, value, type = 'application/json') => ({ method, headers: { 'content-type': type }, body: JSON.stringify(value) })

/** A path of keys as part of a URL: every key percent-encoded, so that "a/b" stays one key. */
export const keys = (...path) => path.map(encodeURIComponent).join('/')
