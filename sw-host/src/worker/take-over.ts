/**
 * The word by which a worker tells the one that waits for it to take over, and how that one takes it.
 *
 * Only the first `skipWaiting` of a waiting worker's run counts, and every event makes that run longer. A word over the channel is no event;
 * only one that does not answer there, since it was stopped for idleness, is woken by a message.
 */
import { CHANNEL } from '../shared/names.ts'
import { readAnnouncement, wire } from '../shared/messages.ts'
import { announce } from './announce.ts'
import { scope } from './scope.ts'

/** A running worker answers within this time, in milliseconds. */
export const AWAKE_MS = 50
/** One that was stopped answers within this time, in milliseconds. */
export const WOKEN_MS = 300

let taken = false

/** In the waiting worker: takes over as soon as the browser allows, and says that it heard. */
export function takeOver(instance: string): void {
  // Not waited for: as long as this one is pending no other counts, and only a worker that may be stopped for idleness gets another try.
  if (!taken) void scope.skipWaiting()
  taken = true
  announce({ type: 'taking-over', instance, scope: scope.registration.scope })
}

/** In the worker that is replaced: tells the one that waits. @returns resolves when that one heard it, or did not in time */
export async function urge(instance: string): Promise<void> {
  const channel = new BroadcastChannel(CHANNEL)
  const heard = new Promise<true>((resolve) => {
    channel.addEventListener('message', ({ data }) => {
      const said = readAnnouncement(data)
      if (said?.type === 'taking-over' && said.scope === scope.registration.scope) resolve(true)
    })
  })
  const within = (patience: number): Promise<boolean> =>
    Promise.race([heard, new Promise<false>((resolve) => setTimeout(resolve, patience, false))])
  channel.postMessage(wire({ type: 'make-way', instance, scope: scope.registration.scope }))
  if (!(await within(AWAKE_MS))) {
    scope.registration.waiting?.postMessage(wire({ type: 'take-over' }))
    await within(WOKEN_MS)
  }
  channel.close()
}
