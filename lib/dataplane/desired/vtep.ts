// What one remote tunnel endpoint needs: a unicast FDB entry, its share of the fan-out, its addresses in the netfilter
// set. Pure; constant work per endpoint. spec/dataplane.md §3.4, §2.5, defects 4 and 34.
import { formatAddress } from '../../ip/index.ts'
import { FAN_OUT_MAC } from '../constants.ts'
import type { NodeFacts } from '../facts.ts'
import type { VtepInput } from '../inputs.ts'
import type { DataplaneRecord } from '../state.ts'
import type { Contribution } from './problem.ts'

/** Of the facts only `ipv6`, `vxlan` and `vxlanMac` are read. The own endpoint (same MAC) has no FDB entries. */
export function vtepDesired(
  vtep: VtepInput,
  facts: Pick<NodeFacts, 'ipv6' | 'vxlan' | 'vxlanMac'>,
): Contribution<DataplaneRecord> {
  if (facts.vxlan === null) return { records: [], problems: [] }
  const records: DataplaneRecord[] = []
  for (const address of vtep.localIPs) {
    if (typeof address === 'bigint' && !facts.ipv6) continue
    records.push({
      kind: 'element',
      set: `node_ip${typeof address === 'number' ? 4 : 6}`,
      value: formatAddress(address),
    })
  }
  if (vtep.mac === facts.vxlanMac) return { records, problems: [] }
  const entry = { kind: 'fdb', link: facts.vxlan, dst: vtep.address } as const
  records.push({ ...entry, mac: vtep.mac, fanOut: false }, { ...entry, mac: FAN_OUT_MAC, fanOut: true })
  return { records, problems: [] }
}
