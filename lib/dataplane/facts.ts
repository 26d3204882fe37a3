// What this node is, drawn from the mirror of its links, addresses and main-table routes: names, tunnel endpoint,
// addresses to expose on the VXLAN device. Pure; spec/dataplane.md §3.1–3.3.
import {
  INTERFACE_NAME_MAX,
  isContainerInterface,
  VXLAN_INTERFACE_INFIX,
  vlanInterfaceName,
  vxlanInterfaceName,
} from '../api/index.ts'
import {
  compareAddresses,
  contains,
  equalPrefixes,
  familyOf,
  isGlobalUnicast,
  type Family,
  type IPAddress,
  type Prefix,
} from '../ip/index.ts'
import type { Addr, Link, Route } from '../netlink/types.ts'
import { TABLE_MAIN } from './constants.ts'
import type { ClusterInput, DataplaneConfig } from './inputs.ts'

export interface NodeFacts {
  /** Whether IPv6 is on at all (§8.7). */
  readonly ipv6: boolean
  /** Name of the VXLAN device; null without an overlay network or when the name is impossible. */
  readonly vxlan: string | null
  /** MAC of the VXLAN parent, which the VXLAN device shares. */
  readonly vxlanMac: number | null
  /** Tunnel endpoint; null while the parent has no usable address. */
  readonly vtep: { readonly address: IPAddress; readonly mac: number } | null
  /** Node addresses to carry on the VXLAN device and to publish, no duplicates, IPv4 first. */
  readonly localAddresses: readonly { readonly address: IPAddress; readonly prefixLength: number }[]
  /** Every link that is no container's. */
  readonly hostLinks: readonly string[]
  /** Names of the devices that default routes use, by index. */
  readonly linkNames: ReadonlyMap<number, string>
  /** First main-table default route per family. */
  readonly defaultRoutes: Readonly<Record<Family, Route | null>>
  /** Device of that route, for `accept_ra`, when IPv6 and learnt by router advertisement. */
  readonly raLink: string | null
  /** Main-table routes without gateway, for subnets shared between node and pods. */
  readonly connected: readonly { readonly link: string; readonly dst: Prefix; readonly prefSrc: IPAddress | null }[]
  /** Addresses of the node on host links, all of them. */
  readonly addresses: readonly { readonly link: string; readonly address: IPAddress; readonly prefixLength: number }[]
  readonly mtu: { readonly vxlan: number | null; readonly vlan: number | null; readonly bgp: number | null }
  /** What is missing or impossible, in words. */
  readonly problems: readonly string[]
}

/** The parts of the mirror that facts are drawn from. */
export interface FactSource {
  readonly links: Iterable<Link>
  readonly addresses: Iterable<Addr>
  /** Main-table routes. */
  readonly mainRoutes: Iterable<Route>
  readonly ipv6: boolean
}

const RTPROT_RA = 9

/** The name of a device of ours, or why there can be none. */
export type DeviceName =
  { readonly name: string; readonly problem: null } | { readonly name: null; readonly problem: string }

/** The VLAN device of the parent; the parent itself for id 0. */
export function vlanDevice(parent: string, vlanId: number | null): DeviceName {
  return deviceName(() => vlanInterfaceName(parent, vlanId))
}

function deviceName(make: () => string): DeviceName {
  try {
    const name = make()
    if (name.length <= INTERFACE_NAME_MAX) return { name, problem: null }
    const problem = `device name "${name}" is longer than ${INTERFACE_NAME_MAX} characters; rename the parent or prefer another one`
    return { name: null, problem }
  } catch (error) {
    // What lib/api says of an id that is absent or out of range.
    if (error instanceof RangeError) return { name: null, problem: error.message }
    throw error
  }
}

/** Draws the facts. O(links + addresses + main routes kept by the mirror). */
export function nodeFacts(source: FactSource, input: ClusterInput, config: DataplaneConfig): NodeFacts {
  const links = new Map<number, Link>()
  const byName = new Map<string, Link>()
  for (const link of source.links) {
    links.set(link.index, link)
    byName.set(link.name, link)
  }
  const problems: string[] = []
  const vxlan = vxlanName(input, config, problems)
  const addresses = hostAddresses(source, links, vxlan)
  const parent = byName.get(config.vxlanParent)
  const vxlanMac = parent?.mac ?? null
  const vtepAddress = chooseVtep(addresses, config, vxlan === null ? null : (byName.get(vxlan)?.vxlan?.local ?? null))
  const vtep = vtepAddress === undefined || vxlanMac === null ? null : { address: vtepAddress, mac: vxlanMac }
  if (input.overlay !== null && vtep === null) {
    const why = parent === undefined ? 'does not exist' : 'has no address inside --vtep-address-cidrs'
    problems.push(`VXLAN parent ${config.vxlanParent} ${why}: this node has no tunnel endpoint`)
  }
  const defaults: Record<Family, Route | null> = { 4: null, 6: null }
  const connected: { link: string; dst: Prefix; prefSrc: IPAddress | null }[] = []
  for (const route of source.mainRoutes) {
    if (route.table !== TABLE_MAIN) continue
    if (route.dst.length === 0) {
      const family = familyOf(route.dst.address)
      const best = defaults[family]
      if (best === null || route.metric < best.metric) defaults[family] = route
    } else if (route.gateway === null) {
      const link = links.get(route.oif)?.name
      if (link !== undefined) connected.push({ link, dst: route.dst, prefSrc: route.prefSrc })
    }
  }
  const default6 = defaults[6]
  return {
    ipv6: source.ipv6,
    vxlan,
    vxlanMac,
    vtep,
    localAddresses: localAddresses(addresses, input, config, vtepAddress ?? null),
    hostLinks: [...byName.keys()].filter((name) => !isContainerInterface(name)).sort(),
    linkNames: defaultDevices(defaults, links),
    defaultRoutes: defaults,
    raLink: default6?.protocol === RTPROT_RA ? (links.get(default6.oif)?.name ?? null) : null,
    connected,
    addresses,
    mtu: {
      vxlan: overlayMtu(parent?.mtu, vtepAddress),
      vlan: byName.get(config.vlanParent)?.mtu ?? null,
      bgp: byName.get(config.bgpInterface)?.mtu ?? null,
    },
    problems,
  }
}

