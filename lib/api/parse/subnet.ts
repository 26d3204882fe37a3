// Subnets and RemoteSubnets as numbers, and whether a Subnet suits its Network (api.md §1.2, §1.6, §4.2.2 rules 2 to 10).
import { tryParseAddress, type IPAddress } from '../../ip/index.ts'
import { autoNatOutgoing, effectiveRemoteSubnetType, isPrivateSubnet, NETWORK_TYPES } from '../effective.ts'
import { isTerminating } from '../meta.ts'
import type { RemoteSubnet } from '../multicluster.ts'
import type { NetworkType, Subnet } from '../networking.ts'
import type { Parsed, Problem } from '../problem.ts'
import type { ParsedNetwork } from './network.ts'
import { parseRange, type ParsedRange } from './range.ts'
import { MAX_VLAN_ID } from '../constants.ts'

export interface ParsedSubnet extends ParsedRange {
  readonly name: string
  /** Name of the Network. */
  readonly network: string
  /** The Subnet's own; `effectiveNetID` in lib/api gives the Network's in its place. */
  readonly netID: number | null
  readonly private: boolean
  readonly autoNatOutgoing: boolean
  /** `status.lastAllocatedIP`: where the allocator's cursor resumes; null when absent or unreadable. */
  readonly lastAllocated: IPAddress | null
  readonly terminating: boolean
}

export interface ParsedRemoteSubnet extends ParsedRange {
  readonly name: string
  readonly cluster: string
  readonly type: NetworkType
}

export function parseSubnet(subnet: Subnet): Parsed<ParsedSubnet> {
  const range = parseRange(subnet.spec?.range)
  const problems = [...range.problems]
  const network = subnet.spec?.network ?? ''
  if (network === '')
    problems.unshift({ field: 'spec.network', value: subnet.spec?.network, expected: 'the name of a Network' })
  if (range.value === null || network === '') return { value: null, problems }
  const value: ParsedSubnet = {
    ...range.value,
    name: subnet.metadata.name,
    network,
    netID: subnet.spec?.netID ?? null,
    private: isPrivateSubnet(subnet),
    autoNatOutgoing: autoNatOutgoing(subnet),
    lastAllocated: tryParseAddress(subnet.status?.lastAllocatedIP ?? ''),
    terminating: isTerminating(subnet),
  }
  return { value, problems }
}

export function parseRemoteSubnet(subnet: RemoteSubnet): Parsed<ParsedRemoteSubnet> {
  const range = parseRange(subnet.spec?.range)
  const problems = [...range.problems]
  const type = effectiveRemoteSubnetType(subnet)
  if (!NETWORK_TYPES.includes(type))
    problems.push({ field: 'spec.networkType', value: type, expected: NETWORK_TYPES.join(', ') })
  if (range.value === null || !NETWORK_TYPES.includes(type)) return { value: null, problems }
  const cluster = subnet.spec?.clusterName ?? ''
  return { value: { ...range.value, name: subnet.metadata.name, cluster, type: type as NetworkType }, problems }
}

/** What is wrong between a Subnet and its Network; the Subnet as stored, because "absent" differs from "false" here. */
export function subnetNetworkProblems(subnet: Subnet, network: ParsedNetwork): Problem[] {
  const problems: Problem[] = []
  const netID = subnet.spec?.netID ?? null
  const nat = subnet.spec?.config?.autoNatOutgoing ?? null
  const inNetwork = `in ${network.mode} Network ${network.name}`
  if (network.mode === 'VLAN') {
    if (netID === null && network.netID === null) {
      problems.push({ field: 'spec.netID', value: undefined, expected: `a VLAN id, as ${network.name} has none` })
    } else if (netID !== null && network.netID !== null && netID !== network.netID) {
      problems.push({ field: 'spec.netID', value: netID, expected: `${network.netID} or nothing, ${inNetwork}` })
    } else if (netID !== null && (netID < 0 || netID > MAX_VLAN_ID)) {
      problems.push({ field: 'spec.netID', value: netID, expected: `a VLAN id from 0 to ${MAX_VLAN_ID}` })
    }
    if (!subnet.spec?.range?.gateway) {
      problems.push({ field: 'spec.range.gateway', value: undefined, expected: `a gateway address, ${inNetwork}` })
    }
  } else if (netID !== null) {
    problems.push({ field: 'spec.netID', value: netID, expected: `nothing, ${inNetwork}` })
  }
  if (network.mode !== 'VXLAN' && nat !== null) {
    problems.push({ field: 'spec.config.autoNatOutgoing', value: nat, expected: `nothing, ${inNetwork}` })
  }
  return problems
}
