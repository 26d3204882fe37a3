// What network, subnets and families a pod wants: manager.md §2.5 and §2.6 as pure functions over a few look-ups. Errors are
// sentences; nothing here throws.
//
// `resolve` reads the wishes of the pod, else of its namespace, all or nothing. `chooseNetwork` finds the Network the
// type leads to on the pod's node, and checks it against the wish.
import {
  parseIPFamily,
  parseNetworkType,
  splitSpecifiedSubnet,
  type IPFamily,
  type NetworkType,
  type Result,
} from '../../api/index.ts'
import type { Defaults } from '../options.ts'
import { isEmpty, type Wishes } from '../views/wishes.ts'

/** A Network as far as the choice needs it. */
export interface NetworkFact {
  readonly name: string
  readonly type: string
  /** Whether the pod's node may use it: Overlay always, others by `status.nodeList`. */
  readonly hasNode: boolean
}

export interface SubnetFact {
  readonly network: string
  /** "4" or "6". */
  readonly version: string
}

/** The cluster as seen from the pod's node. */
export interface Surroundings {
  network(name: string): NetworkFact | null
  subnet(name: string): SubnetFact | null
  /** The network of that type on the pod's node; null when there is none. */
  networkOfType(type: NetworkType): string | null
  /** The node carries the BGP attachment label. */
  readonly bgpAttached: boolean
}

export interface Configuration {
  readonly network: string
  readonly subnets: readonly string[]
  readonly family: IPFamily
}

/** Addresses that exist already and decide by themselves: network and family of retained IPInstances. */
export interface Retained {
  readonly network: string
  readonly family: IPFamily
}

const fail = (error: string): { readonly value: null; readonly error: string } => ({ value: null, error })

/** The configuration of a pod the admission webhook has prepared: its annotations are the answer, verified (D48). */
export function handledConfiguration(
  pod: Wishes,
  defaults: Pick<Defaults, 'networkType' | 'ipFamily'>,
  around: Surroundings,
): Result<Configuration> {
  const family = parseIPFamily(pod.family, defaults.ipFamily)
  if (family === null) return fail(`ip-family ${JSON.stringify(pod.family)} is none of IPv4, IPv6, DualStack`)
  const subnets = splitSpecifiedSubnet(pod.subnet)
  if (subnets.value === null) return subnets
  if (pod.network !== '') {
    const network = around.network(pod.network)
    if (network === null) return fail(`specified-network "${pod.network}" does not exist`)
    if (!network.hasNode) return fail(`the pod's node does not belong to network "${pod.network}"`)
    return { value: { network: pod.network, subnets: subnets.value, family }, error: null }
  }
  const type = parseNetworkType(pod.type, defaults.networkType)
  if (type === null) return fail(`network-type ${JSON.stringify(pod.type)} is none of Underlay, Overlay, GlobalBGP`)
  const network = around.networkOfType(type)
  if (network === null) return fail(noNetwork(type))
  return { value: { network, subnets: subnets.value, family }, error: null }
}

/** The configuration of any other pod. */
export function ownConfiguration(
  pod: Wishes,
  namespace: Wishes | null,
  retained: Retained | null,
  defaults: Pick<Defaults, 'networkType' | 'ipFamily'>,
  around: Surroundings,
): Result<Configuration> {
  const source = retained !== null ? null : isEmpty(pod) ? namespace : pod
  const named = source === null ? { value: { network: '', subnets: [] }, error: null } : namedIn(source, around)
  if (named.value === null) return named
  const wanted = retained?.network ?? named.value.network
  const family = retained?.family ?? parseIPFamily(source?.family, defaults.ipFamily)
  if (family === null) {
    return fail(`ip-family ${JSON.stringify(source?.family ?? '')} is none of IPv4, IPv6, DualStack`)
  }
  let type = parseNetworkType(source?.type, defaults.networkType)
  if (type === null) {
    return fail(`network-type ${JSON.stringify(source?.type ?? '')} is none of Underlay, Overlay, GlobalBGP`)
  }
  if (wanted !== '') {
    const network = around.network(wanted)
    if (network === null) return fail(`network "${wanted}" does not exist`)
    if (!source?.type) {
      const own = parseNetworkType(network.type)
      if (own === null) return fail(`network "${wanted}" has the unknown type ${JSON.stringify(network.type)}`)
      type = own
    }
    if (type !== network.type) return fail(`network "${wanted}" is of type ${network.type}, not ${type} as asked for`)
  }
  if (type === 'GlobalBGP' && !around.bgpAttached) return fail("the pod's node is not attached to a BGP network")
  const network = around.networkOfType(type)
  if (network === null) return fail(noNetwork(type))
  if (wanted !== '' && network !== wanted) {
    return fail(`the pod is meant for network "${wanted}", but its node belongs to "${network}"`)
  }
  return { value: { network, subnets: named.value.subnets, family }, error: null }
}

/** Network and subnets one object names (api.md §3.4). */
function namedIn(
  wishes: Wishes,
  around: Surroundings,
): Result<{ readonly network: string; readonly subnets: readonly string[] }> {
  const subnets = splitSpecifiedSubnet(wishes.subnet)
  if (subnets.value === null) return subnets
  const facts: SubnetFact[] = []
  for (const name of subnets.value) {
    const fact = around.subnet(name)
    if (fact === null) return fail(`specified-subnet "${name}" does not exist`)
    facts.push(fact)
  }
  const [first, second] = facts
  if (first !== undefined && second !== undefined) {
    if (first.version !== '4' || second.version !== '6') {
      return fail(`specified-subnet "${wishes.subnet}" must name an IPv4 subnet first and an IPv6 subnet second`)
    }
    if (first.network !== second.network) {
      return fail(`the subnets of "${wishes.subnet}" are in different networks, ${first.network} and ${second.network}`)
    }
  }
  if (first !== undefined && wishes.network !== '' && wishes.network !== first.network) {
    return fail(`specified-subnet "${wishes.subnet}" is in network "${first.network}", not in "${wishes.network}"`)
  }
  return { value: { network: wishes.network || (first?.network ?? ''), subnets: subnets.value }, error: null }
}

function noNetwork(type: NetworkType): string {
  return type === 'Underlay'
    ? "no Underlay network lists the pod's node in its status"
    : `there is no network of type ${type}`
}
