// Making a space, inviting to it and joining, by plain `fetch`, with a real relay behind the page.
import assert from 'node:assert/strict'
import { test } from 'node:test'
import { inEachBrowser } from './http/plain-page.mjs'

inEachBrowser(
  (world) => {
    const { ask, put } = world

    test('spaces, members and invites', async () => {
      const json = { 'Content-Type': 'application/json' }
      const created = await ask('POST', '/~/spaces', json, '{"name":"Trip"}')
      assert.equal(created.status, 201)
      const { id, name, role } = created.json
      assert.deepEqual([name, role, created.headers.location], ['Trip', 'owner', `/~/${id}/`])
      assert.equal((await put(`/~/${id}/plan`, 'north')).status, 201)
      assert.equal((await ask('GET', '/~/me/plan')).status, 404, 'spaces do not mix')
      const invited = await ask('POST', `/~/${id}/$invites`, json, '{"role":"reader","app":"/plain"}')
      assert.equal(invited.status, 201)
      const link = new URL(invited.json.url)
      assert.deepEqual([`${link.origin}/`, link.pathname, link.hash.length > 1, invited.json.url.split('#')[0].includes(id)], [world.url, '/plain', true, false])
      assert.equal((await ask('GET', `/~/${id}/$invites`)).status, 200)
      assert.match((await ask('GET', `/~/${id}/$members`)).text, /owner/)
      const again = await ask('POST', '/~/join', json, JSON.stringify({ invite: invited.json.url }))
      assert.deepEqual([again.status, again.json.space], [200, id], 'who is there already is told so')
      assert.ok((await ask('GET', '/~/spaces')).text.includes(id))
    })
  },
  { relay: true },
)
