// Where the public editing traces are: in `KITH_TRACES`, or beside the repository.
import { existsSync } from 'node:fs'
import { join } from 'node:path'
import { ROOT } from './relay.mjs'

/** The folder of the traces, or nothing. */
export const tracesFolder = () =>
  [process.env.KITH_TRACES, join(ROOT, '../shared/data/traces'), join(ROOT, '../../shared/data/traces')].find((folder) => folder && existsSync(join(folder, 'rustcode.json.gz')))
