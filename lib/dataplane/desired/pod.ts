// What one pod address needs on the node: its local route, proxy neighbours that make the node answer for it on every
// fabric, its place in the netfilter set. Pure; work per pod is constant. spec/dataplane.md §2.2, §2.1 table 39999.
import { formatAddress } from '../../ip/index.ts'
import { POD_GATEWAY6 } from '../constants.ts'
import { vlanDevice, type NodeFacts } from '../facts.ts'
import type { DataplaneConfig, PodAddressInput } from '../inputs.ts'
import type { DataplaneRecord } from '../state.ts'
import { hostRoute } from './make.ts'
import type { Contribution } from './problem.ts'

/** Of the facts only `ipv6` and `vxlan` are read. */
export function podDesired(
  pod: PodAddressInput,
  facts: Pick<NodeFacts, 'ipv6' | 'vxlan'>,
  config: DataplaneConfig,
): Contribution<DataplaneRecord> {
  const { address, hostLink } = pod
  const family = typeof address === 'number' ? 4 : 6
  const object = `pod ${pod.key}`
  if (family === 6 && !facts.ipv6) {
    return {
      records: [],
      problems: [{ object, message: `has ${formatAddress(address)} but IPv6 is off on this node` }],
    }
  }
  const records: DataplaneRecord[] = [{ kind: 'element', set: `local_pod${family}`, value: formatAddress(address) }]
  if (hostLink !== null) {
    records.push(hostRoute(config.localDirectTable, address, hostLink))
    if (family === 6) records.push({ kind: 'proxy', link: hostLink, address: POD_GATEWAY6 })
  }
  if (facts.vxlan !== null) records.push({ kind: 'proxy', link: facts.vxlan, address })
  if (pod.mode !== 'VLAN') return { records, problems: [] }
  const { name: link, problem } = vlanDevice(config.vlanParent, pod.vlanId)
  if (problem !== null) return { records, problems: [{ object, message: problem }] }
  records.push({ kind: 'proxy', link, address })
  return { records, problems: [] }
}
