import assert from 'node:assert/strict'
import { connect } from 'node:net'
import { test } from 'node:test'
import { startProxy, startSite, stays, waitFor } from './index.mjs'

const get = async (url) => (await fetch(url, { headers: { connection: 'close' } })).text()

test('the proxy passes bytes, refuses while cut, and passes again on the same port', async () => {
  const site = await startSite({ files: { '/': 'hello' } })
  const proxy = await startProxy(site.url)
  assert.equal(await get(proxy.url), 'hello')
  const open = connect(proxy.port, '127.0.0.1')
  await new Promise((resolve) => open.once('connect', resolve))
  const reset = new Promise((resolve) => open.once('error', (error) => resolve(error.code)).once('close', () => resolve('closed')))
  await waitFor(() => proxy.connections === 1, 'the connection to be counted')
  await proxy.cut()
  assert.equal(await reset, 'ECONNRESET')
  await assert.rejects(get(proxy.url), (error) => error.cause.code === 'ECONNREFUSED')
  await proxy.restore()
  assert.equal(await get(proxy.url), 'hello')
  await proxy.close()
  await site.close()
})

test('a silenced line stays open, lets nothing through, and delivers afterwards', async () => {
  const site = await startSite({ files: { '/': 'late' } })
  const proxy = await startProxy(site.url)
  await proxy.cut('silence')
  let answer
  const asked = get(proxy.url).then((text) => {
    answer = text
  })
  await stays(() => answer === undefined, { what: 'the silence', ms: 200 })
  await proxy.restore()
  await asked
  assert.equal(answer, 'late')
  await proxy.close()
  await site.close()
})

test('latency delays each way', async () => {
  const site = await startSite({ files: { '/': 'slow' } })
  const proxy = await startProxy(site.url)
  proxy.latency(60)
  const began = performance.now()
  assert.equal(await get(proxy.url), 'slow')
  assert.ok(performance.now() - began >= 118, `${performance.now() - began} ms`)
  await proxy.close()
  await site.close()
})

test('a large body crosses the proxy whole', async () => {
  const body = Buffer.alloc(8 * 1024 * 1024, 'kith')
  const site = await startSite({ files: { '/': body } })
  const proxy = await startProxy(site.url)
  const got = Buffer.from(await (await fetch(proxy.url)).arrayBuffer())
  assert.ok(got.equals(body))
  await proxy.close()
  await site.close()
})

test('a site keeps reports and hands out past and future ones', async () => {
  const site = await startSite()
  const post = (data) => fetch(new URL('/__report', site.url), { method: 'POST', body: JSON.stringify(data) })
  await post({ n: 1 })
  assert.deepEqual(await site.report((data) => data.n === 1), { n: 1 })
  const future = site.report((data) => data.n === 2)
  await post({ n: 2 })
  assert.deepEqual(await future, { n: 2 })
  await assert.rejects(site.report((data) => data.n === 3, { timeout: 20, what: 'the third report' }), /waited 20 ms for the third report/)
  await site.close()
})
