/** Tells pages of this worker's death: they wait for a lock that only its death frees. */
import { aliveLock } from '../shared/names.ts'

/** Takes this worker's life lock, for as long as it lives. @returns resolves once it is held. */
export function holdAliveLock(instance: string): Promise<void> {
  return new Promise((held, failed) => {
    navigator.locks
      .request(aliveLock(instance), () => {
        held()
        return new Promise<never>(() => undefined)
      })
      .catch(failed)
  })
}
