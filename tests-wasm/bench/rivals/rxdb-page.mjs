// RxDB in a page on its Dexie storage: fills itself from a server by its replication, reads, lists, is followed.
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

/** Opens the database `bench`. */
async function open() {
  const database = await createRxDatabase({ name: 'bench', storage: getRxStorageDexie(), multiInstance: false })
  ;({ records } = await database.addCollections({ records: { schema: SCHEMA } }))
}

/** Pulls everything the server has, so many at once; gives milliseconds. RxDB stores each batch before it asks for the next. */
async function catchUp(batchSize) {
  const began = performance.now()
  await open()
  const handler = async (checkpoint, limit) => (await fetch(`/pull?after=${checkpoint?.id ?? ''}&limit=${limit}`)).json()
  const replication = replicateRxCollection({ collection: records, replicationIdentifier: 'bench', live: false, pull: { handler, batchSize } })
  const failed = new Promise((_, reject) => replication.error$.subscribe(reject))
  await Promise.race([replication.awaitInitialReplication(), failed])
  return { there: performance.now() - began, stored: performance.now() - began, count: await records.count().exec() }
}

const get = async (id) => (await records.findOne(id).exec())?.toJSON()
const put = (record) => records.upsert(record)
/** A page of a listing in the order of keys, from one key on. */
const list = async (from, limit) => {
  const found = await records.find({ selector: { id: { $gte: from } }, sort: [{ id: 'asc' }], limit }).exec()
  return found.map((record) => record.toJSON())
}
/** Calls back with a record, now and whenever it changes. */
const follow = (id, hear) => {
  const following = records.findOne(id).$.subscribe((record) => record && hear(record.toJSON()))
  return () => following.unsubscribe()
}

globalThis.rxdb = { open, catchUp, get, put, list, follow }
