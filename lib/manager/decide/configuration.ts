// What network, subnets and families a pod gets on its node: manager.md §2.5 and §2.6 as pure functions over a few
// look-ups. Errors are sentences; nothing here throws.
//
// What the pod asks for is `resolveWishes` of lib/api, which admission calls too. Here follows what depends on the node:
// the Network the type leads to there, held against the wish.
import {
  noFamily,
  noType,
  parseIPFamily,
  parseNetworkType,
  resolveWishes,
  splitSpecifiedSubnet,
  type IPFamily,
  type NamedObjects,
  type NetworkType,
  type ResolveDefaults,
  type Result,
  type Retained,
  type Wishes,
} from '../../api/index.ts'

/** A Network as far as the choice needs it. */
export interface NetworkFact {
  readonly name: string
  readonly type: string
  /** Whether the pod's node may use it: Overlay always, others by `status.nodeList`. */
  readonly hasNode: boolean
}

/** The cluster as seen from the pod's node. */
export interface Surroundings extends NamedObjects {
  network(name: string): NetworkFact | null
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

const fail = (error: string): { readonly value: null; readonly error: string } => ({ value: null, error })

/** The configuration of a pod the admission webhook has prepared: its annotations are the answer, verified (D48). */
export function handledConfiguration(
  pod: Wishes,
  defaults: ResolveDefaults,
  around: Surroundings,
): Result<Configuration> {
  const family = parseIPFamily(pod.family, defaults.ipFamily)
  if (family === null) return fail(noFamily(pod.family))
  const subnets = splitSpecifiedSubnet(pod.subnet)
  if (subnets.value === null) return subnets
  if (pod.network !== '') {
    const network = around.network(pod.network)
    if (network === null) return fail(`specified-network "${pod.network}" does not exist`)
    if (!network.hasNode) return fail(`the pod's node does not belong to network "${pod.network}"`)
    return { value: { network: pod.network, subnets: subnets.value, family }, error: null }
  }
  const type = parseNetworkType(pod.type, defaults.networkType)
  if (type === null) return fail(noType(pod.type))
  const network = around.networkOfType(type)
  if (network === null) return fail(noNetwork(type))
  return { value: { network, subnets: subnets.value, family }, error: null }
}

/** The configuration of any other pod. */
export function ownConfiguration(
  pod: Wishes,
  namespace: Wishes | null,
  retained: Retained | null,
  defaults: ResolveDefaults,
  around: Surroundings,
): Result<Configuration> {
  const resolved = resolveWishes(pod, namespace, retained, defaults, around)
  if (resolved.value === null) return resolved
  const { network: wanted, subnets, type, family } = resolved.value
  if (type === 'GlobalBGP' && !around.bgpAttached) return fail("the pod's node is not attached to a BGP network")
  const network = around.networkOfType(type)
  if (network === null) return fail(noNetwork(type))
  if (wanted !== '' && network !== wanted) {
    return fail(`the pod is meant for network "${wanted}", but its node belongs to "${network}"`)
  }
  return { value: { network, subnets, family }, error: null }
}

function noNetwork(type: NetworkType): string {
  return type === 'Underlay'
    ? "no Underlay network lists the pod's node in its status"
    : `there is no network of type ${type}`
}
