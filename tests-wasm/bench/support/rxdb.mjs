// The page with RxDB, and the server it fills itself from: records in memory, given out in batches over HTTP.
import { servePage } from '../baseline/pages.mjs'
import { bundleRival } from './rivals.mjs'

/** Serves the page; `serve(count, keyOf, record)` says which records there are, `sent()` how many bytes were given out since. */
export async function serveRxdb() {
  let records = []
  let places = new Map()
  let sent = 0
  const pull = (asked, response) => {
    const query = new URL(asked.url, 'http://site').searchParams
    const after = query.get('after')
    const from = after ? 1 + places.get(after) : 0
    const documents = records.slice(from, from + Number(query.get('limit')))
    const body = JSON.stringify({ documents, checkpoint: documents.length > 0 ? { id: documents.at(-1).id } : { id: after } })
    sent += body.length
    response.writeHead(200, { 'content-type': 'application/json' })
    response.end(body)
  }
  const site = await servePage(await bundleRival('rxdb-page.mjs'), { '/pull': pull })
  return {
    url: site.url,
    serve(count, keyOf, record) {
      records = Array.from({ length: count }, (_, n) => ({ id: keyOf(n), ...record(n), _deleted: false }))
      places = new Map(records.map(({ id }, n) => [id, n]))
      sent = 0
    },
    sent: () => sent,
    close: () => site.close(),
  }
}
