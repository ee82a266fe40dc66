// Every malformed request of the table, sent through a real worker: each gives its problem, and nothing has changed afterwards.
import assert from 'node:assert/strict'
import { readFileSync } from 'node:fs'
import { before, test } from 'node:test'
import { inEachBrowser } from './http/plain-page.mjs'

const table = JSON.parse(readFileSync(new URL('../cases/malformed.json', import.meta.url), 'utf8'))
const cases = table.cases.filter((one) => !one.native)
/** How many requests are sent in one go. */
const BATCH = 20

/** Sends requests of the table's form from inside the page. */
const send = (page, requests) =>
  page.evaluate(async (list) => {
    const text = (value) => (typeof value === 'string' ? value : Array.isArray(value) ? value.map(text).join('') : value.text.repeat(value.times))
    const bytes = ({ body, bodyBase64 }) => {
      if (bodyBase64) return Uint8Array.from(atob(bodyBase64), (character) => character.charCodeAt(0))
      return body === undefined ? undefined : new TextEncoder().encode(text(body))
    }
    const answers = []
    for (const one of list) {
      const headers = Object.fromEntries(Object.entries(one.headers ?? {}).map(([name, value]) => [name, text(value)]))
      try {
        const answer = await fetch(text(one.path), { method: one.method, headers, body: bytes(one) })
        answers.push({ status: answer.status, headers: Object.fromEntries(answer.headers), text: await answer.text() })
      } catch (error) {
        answers.push({ status: 0, headers: {}, text: String(error) })
      }
    }
    return answers
  }, requests)

const watch = async (page) =>
  (await send(page, table.watch.map((path) => ({ method: 'GET', path })))).map(({ status, headers, text }) => ({
    status,
    version: headers.version,
    etag: headers.etag,
    text,
  }))

inEachBrowser((world) => {
  before(async () => {
    for (const { status } of await send(world.page, table.setup)) assert.equal(status, 201)
  })

  test(`${cases.length} malformed requests are named and change nothing`, async () => {
    const { page } = world
    const before = await watch(page)
    assert.ok(before.every(({ status }) => status === 200))
    const wrong = []
    for (let at = 0; at < cases.length; at += BATCH) {
      const batch = cases.slice(at, at + BATCH)
      for (const [index, answer] of (await send(page, batch)).entries()) {
        const { name, status, problem, members = [], responseHeaders = {} } = batch[index]
        const say = (what) => wrong.push(`${name}: ${what}: ${answer.status} ${answer.text.slice(0, 200)}`)
        if (answer.status !== status) say(`not ${status}`)
        if (answer.headers['content-type'] !== 'application/problem+json') {
          say('no problem document')
          continue
        }
        const document = JSON.parse(answer.text)
        if (document.type !== `urn:kith:problem:${problem}`) say(`not ${problem}`)
        if (document.status !== answer.status || !document.title || !document.detail) say('not a whole problem')
        for (const member of members) if (!(member in document)) say(`no member ${member}`)
        for (const [header, value] of Object.entries(responseHeaders)) {
          if (answer.headers[header.toLowerCase()] !== value) say(`${header} is ${answer.headers[header.toLowerCase()]}`)
        }
      }
    }
    assert.deepEqual(wrong, [])
    assert.deepEqual(await watch(page), before, 'something has changed')
  })
})
