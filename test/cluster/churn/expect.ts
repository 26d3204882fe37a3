// What a node's kernel has to hold, computed from the objects of the API and the node's own interface by plain code: the
// rules of spec/dataplane.md for an overlay network, one line of text per kernel object.
//
// Only what a churn's clusters have: one overlay (VXLAN) network, NAT on.
import { POD_GATEWAY_IPV6, hostVethName, type Subnet } from '../../../lib/api/index.ts'
import { formatAddress } from '../../../lib/ip/index.ts'
import { excludedBlocks } from './blocks.ts'
import { isRunning, podAddresses, type Objects } from './objects.ts'

/** The node as its kernel shows it, not as the daemon sees it. */
export interface NodeFacts {
  readonly name: string
  /** Of eth0. */
  readonly mac: string
  readonly mtu: number
  /** Global addresses of eth0 in the kernel's order, `address/length`. */
  readonly addresses: readonly string[]
}

/** Lines by aspect, such as `routes` or `fdb`. */
export type KernelState = ReadonlyMap<string, ReadonlySet<string>>

export const vni = 4
export const device = `eth0.vxlan${vni}`
const fanOutMac = 'ff:ff:ff:ff:ff:f1'
/** Addresses of steps, given to the daemons by `--extra-node-local-vxlan-ip-cidrs`. */
export const extraNodeCidrs = ['192.0.2.0/24', '2001:db8:5::/64']
const isExtra = (address: string): boolean => address.startsWith('192.0.2.') || address.startsWith('2001:db8:5::')

const family = (text: string): 4 | 6 => (text.includes(':') ? 6 : 4)
const bare = (address: string): string => address.split('/')[0] ?? ''

/** Addresses other nodes know this one by; the first of IPv4 is its tunnel endpoint. */
export function localAddresses(facts: NodeFacts, { nodes }: Objects): string[] {
  const node = nodes.find(({ metadata }) => metadata.name === facts.name)
  const own = new Set((node?.status?.addresses ?? []).map(({ address }) => address))
  return facts.addresses.filter((address) => own.has(bare(address)) || isExtra(bare(address)))
}

export const tunnelEndpoint = ({ addresses }: NodeFacts): string =>
  bare(addresses.find((address) => family(address) === 4 && !isExtra(bare(address))) ?? '')

/** @param all the facts of every node of the cluster */
export function expectedState(facts: NodeFacts, all: readonly NodeFacts[], objects: Objects): KernelState {
  const others = all.filter(({ name }) => name !== facts.name)
  const state = new Map<string, Set<string>>()
  const add = (aspect: string, ...lines: string[]): void => {
    const set = state.get(aspect) ?? new Set<string>()
    for (const line of lines) set.add(line)
    state.set(aspect, set)
  }
  const subnets = objects.subnets.filter(({ spec }) => spec !== undefined && spec !== null)
  const cidrs = [...new Set(subnets.map((subnet) => subnet.spec?.range.cidr ?? ''))]

  for (const ip of [4, 6] as const) {
    const own = cidrs.filter((cidr) => family(cidr) === ip)
    add(`rules${ip}`, 'lookup 39999', 'lookup 40000', 'fwmark 0x20/0x20 lookup 40001')
    add(`rules${ip}`, ...own.map((cidr) => `from ${cidr} fwmark 0/0x4040 lookup own`))
    add(`routes${ip}`, ...own.map((cidr) => `40000 ${cidr} dev ${device}`), `40001 default dev ${device}`)
    add(`order${ip}`, '39999 40000 40001 subnets main')
    for (const subnet of subnets.filter(({ spec }) => family(spec?.range.cidr ?? '') === ip)) {
      add(`routes${ip}`, ...blocksOf(subnet).map((block) => `40000 throw ${block}`))
    }
    for (const set of ['overlay_net', 'managed_net', 'pod_net']) add(`nft ${set}${ip}`, ...own)
    add(`nft local_underlay_net${ip}`)
  }
  add('nft vxlan_if', device)
  add('nft underlay_if')

  const local = localAddresses(facts, objects)
  add(
    'device',
    `vxlan ${vni} local ${tunnelEndpoint(facts)} dev eth0 port 8472 mac ${facts.mac} mtu ${facts.mtu - 50} up`,
  )
  add('device addresses', ...local)
  for (const ip of [4, 6] as const) {
    const ofFamily = (addresses: readonly string[]): string[] => addresses.map(bare).filter((one) => family(one) === ip)
    add(`nft local_node_ip${ip}`, ...ofFamily(local))
    add(`nft node_ip${ip}`, ...all.flatMap((node) => ofFamily(localAddresses(node, objects))))
    add(`nft local_pod${ip}`)
  }
  add('fdb')
  for (const other of others) {
    const endpoint = tunnelEndpoint(other)
    add('fdb', `${other.mac} dst ${endpoint}`, `${fanOutMac} dst ${endpoint}`)
  }

  add('veths')
  add('proxies')
  for (const pod of objects.pods) {
    if (pod.spec?.nodeName !== facts.name || !isRunning(pod)) continue
    const veth = hostVethName(pod.metadata.namespace ?? '', pod.metadata.name ?? '')
    const addresses = podAddresses(pod)
    add('veths', `${veth} mtu ${facts.mtu - 50} up`)
    for (const address of addresses) {
      add(`routes${family(address)}`, `39999 ${address} dev ${veth}`)
      add('proxies', `${address} dev ${device}`)
      add(`nft local_pod${family(address)}`, address)
    }
    if (addresses.some((address) => family(address) === 6))
      add('proxies', `${formatAddress(POD_GATEWAY_IPV6)} dev ${veth}`)
  }
  return state
}

function blocksOf(subnet: Subnet): string[] {
  const range = subnet.spec?.range
  return range === undefined ? [] : excludedBlocks(range)
}

/** What is in one and not in the other, a line each. */
export function differences(node: string, expected: KernelState, actual: KernelState): string[] {
  const problems: string[] = []
  const none: ReadonlySet<string> = new Set()
  for (const aspect of new Set([...expected.keys(), ...actual.keys()])) {
    const wanted = expected.get(aspect) ?? none
    const found = actual.get(aspect) ?? none
    for (const line of wanted) if (!found.has(line)) problems.push(`${node}: ${aspect}: missing '${line}'`)
    for (const line of found) if (!wanted.has(line)) problems.push(`${node}: ${aspect}: '${line}' should not be there`)
  }
  return problems
}
