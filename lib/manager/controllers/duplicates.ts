// The duplicate detector (manager.md §6.5): object names keep an address unique in one namespace only. When a second object
// claims an address, the one whose pod is alive and older stays and the other is deleted; its pod gets another address.
import { IPINSTANCES, PODS, addressToName } from '../../api/index.ts'
import { formatAddress, type IPAddress } from '../../ip/index.ts'
import { involvedObject, type EventRecorder, type WorkQueue } from '../../kube/index.ts'
import type { Logger } from '../../telemetry/log.ts'
import type { Cluster } from '../cluster.ts'
import { keeperOf } from '../decide/duplicates.ts'
import type { InstanceStore } from '../instance-store.ts'
import type { ManagerMetrics } from '../metrics.ts'
import { metadataOf, type Instance } from '../views/instance.ts'
import { controllerQueue } from './frame.ts'

export interface DuplicateControllerOptions {
  readonly cluster: Cluster
  readonly store: InstanceStore
  readonly metrics: ManagerMetrics
  readonly events: EventRecorder
  readonly log: Logger
}

/** Keys are addresses. */
export function duplicateController(options: DuplicateControllerOptions): WorkQueue<IPAddress> {
  const { cluster, store, metrics, events, log } = options

  const podAlive = (instance: Instance): boolean => {
    const pod = cluster.pods.store.get(`${instance.namespace}/${instance.podName}`)
    // A retained address waits for a pod that is not there.
    return instance.reserved || (pod !== undefined && pod.uid === instance.podUID && !pod.finished)
  }

  return controllerQueue<IPAddress>({
    name: 'Duplicates',
    log,
    concurrency: 1,
    process: async (address) => {
      // One that the server has forgotten is no reason to delete one that it has.
      const instances = cluster
        .instancesAt(address)
        .filter((instance) => !instance.terminating && !cluster.instances.isHeld(instance.key))
      const contenders = instances.map((instance) => ({ ...instance, alive: podAlive(instance) }))
      const keeper = keeperOf(contenders)
      if (keeper === null || contenders.length < 2) return
      for (const instance of instances) {
        if (instance.key === keeper.key) continue
        const text = `${formatAddress(address)} is held by IPInstance ${keeper.key} as well, which stays; ${instance.key} is deleted`
        log.error({ object: `IPInstance/${instance.key}`, address: addressToName(address), keeper: keeper.key }, text)
        metrics.duplicates.inc()
        events.event(involvedObject(IPINSTANCES, metadataOf(instance)), 'Warning', 'AddressConflict', text)
        const pod = cluster.pods.store.get(`${instance.namespace}/${instance.podName}`)
        if (pod !== undefined) events.event(involvedObject(PODS, pod), 'Warning', 'AddressConflict', text)
        await store.delete(instance)
      }
    },
  })
}
