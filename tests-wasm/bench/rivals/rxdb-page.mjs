// RxDB in a page on its Dexie storage: fills itself from a server by its replication.
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

/** Pulls everything the server has, so many at once; gives milliseconds. RxDB stores each batch before it asks for the next. */
async function catchUp(batchSize) {
  const began = performance.now()
  const database = await createRxDatabase({ name: 'bench', storage: getRxStorageDexie(), multiInstance: false })
  const { records } = await database.addCollections({ records: { schema: SCHEMA } })
  const handler = async (checkpoint, limit) => (await fetch(`/pull?after=${checkpoint?.id ?? ''}&limit=${limit}`)).json()
  const replication = replicateRxCollection({ collection: records, replicationIdentifier: 'bench', live: false, pull: { handler, batchSize } })
  const failed = new Promise((_, reject) => replication.error$.subscribe(reject))
  await Promise.race([replication.awaitInitialReplication(), failed])
  return { there: performance.now() - began, stored: performance.now() - began, count: await records.count().exec() }
}

globalThis.rxdb = { catchUp }
