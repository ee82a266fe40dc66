/** What workers say to each other and to all pages. */
import { CHANNEL } from '../shared/names.ts'
import { wire } from '../shared/messages.ts'
import type { Announcement } from '../shared/messages.ts'

/** Says something to all workers and pages of the origin. */
export function announce(announcement: Announcement): void {
  const channel = new BroadcastChannel(CHANNEL)
  channel.postMessage(wire(announcement))
  channel.close()
}
