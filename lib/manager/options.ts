// What a manager can be told. Defaults are the original's (manager.md §0.2).
import type { IPFamily, NetworkType } from '../api/index.ts'
import type { KubeClient } from '../kube/index.ts'
import type { Logger } from '../telemetry/log.ts'
import type { Registry } from '../telemetry/metrics.ts'

/** What decides addresses of pods that do not say it themselves. */
export interface Defaults {
  readonly networkType: NetworkType
  readonly ipFamily: IPFamily
  /** For stateful pods without the ip-retain annotation. */
  readonly ipRetain: boolean
  /** Controller kinds treated as stateful: "StatefulSet", or with a group "apps/StatefulSet". */
  readonly statefulKinds: readonly string[]
}

/** Keys worked on at once by each controller. */
export interface Concurrency {
  readonly pod: number
  readonly ipInstance: number
  readonly node: number
  readonly networkStatus: number
  readonly subnetStatus: number
}

export interface ManagerOptions {
  readonly client: KubeClient
  readonly log: Logger
  readonly registry: Registry
  /** Unique per process; holder of the lease. */
  readonly identity: string
  /** Namespace of the lease. */
  readonly namespace: string
  readonly defaults?: Partial<Defaults> | undefined
  readonly concurrency?: Partial<Concurrency> | undefined
  /** Label selector of the pods to handle; all when empty. */
  readonly podLabelSelector?: string | undefined
  /** Gate VMIPRetain: addresses of KubeVirt VirtualMachines outlive their pods; false unless given. */
  readonly virtualMachines?: boolean | undefined
  /** Lease timing in milliseconds; 15,000, 10,000 and 2,000. */
  readonly lease?:
    | {
        readonly durationMs?: number | undefined
        readonly renewDeadlineMs?: number | undefined
        readonly retryPeriodMs?: number | undefined
      }
    | undefined
  /** Least time between two status writes of one Network or Subnet, milliseconds; 1,000. */
  readonly statusIntervalMs?: number | undefined
  /** How long an address is kept for a pod that does not come back, milliseconds; for ever when not given. */
  readonly retainedExpiryMs?: number | undefined
  /** Stops the manager as `stop()` does. */
  readonly signal?: AbortSignal | undefined
}

export const LEASE_NAME = 'hybridnet-manager-election'

export const DEFAULTS: Defaults = {
  networkType: 'Underlay',
  ipFamily: 'IPv4Only',
  ipRetain: true,
  statefulKinds: ['StatefulSet'],
}

/** Work is waiting for the API server nearly all the time, so many pods go at once. */
export const CONCURRENCY: Concurrency = { pod: 32, ipInstance: 16, node: 4, networkStatus: 2, subnetStatus: 4 }
