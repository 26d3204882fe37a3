// The IPInstance controller (manager.md §3.2): a terminating object's address is released in memory, then the object let
// go. In this order, and only for that very object: its address is free for the counters when the object disappears, and is
// handed out only when that has been seen.
//
// An object may be deleted while its pod still runs: the garbage collector takes the addresses of a deleted workload as soon as
// its pods, and these have time to end. Such an object is held, and with it its address, until the pod has stopped.
import { FINALIZER_IP_ALLOCATED, IPINSTANCES, PODS, type IPInstance, type Pod } from '../../api/index.ts'
import type { Allocator } from '../../ipam/index.ts'
import { isConflict, isNotFound, type KubeClient, type WorkQueue } from '../../kube/index.ts'
import type { Logger } from '../../telemetry/log.ts'
import type { Cluster } from '../cluster.ts'
import { finishPatch } from '../decide/instance-object.ts'
import { instanceOf, viewsOf, type Instance } from '../views/instance.ts'
import { podView, type PodView } from '../views/pod.ts'
import { controllerQueue } from './frame.ts'
import { isStranded } from './leaving.ts'

/** A pod of which nothing is known to run may just be starting: it has this long to say so, milliseconds. */
const STARTING_MS = 3000
/** Changes of the pod come by themselves; what its node does is looked at this often, milliseconds. */
const HELD_MS = 10_000

export interface InstanceControllerOptions {
  /** With fenced writes. */
  readonly client: KubeClient
  readonly cluster: Cluster
  readonly allocator: Allocator
  readonly log: Logger
  readonly concurrency: number
  /** An address of the network may have come free. */
  readonly onFreed: (network: string) => void
}

export function instanceController(options: InstanceControllerOptions): WorkQueue {
  const { client, cluster, allocator } = options

  const gone = (instance: Instance): void => {
    for (const view of viewsOf(instance)) allocator.gone(view.subnet, view.address, view)
    options.onFreed(instance.network)
  }

  /** When a deleted object was first seen of a pod that may be starting, by key. */
  const suspected = new Map<string, number>()

  /** Whether the pod may run with the address; null when only time can tell. */
  const inUse = (instance: Instance, pod: PodView | null): boolean | null => {
    if (pod === null || instance.podUID === '' || pod.uid !== instance.podUID) return false
    if (pod.finished || (pod.terminating && pod.stopped)) return false
    if (isStranded(pod, cluster.nodes.store.get(pod.nodeName))) return false
    // It runs with what it has reported, which need not be this.
    if (pod.addresses.length > 0) return instance.addresses.some((address) => pod.addresses.includes(address))
    return pod.running || instance.inUse || pod.terminating ? true : null
  }

  /** @returns how long to hold the object, milliseconds; 0 to let it go */
  const hold = async (instance: Instance): Promise<number> => {
    const suspicion = inUse(instance, cluster.pods.store.get(`${instance.namespace}/${instance.podName}`) ?? null)
    if (suspicion === true) return HELD_MS
    if (suspicion === null) {
      const since = suspected.get(instance.key) ?? performance.now()
      suspected.set(instance.key, since)
      const wait = Math.ceil(since + STARTING_MS - performance.now())
      if (wait > 0) return wait
      const ref = { namespace: instance.namespace, name: instance.podName }
      const [pod, live] = await Promise.all([
        client.find<Pod>(PODS, ref),
        client.find<IPInstance>(IPINSTANCES, instance),
      ])
      if (live !== null && inUse(instanceOf(live), pod === null ? null : podView(pod)) === true) return HELD_MS
    }
    suspected.delete(instance.key)
    return 0
  }

  const finish = async (instance: Instance, resourceVersion: string): Promise<void> => {
    for (const view of viewsOf(instance)) {
      allocator.observe(view)
      allocator.book(view.subnet, view.address, view)
    }
    if (!instance.finalizers.includes(FINALIZER_IP_ALLOCATED)) return
    const patch = finishPatch(instance.finalizers, resourceVersion)
    const left = await client.patch<IPInstance>('merge', IPINSTANCES, instance, patch)
    // With the last finalizer the server removes the object before it answers.
    if ((left.metadata.finalizers ?? []).length === 0) gone(instance)
  }

  return controllerQueue({
    name: 'IPInstance',
    log: options.log,
    concurrency: options.concurrency,
    process: async (key) => {
      const instance = cluster.instances.store.get(key)
      if (instance === undefined || !instance.terminating) {
        suspected.delete(key)
        return
      }
      const held = await hold(instance)
      if (held > 0) return held
      try {
        await finish(instance, String(instance.version))
      } catch (error) {
        if (isNotFound(error)) return gone(instance)
        if (!isConflict(error)) throw error
        // The local copy is behind: once more with what is there now.
        const live = await client.find<IPInstance>(IPINSTANCES, instance)
        if (live === null) return gone(instance)
        const now = instanceOf(live)
        if (now.uid !== instance.uid) return gone(instance)
        if (now.terminating) await finish(now, String(now.version))
      }
    },
  })
}
