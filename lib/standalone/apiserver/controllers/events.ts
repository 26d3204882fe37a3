// Events are kept for an hour, as in a real cluster, where etcd's leases end them.
import type { Context } from '../context.ts'
import { text } from '../json.ts'

const LIFETIME = 3600_000
const EVERY = 60_000

/** Removes old events once a minute. Returns what stops it. */
export function expireEvents({ store }: Context): () => void {
  const timer = setInterval(() => {
    const limit = Date.now() - LIFETIME
    for (const [key, { object }] of store.collection('/events').entries()) {
      const last =
        text(object, 'series', 'lastObservedTime') ||
        text(object, 'lastTimestamp') ||
        (object.metadata.creationTimestamp ?? '')
      if (Date.parse(last) < limit) store.remove('/events', key)
    }
  }, EVERY)
  return () => clearInterval(timer)
}
