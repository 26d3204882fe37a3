// Addresses kept for pods that are not there (manager.md D44): how many, which of them nobody will ever collect, and, when an
// expiry is set, their end. The original keeps them for ever once their workload is scaled down or deleted with its pods
// orphaned, and says so nowhere.
//
// A retained address expires when it was reserved that long ago, no pod of its name exists, not even one that waits for a
// node, and the object is still the one looked at: the server checks that. It says in `Held` when that will be. Those of
// VirtualMachines (no pod name) stay as long as their machine.
import { IPINSTANCES, PODS, type IPInstance } from '../../api/index.ts'
import {
  involvedObject,
  isConflict,
  isNotFound,
  type EventRecorder,
  type KubeClient,
  type WorkQueue,
} from '../../kube/index.ts'
import type { Logger } from '../../telemetry/log.ts'
import type { Cluster } from '../cluster.ts'
import { heldWhileReserved } from '../decide/instance-object.ts'
import type { ManagerMetrics } from '../metrics.ts'
import { metadataOf, type Instance } from '../views/instance.ts'
import { controllerQueue } from './frame.ts'

export interface RetainedControllerOptions {
  /** With fenced writes. */
  readonly client: KubeClient
  readonly cluster: Cluster
  readonly metrics: ManagerMetrics
  readonly events: EventRecorder
  readonly log: Logger
  /** How long an address is kept for a pod that does not come back, milliseconds; null: for ever. */
  readonly expiryMs: number | null
}

export interface RetainedController {
  /** Keys are those of IPInstances. */
  readonly queue: WorkQueue
  /** The object was made, has changed or is gone; `before` is what it was, null when it was not there. */
  changed(key: string, before: Instance | null): void
}

interface Retained {
  /** Nobody owns it. */
  readonly orphan: boolean
  /** Since when it is retained, as far as is known; milliseconds since 1970. */
  readonly since: number
}

/** An address whose time is over while a pod of its name exists is looked at again after this long, milliseconds. */
const AGAIN_MS = 60_000
/** Longest wait at once: a timer takes no more than 24 days. */
const LONGEST_MS = 86_400_000

export function retainedController(options: RetainedControllerOptions): RetainedController {
  const { client, cluster, metrics, events, expiryMs } = options
  const log = options.log.child({ component: 'Retained' })
  const retained = new Map<string, Retained>()
  let orphaned = 0
  /** The schema in use does not know `held`: the original's. */
  let unheld = false

  const track = (key: string, now: Retained | null): void => {
    orphaned += Number(now?.orphan ?? false) - Number(retained.get(key)?.orphan ?? false)
    if (now === null) retained.delete(key)
    else retained.set(key, now)
    metrics.retained.set(retained.size)
    metrics.orphaned.set(orphaned)
  }

  const waiting = (instance: Instance | undefined): instance is Instance =>
    instance !== undefined && instance.reserved && !instance.terminating && instance.problem === null

  const say = (instance: Instance, type: 'Normal' | 'Warning', reason: string, text: string): void => {
    log.info({ object: `IPInstance/${instance.key}`, reason }, text)
    events.event(involvedObject(IPINSTANCES, metadataOf(instance)), type, reason, text)
  }

  const tell = async (instance: Instance, until: Date | null): Promise<void> => {
    const held = heldWhileReserved(instance, until)
    if (unheld || instance.held === held) return
    const body = { metadata: { uid: instance.uid }, spec: { binding: { held } } }
    const written = await client.patch<IPInstance>('merge', IPINSTANCES, instance, body)
    unheld = written.spec?.binding?.held !== held
  }

  const expire = async (instance: Instance): Promise<number | undefined> => {
    const { namespace, podName: name } = instance
    if ((await client.find(PODS, { namespace, name })) !== null) return AGAIN_MS
    const preconditions = { uid: instance.uid, resourceVersion: String(instance.version) }
    await client.delete(IPINSTANCES, instance, { preconditions })
    metrics.expired.inc()
    say(instance, 'Normal', 'IPExpired', `pod ${name} did not come back in time: its address is given up`)
    return undefined
  }

  const queue = controllerQueue<string>({
    name: 'Retained',
    log: options.log,
    concurrency: 1,
    process: async (key) => {
      const instance = cluster.instances.store.get(key)
      // The report of a sandbox is still to be cleared: the reservation is not complete.
      const known = retained.get(key)
      if (!waiting(instance) || instance.statusLeft || known === undefined) return
      const end = expiryMs === null || instance.podName === '' ? null : known.since + expiryMs
      try {
        const left = end === null ? Infinity : end - Date.now()
        if (left <= 0) return await expire(instance)
        await tell(instance, end === null ? null : new Date(end))
        return left === Infinity ? undefined : Math.min(left, LONGEST_MS)
      } catch (error) {
        // Gone, or bound again meanwhile; the watch says which.
        if (!isNotFound(error) && !isConflict(error)) throw error
        return undefined
      }
    },
  })

  return {
    queue,
    changed(key, before) {
      const instance = cluster.instances.store.get(key)
      if (!waiting(instance)) return track(key, null)
      const known = retained.get(key)
      const orphan = instance.controller === null
      if (orphan && known?.orphan !== true) {
        say(instance, 'Warning', 'IPOrphaned', 'nobody owns this address: delete this object when it is needed no more')
      }
      // Its status is written a moment later than its spec, and may still tell of an earlier time.
      const seen = before !== null && !before.reserved ? Date.now() : (known?.since ?? 0)
      track(key, { orphan, since: Math.max(seen, instance.updated ?? (known === undefined ? Date.now() : 0)) })
      queue.add(key)
    },
  }
}
