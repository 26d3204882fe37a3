// The IPInstance controller (manager.md §3.2): a terminating object's address is released in memory, then the object let
// go. In this order, and only for that very object: its address is free for the counters when the object disappears, and is
// handed out only when that has been seen.
import { FINALIZER_IP_ALLOCATED, IPINSTANCES, type IPInstance } from '../../api/index.ts'
import type { Allocator } from '../../ipam/index.ts'
import { isConflict, isNotFound, type KubeClient, type WorkQueue } from '../../kube/index.ts'
import type { Logger } from '../../telemetry/log.ts'
import type { Cluster } from '../cluster.ts'
import { finishPatch } from '../decide/instance-object.ts'
import { instanceOf, viewsOf, type Instance } from '../views/instance.ts'
import { controllerQueue } from './frame.ts'

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
      if (instance === undefined || !instance.terminating) return
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
