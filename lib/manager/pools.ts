// ip-pool and mac-pool of a stateful pod: the entry of its ordinal (manager.md §2.8, api.md §3.7, §3.8).
import { normaliseMac, parsePoolEntry, podOrdinal, poolEntryAt, type Result } from '../api/index.ts'
import { formatMac, isMulticastMac, type IPAddress } from '../ip/index.ts'
import type { Cluster } from './cluster.ts'
import type { PodView } from './views/pod.ts'

/** The addresses the pod's ip-pool gives it. */
export function poolAddresses(pod: PodView): Result<readonly IPAddress[]> {
  const entry = poolEntryAt(pod.ipPool, podOrdinal(pod.name))
  if (entry.value === null) return { value: null, error: `ip-pool: ${entry.error}` }
  return parsePoolEntry(entry.value)
}

/** The MAC the pod's mac-pool gives it, unless somebody else of the network has it. */
export function poolMac(pod: PodView, network: string, cluster: Cluster): Result<number> {
  const entry = poolEntryAt(pod.macPool, podOrdinal(pod.name))
  if (entry.value === null) return { value: null, error: `mac-pool: ${entry.error}` }
  const mac = normaliseMac(entry.value)
  if (mac === null || isMulticastMac(mac)) {
    return { value: null, error: `mac-pool: ${JSON.stringify(entry.value)} is not a unicast MAC address of 6 bytes` }
  }
  const holder = cluster.instances.store
    .byIndex('mac', formatMac(mac))
    .find(
      (instance) =>
        !instance.terminating &&
        instance.network === network &&
        !(instance.namespace === pod.namespace && instance.podName === pod.name),
    )
  if (holder !== undefined) {
    return { value: null, error: `mac-pool: ${formatMac(mac)} is used by IPInstance ${holder.key} of the same network` }
  }
  return { value: mac, error: null }
}
