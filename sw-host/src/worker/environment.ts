/** Tells the peer what the browser says about storage. */
import type { Environment } from './glue-types.ts'
import type { PeerHost } from './peer-host.ts'

/** Asks the browser and passes the answers on. What a browser does not know is left out. */
export async function tellEnvironment(host: PeerHost): Promise<void> {
  const storage: Partial<StorageManager> = navigator.storage ?? {}
  const [estimate, persisted] = await Promise.all([
    storage.estimate?.().catch(() => undefined),
    storage.persisted?.().catch(() => undefined),
  ])
  const news: Environment = {}
  if (estimate?.quota !== undefined) news.quota = estimate.quota
  if (estimate?.usage !== undefined) news.usage = estimate.usage
  if (persisted !== undefined) news.persisted = persisted
  host.setEnvironment(news)
}
