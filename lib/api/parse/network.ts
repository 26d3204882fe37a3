// Networks as numbers (api.md §1.1, §4.2.1): type and mode resolved, ranges of netID and peers checked. Whether other
// Networks overlap or double a unique type is for whoever sees them all.
import type { IPAddress } from '../../ip/index.ts'
import { DEFAULT_GRACEFUL_RESTART_SECONDS, MAX_VLAN_ID, MAX_VNI } from '../constants.ts'
import { effectiveMode, effectiveType, isGloballyUnique, NETWORK_MODES, NETWORK_TYPES } from '../effective.ts'
import { isTerminating } from '../meta.ts'
import type { BGPPeer, Network, NetworkMode, NetworkType } from '../networking.ts'
import { ProblemList, type Parsed } from '../problem.ts'
import { tryParsePlainAddress } from './range.ts'

export interface ParsedNetwork {
  readonly name: string
  readonly type: NetworkType
  readonly mode: NetworkMode
  /** VLAN id, VNI or local AS number by mode; null when absent or out of range. */
  readonly netID: number | null
  readonly nodeSelector: Readonly<Record<string, string>>
  /** `status.nodeList` without empty entries. */
  readonly nodes: readonly string[]
  readonly bgpPeers: readonly ParsedBGPPeer[]
  /** Names of the Subnets the allocator's cursors point to, '' when unset. */
  readonly lastAllocatedSubnet: string
  readonly lastAllocatedIPv6Subnet: string
  readonly terminating: boolean
}

export interface ParsedBGPPeer {
  readonly asn: number
  readonly address: IPAddress
  /** From 1 to 4095. */
  readonly gracefulRestartSeconds: number
  /** '' for none. */
  readonly password: string
  /** The peer is pods' next hop. */
  readonly routesTraffic: boolean
  /** Pods are refused until the session is up. */
  readonly requireEstablished: boolean
}

/** Which modes a type admits. */
const MODES: Readonly<Record<NetworkType, readonly NetworkMode[]>> = {
  Underlay: ['VLAN', 'BGP'],
  Overlay: ['VXLAN'],
  GlobalBGP: ['GlobalBGP'],
}

const NET_IDS: Readonly<Record<NetworkMode, { min: number; max: number; what: string; required: boolean } | null>> = {
  VLAN: { min: 0, max: MAX_VLAN_ID, what: 'a VLAN id', required: false },
  VXLAN: { min: 1, max: MAX_VNI, what: 'a VNI', required: true },
  BGP: { min: 1, max: 0xffffffff, what: 'an AS number', required: true },
  GlobalBGP: null,
}

/** RFC 4724 §3: the restart time has 12 bits. */
const MAX_RESTART_SECONDS = 4095

function parseNetID(netID: number | null, mode: NetworkMode, problems: ProblemList): number | null {
  const rule = NET_IDS[mode]
  if (rule === null) {
    if (netID !== null) problems.add('spec.netID', netID, `nothing, in mode ${mode}`)
    return null
  }
  if (netID === null) {
    if (rule.required) problems.add('spec.netID', undefined, `${rule.what} from ${rule.min} to ${rule.max}`)
    return null
  }
  if (Number.isInteger(netID) && netID >= rule.min && netID <= rule.max) return netID
  problems.add('spec.netID', netID, `${rule.what} from ${rule.min} to ${rule.max}`)
  return null
}

function parsePeer(peer: BGPPeer, field: string, problems: ProblemList): ParsedBGPPeer | null {
  const address = tryParsePlainAddress(peer.address ?? '')
  if (address === null) problems.add(`${field}.address`, peer.address, 'an IPv4 or IPv6 address')
  const validAsn = Number.isInteger(peer.asn) && peer.asn >= 1 && peer.asn <= 0xffffffff
  if (!validAsn) problems.add(`${field}.asn`, peer.asn, 'an AS number from 1 to 4294967295')
  let seconds = peer.gracefulRestartSeconds || DEFAULT_GRACEFUL_RESTART_SECONDS
  if (!Number.isInteger(seconds) || seconds < 1 || seconds > MAX_RESTART_SECONDS) {
    problems.add(`${field}.gracefulRestartSeconds`, seconds, `seconds from 1 to ${MAX_RESTART_SECONDS}`)
    seconds = DEFAULT_GRACEFUL_RESTART_SECONDS
  }
  if (address === null || !validAsn) return null
  return {
    asn: peer.asn,
    address,
    gracefulRestartSeconds: seconds,
    password: peer.password ?? '',
    routesTraffic: peer.doesNotRouteTraffic !== true,
    requireEstablished: peer.allowNotEstablished !== true,
  }
}

