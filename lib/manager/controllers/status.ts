// The NetworkStatus and SubnetStatus controllers (manager.md §3.4, §3.5): finalizer, gauges, status. The first change of an
// object is written at once, further ones at most once in an interval (§6.8), and nothing when nothing changed.
import {
  FINALIZER_METRICS_REGISTERED,
  NETWORKS,
  SUBNETS,
  hasFinalizer,
  isTerminating,
  type KubeObject,
  type Network,
  type ResourceType,
  type Subnet,
} from '../../api/index.ts'
import type { Allocator } from '../../ipam/index.ts'
import {
  errorText,
  involvedObject,
  isConflict,
  isNotFound,
  mergePatchBetween,
  type EventRecorder,
  type KubeClient,
  type ObjectMeta,
  type WorkQueue,
} from '../../kube/index.ts'
import type { Logger } from '../../telemetry/log.ts'
import type { Cluster } from '../cluster.ts'
import { networkStatus, nodeListOf, subnetStatus } from '../decide/statuses.ts'
import type { ManagerMetrics } from '../metrics.ts'
import { controllerQueue } from './frame.ts'

export interface StatusControllerOptions {
  /** With fenced writes. */
  readonly client: KubeClient
  readonly cluster: Cluster
  readonly allocator: Allocator
  readonly metrics: ManagerMetrics
  readonly events: EventRecorder
  readonly log: Logger
  readonly concurrency: number
  /** Least time between two status writes of one object, milliseconds. */
  readonly intervalMs: number
}

/** The part that differs between the two kinds. */
interface StatusKind<T extends KubeObject> {
  readonly name: string
  readonly resource: ResourceType
  readonly read: (key: string) => T | undefined
  /** The status there should be, null when it cannot be said yet. Sets the gauges on the way. */
  readonly status: (object: T) => object | null
  readonly unregister: (key: string) => void
}

export function networkStatusController(options: StatusControllerOptions): WorkQueue {
  const { cluster, allocator, metrics } = options
  return statusController<Network>(options, {
    name: 'NetworkStatus',
    resource: NETWORKS,
    read: (key) => cluster.networks.store.get(key),
    status: (network) => {
      const { name } = network.metadata
      const usage = allocator.networkUsage(name)
      if (usage === null) return null
      metrics.setNetwork(name, usage)
      const subnets = cluster.subnetsOf(name).filter((subnet) => !isTerminating(subnet))
      return networkStatus(
        usage,
        nodeListOf(network, cluster.nodes.store.values()),
        subnets.map((subnet) => subnet.metadata.name).sort(),
      )
    },
    unregister: (key) => metrics.removeNetwork(key),
  })
}

export function subnetStatusController(options: StatusControllerOptions): WorkQueue {
  const { cluster, allocator, metrics } = options
  return statusController<Subnet>(options, {
    name: 'SubnetStatus',
    resource: SUBNETS,
    read: (key) => cluster.subnets.store.get(key),
    status: (subnet) => {
      const { name } = subnet.metadata
      const usage = allocator.subnetUsage(name)
      if (usage === null) return null
      metrics.setSubnet(name, subnet.spec?.network ?? '', usage)
      return subnetStatus(usage)
    },
    unregister: (key) => metrics.removeSubnet(key),
  })
}

function statusController<T extends KubeObject>(options: StatusControllerOptions, kind: StatusKind<T>): WorkQueue {
  const { client, events } = options
  const writtenAt = new Map<string, number>()

  const changeFinalizer = async (object: T, finalizers: readonly string[]): Promise<void> => {
    // The whole list is replaced: the version makes sure that nobody else's entry is lost.
    const { resourceVersion } = object.metadata
    await client.patch('merge', kind.resource, object.metadata, { metadata: { resourceVersion, finalizers } })
  }

  return controllerQueue<string>({
    name: kind.name,
    log: options.log,
    concurrency: options.concurrency,
    process: async (key) => {
      const object = kind.read(key)
      if (object === undefined) {
        kind.unregister(key)
        writtenAt.delete(key)
        return
      }
      const finalizers = object.metadata.finalizers ?? []
      try {
        if (isTerminating(object)) {
          kind.unregister(key)
          if (!hasFinalizer(object, FINALIZER_METRICS_REGISTERED)) return
          await changeFinalizer(
            object,
            finalizers.filter((name) => name !== FINALIZER_METRICS_REGISTERED),
          )
          return
        }
        const wait = (writtenAt.get(key) ?? -Infinity) + options.intervalMs - performance.now()
        if (wait > 0) return Math.ceil(wait)
        if (!hasFinalizer(object, FINALIZER_METRICS_REGISTERED)) {
          await changeFinalizer(object, [...finalizers, FINALIZER_METRICS_REGISTERED])
        }
        // The allocator hears of an object before its controller does; what it does not serve has no numbers (D64).
        const status = kind.status(object)
        if (status === null) {
          kind.unregister(key)
          return
        }
        const patch = mergePatchBetween((object as { status?: unknown }).status ?? {}, status)
        if (patch === null) return
        writtenAt.set(key, performance.now())
        await client.patchStatus('merge', kind.resource, object.metadata, { status: patch })
      } catch (error) {
        if (isNotFound(error)) return
        throw error
      }
    },
    onError: (error, key) => {
      const object = kind.read(key)
      // A conflict only says that the local copy is behind.
      if (object === undefined || isConflict(error)) return
      const about = involvedObject(kind.resource, object.metadata as Partial<ObjectMeta>)
      events.event(about, 'Warning', 'UpdateStatusFail', errorText(error))
    },
  })
}
