// RxDB in a page on its Dexie storage: fills itself from a server by its replication, then reads and follows what it holds.
import { createRxDatabase } from 'rxdb/plugins/core'
import { replicateRxCollection } from 'rxdb/plugins/replication'
import { getRxStorageDexie } from 'rxdb/plugins/storage-dexie'

const SCHEMA = {
  version: 0,
  primaryKey: 'id',
  type: 'object',
  properties: {
    id: { type: 'string', maxLength: 20 },
    n: { type: 'integer' },
    title: { type: 'string' },
    done: { type: 'boolean' },
    text: { type: 'string' },
  },
  required: ['id', 'n', 'title', 'done', 'text'],
}

let records

/** Pulls everything the server has, so many at once; gives milliseconds. RxDB stores each batch before it asks for the next. */
async function catchUp(batchSize) {
  const began = performance.now()
  const database = await createRxDatabase({ name: 'bench', storage: getRxStorageDexie(), multiInstance: false })
  ;({ records } = await database.addCollections({ records: { schema: SCHEMA } }))
  const handler = async (checkpoint, limit) => (await fetch(`/pull?after=${checkpoint?.id ?? ''}&limit=${limit}`)).json()
  const replication = replicateRxCollection({ collection: records, replicationIdentifier: 'bench', live: false, pull: { handler, batchSize } })
  const failed = new Promise((_, reject) => replication.error$.subscribe(reject))
  await Promise.race([replication.awaitInitialReplication(), failed])
  return { there: performance.now() - began, stored: performance.now() - began, count: await records.count().exec() }
}

const idOf = (n) => String(n).padStart(6, '0')
const firstOf = (observable) =>
  new Promise((resolve, reject) => {
    const subscription = observable.subscribe({
      next(value) {
        if (value === null) return
        resolve(value)
        // The first may come while it is being subscribed to.
        queueMicrotask(() => subscription.unsubscribe())
      },
      error: reject,
    })
  })

const ASKED = {
  read: (id) => records.findOne(id).exec(),
  list: (id, limit) => records.find({ selector: { id: { $gte: id } }, sort: [{ id: 'asc' }], limit }).exec(),
  follow: (id) => firstOf(records.findOne(id).$),
}

/** Asks for so many, so many of them at once; gives milliseconds for all. */
async function rate(what, { count, from, open, stored, limit }) {
  let next = from
  const began = performance.now()
  const work = async () => {
    while (next < from + count) {
      if (!(await ASKED[what](idOf((next++ * 7919) % stored), limit))) throw new Error('RxDB lacks a record')
    }
  }
  await Promise.all(Array.from({ length: open }, work))
  return performance.now() - began
}

/** A write until each subscriber to it has it, again and again, with others open; gives the milliseconds of each. */
async function loop({ subscriptions, dirty, bytes, writes, warm }) {
  const text = 'x'.repeat(bytes)
  const hot = idOf(0)
  let heard
  const open = Array.from({ length: subscriptions }, (_, n) =>
    records.findOne(n < dirty ? hot : idOf(1 + n)).$.subscribe((found) => n < dirty && found && heard?.(found.n)),
  )
  const took = []
  for (let n = 0; n < writes + warm; n++) {
    let left = dirty
    const mark = -1 - n
    const all = new Promise((resolve) => {
      heard = (seen) => seen === mark && --left === 0 && resolve()
    })
    const began = performance.now()
    await Promise.all([all, records.upsert({ id: hot, n: mark, title: 'hot', done: false, text })])
    if (n >= warm) took.push(performance.now() - began)
  }
  for (const subscription of open) subscription.unsubscribe()
  return took
}

globalThis.rxdb = { catchUp, rate, loop }
