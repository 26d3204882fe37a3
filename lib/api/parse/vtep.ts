// Tunnel endpoints: NodeInfos of this cluster and RemoteVteps of others, as numbers (api.md §1.4, §1.7). An endpoint
// without address or MAC is not there yet: no value, and no problem either.
import { tryParseMac, type IPAddress } from '../../ip/index.ts'
import type { RemoteVtep } from '../multicluster.ts'
import type { NodeInfo, VTEPInfo } from '../networking.ts'
import { ProblemList, type Parsed } from '../problem.ts'
import { tryParsePlainAddress } from './range.ts'

export interface ParsedVtep {
  /** Name of the object; of a NodeInfo, the node's. */
  readonly name: string
  /** Outer address. */
  readonly ip: IPAddress
  /** Inner MAC. */
  readonly mac: number
  /** Addresses through which the node itself is reached over the overlay. */
  readonly localIPs: readonly IPAddress[]
}

export interface ParsedRemoteVtep extends ParsedVtep {
  readonly cluster: string
  readonly node: string
  /** Addresses of the pods on the node. */
  readonly endpoints: readonly IPAddress[]
}

function parseAddresses(
  texts: readonly string[] | null | undefined,
  field: string,
  problems: ProblemList,
): IPAddress[] {
  const addresses: IPAddress[] = []
  for (const [index, text] of (texts ?? []).entries()) {
    const address = tryParsePlainAddress(text)
    if (address === null) problems.add(`${field}[${index}]`, text, 'an IPv4 or IPv6 address')
    else addresses.push(address)
  }
  return addresses
}

function parseVtep(
  name: string,
  info: VTEPInfo | null | undefined,
  path: string,
  problems: ProblemList,
): ParsedVtep | null {
  if (!info?.ip || !info.mac) return null
  const ip = tryParsePlainAddress(info.ip)
  if (ip === null) problems.add(`${path}.ip`, info.ip, 'an IPv4 or IPv6 address')
  const mac = tryParseMac(info.mac)
  if (mac === null) problems.add(`${path}.mac`, info.mac, 'a MAC address')
  const localIPs = parseAddresses(info.localIPs, `${path}.localIPs`, problems)
  return ip === null || mac === null ? null : { name, ip, mac, localIPs }
}

export function parseNodeInfo(info: NodeInfo): Parsed<ParsedVtep> {
  const problems = new ProblemList()
  const value = parseVtep(info.metadata.name, info.spec?.vtepInfo, 'spec.vtepInfo', problems)
  return { value, problems: problems.problems }
}

export function parseRemoteVtep(vtep: RemoteVtep): Parsed<ParsedRemoteVtep> {
  const problems = new ProblemList()
  const base = parseVtep(vtep.metadata.name, vtep.spec, 'spec', problems)
  if (base === null) return { value: null, problems: problems.problems }
  const endpoints = parseAddresses(vtep.spec?.endpointIPList, 'spec.endpointIPList', problems)
  const cluster = vtep.spec?.clusterName ?? ''
  return { value: { ...base, cluster, node: vtep.spec?.nodeName ?? '', endpoints }, problems: problems.problems }
}