/**
 * The first address of the parent inside the CIDRs, IPv4 before IPv6 (§3.3); of its family rather the one in use. The kernel
 * lists the newest IPv6 address first, and an address more is no reason to make the device anew and cut every pod off.
 */
function chooseVtep(
  addresses: NodeFacts['addresses'],
  config: DataplaneConfig,
  inUse: IPAddress | null,
): IPAddress | undefined {
  const candidates = addresses
    .filter(({ link }) => link === config.vxlanParent)
    .map(({ address }) => address)
    .filter((address) => config.vtepAddressCidrs.some((cidr) => contains(cidr, address)))
  const [first] = candidates
  if (first === undefined || inUse === null || familyOf(first) !== familyOf(inUse)) return first
  return candidates.includes(inUse) ? inUse : first
}

function defaultDevices(
  defaults: NodeFacts['defaultRoutes'],
  links: ReadonlyMap<number, Link>,
): ReadonlyMap<number, string> {
  const names = new Map<number, string>()
  for (const route of [defaults[4], defaults[6]]) {
    for (const index of route === null ? [] : [route.oif, ...route.nexthops.map((hop) => hop.oif)]) {
      const link = links.get(index)
      if (link !== undefined) names.set(index, link.name)
    }
  }
  return names
}

function vxlanName(input: ClusterInput, config: DataplaneConfig, problems: string[]): string | null {
  if (input.overlay === null) return null
  const { vni, name: network } = input.overlay
  const { name, problem } = deviceName(() => vxlanInterfaceName(config.vxlanParent, vni))
  if (problem !== null) problems.push(`overlay network ${network}: ${problem}`)
  return name
}

/** 50 bytes of outer headers over IPv4, 70 over IPv6 (defect 31). */
function overlayMtu(parent: number | undefined, vtep: IPAddress | undefined): number | null {
  if (parent === undefined) return null
  return parent - (vtep !== undefined && familyOf(vtep) === 6 ? 70 : 50)
}

/** Global-unicast addresses of all links that are neither containers' nor a VXLAN device of ours; link order, IPv4 first. */
function hostAddresses(
  source: FactSource,
  links: ReadonlyMap<number, Link>,
  vxlan: string | null,
): { link: string; address: IPAddress; prefixLength: number }[] {
  const found: { index: number; link: string; address: IPAddress; prefixLength: number; order: number }[] = []
  let order = 0
  for (const { index, address, prefixLength } of source.addresses) {
    const link = links.get(index)
    if (link === undefined || link.name === vxlan || isOwnVxlanName(link) || isContainerInterface(link.name)) continue
    if (!isGlobalUnicast(address)) continue
    found.push({ index, link: link.name, address, prefixLength, order: order++ })
  }
  return found
    .sort((a, b) => a.index - b.index || familyOf(a.address) - familyOf(b.address) || a.order - b.order)
    .map(({ link, address, prefixLength }) => ({ link, address, prefixLength }))
}

/** A VXLAN device with a name of our pattern for its own VNI. */
export function isOwnVxlanName(link: Pick<Link, 'name' | 'kind' | 'vxlan'>): boolean {
  return link.kind === 'vxlan' && link.vxlan !== null && link.name.endsWith(`${VXLAN_INTERFACE_INFIX}${link.vxlan.vni}`)
}

function localAddresses(
  addresses: NodeFacts['addresses'],
  input: ClusterInput,
  config: DataplaneConfig,
  vtep: IPAddress | null,
): { address: IPAddress; prefixLength: number }[] {
  const wanted = new Set<IPAddress>(input.nodeAddresses)
  if (vtep !== null) wanted.add(vtep)
  const chosen = new Map<IPAddress, number>()
  for (const { address, prefixLength } of addresses) {
    if (chosen.has(address)) continue
    if (wanted.has(address) || config.extraNodeLocalCidrs.some((cidr) => contains(cidr, address))) {
      chosen.set(address, prefixLength)
    }
  }
  return [...chosen]
    .map(([address, prefixLength]) => ({ address, prefixLength }))
    .sort((a, b) => compareAddresses(a.address, b.address))
}

/** Whether two facts would lead to the same desired state. */
export function sameFacts(a: NodeFacts, b: NodeFacts): boolean {
  return stable(a) === stable(b)
}

function stable(value: unknown): string {
  return JSON.stringify(value, (_key, item: unknown) => {
    if (typeof item === 'bigint') return `n${item}`
    return item instanceof Map ? [...item] : item
  })
}

/** Whether some address of the node lies in the prefix on that link (a subnet shared by node and pods). */
export function nodeSharesSubnet(facts: NodeFacts, link: string, prefix: Prefix): boolean {
  return facts.addresses.some((entry) => entry.link === link && contains(prefix, entry.address))
}

/** The main-table route exactly for the prefix on the link. */
export function connectedRoute(facts: NodeFacts, link: string, prefix: Prefix): NodeFacts['connected'][number] | null {
  return facts.connected.find((route) => route.link === link && equalPrefixes(route.dst, prefix)) ?? null
}