function parsePeers(peers: readonly BGPPeer[], mode: NetworkMode, problems: ProblemList): ParsedBGPPeer[] {
  const field = 'spec.config.bgpPeers'
  if (mode !== 'BGP') return []
  if (peers.length === 0) problems.add(field, undefined, 'at least one peer, in mode BGP')
  const parsed = peers.flatMap((peer, i) => parsePeer(peer, `${field}[${i}]`, problems) ?? [])
  if (parsed.filter((peer) => peer.routesTraffic).length > 1) {
    problems.add(
      field,
      peers.map((peer) => peer.address),
      'at most one peer without doesNotRouteTraffic',
    )
  }
  return parsed
}

export function parseNetwork(network: Network): Parsed<ParsedNetwork> {
  const problems = new ProblemList()
  const type = effectiveType(network)
  const mode = effectiveMode(network)
  const knownType = NETWORK_TYPES.includes(type)
  if (!knownType) problems.add('spec.type', type, NETWORK_TYPES.join(', '))
  if (knownType && !(MODES[type as NetworkType] as readonly string[]).includes(mode)) {
    const fitting = MODES[type as NetworkType].join(' or ')
    problems.add(
      'spec.mode',
      mode,
      NETWORK_MODES.includes(mode) ? `${fitting}, in type ${type}` : NETWORK_MODES.join(', '),
    )
  }
  if (problems.problems.length > 0) return { value: null, problems: problems.problems }

  const nodeSelector = network.spec?.nodeSelector ?? {}
  const selects = Object.keys(nodeSelector).length > 0
  if (type === 'Underlay' && !selects)
    problems.add('spec.nodeSelector', undefined, 'labels of the nodes, in type Underlay')
  if (isGloballyUnique(type) && selects) problems.add('spec.nodeSelector', nodeSelector, `nothing, in type ${type}`)
  const status = network.status
  const value: ParsedNetwork = {
    name: network.metadata.name,
    type: type as NetworkType,
    mode: mode as NetworkMode,
    netID: parseNetID(network.spec?.netID ?? null, mode as NetworkMode, problems),
    nodeSelector,
    nodes: (status?.nodeList ?? []).filter((name) => name !== ''),
    bgpPeers: parsePeers(network.spec?.config?.bgpPeers ?? [], mode as NetworkMode, problems),
    lastAllocatedSubnet: status?.lastAllocatedSubnet ?? '',
    lastAllocatedIPv6Subnet: status?.lastAllocatedIPv6Subnet ?? '',
    terminating: isTerminating(network),
  }
  return { value, problems: problems.problems }
}

/** Whether a node can carry the Network's traffic: it is readable, and a tunnel has its VNI. */
export function isServable(network: ParsedNetwork | null): network is ParsedNetwork {
  return network !== null && (network.mode !== 'VXLAN' || network.netID !== null)
}

/**
 * Networks in the order in which they claim what only one may have (being the Overlay network, a node): those that can be
 * served before those that cannot, the older before the newer, then by name. So a Network that is added, right or
 * wrong, never takes the place of one that works.
 */
export function networksBySeniority(networks: readonly Network[]): Network[] {
  // Asked for every pod, and there is nearly always one; parsing it copies its list of all nodes.
  if (networks.length < 2) return [...networks]
  const ranked = networks.map((network) => ({
    network,
    servable: isServable(parseNetwork(network).value),
    created: network.metadata.creationTimestamp ?? '',
    name: network.metadata.name,
  }))
  ranked.sort((a, b) => Number(b.servable) - Number(a.servable) || compareSeniority(a, b))
  return ranked.map(({ network }) => network)
}

/** Older first, then by name; RFC 3339 in UTC as the API server writes it compares as text. */
export function compareSeniority(
  a: { readonly created: string; readonly name: string },
  b: { readonly created: string; readonly name: string },
): number {
  if (a.created !== b.created) return a.created < b.created ? -1 : 1
  return a.name === b.name ? 0 : a.name < b.name ? -1 : 1
}
