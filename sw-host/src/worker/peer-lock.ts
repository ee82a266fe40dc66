/**
 * One open peer per origin. Two workers can run at the same time for a moment (a new release beside the old one), and two
 * peers writing one log would fork it; so a worker opens the peer only while it holds a Web Lock. The browser frees the lock
 * when the worker dies, whatever killed it.
 */
import { PEER_LOCK } from '../shared/names.ts'

/**
 * Waits for the right to open the peer.
 * @param askOthers called when another worker holds it: announces that it should be handed over.
 * @returns gives the right back; may be called more than once.
 */
export function holdPeerLock(askOthers: () => void): Promise<() => void> {
  return new Promise((granted, failed) => {
    const hold = (): Promise<void> => new Promise((release) => granted(() => release()))
    const first = navigator.locks.request(PEER_LOCK, { ifAvailable: true }, (lock) => {
      if (lock) return hold()
      askOthers()
      navigator.locks.request(PEER_LOCK, hold).catch(failed)
      return undefined
    })
    first.catch(failed)
  })
}
