// What network, type, subnets and family a pod asks for (api.md §3.4, §3.5; manager.md §2.5): the part that does not
// depend on a node, which admission and the manager decide alike because both call this. Pure, over two look-ups. Errors
// are sentences that name the option, its value and what was expected; nothing here throws.
//
// Which Network a pod's node then leads to is the manager's part; whether addresses are left is admission's.
import { familyOf, type Family, type IPAddress } from '../ip/index.ts'
import type { IPFamily, NetworkType } from './networking.ts'
import { ANNOTATION_IP_FAMILY, NETWORK_TYPE, SPECIFIED_NETWORK, SPECIFIED_SUBNET } from './labels.ts'
import { parseIPFamily, parseNetworkType, splitSpecifiedSubnet } from './pod-options.ts'
import { wishesNothing, type Wishes } from './wishes.ts'

export interface SubnetFact {
  readonly network: string
  /** "4" or "6". */
  readonly version: string
}

/** The objects a pod may name. */
export interface NamedObjects {
  network(name: string): { readonly type: string } | null
  subnet(name: string): SubnetFact | null
}

/** Addresses that exist already and decide by themselves. */
export interface Retained {
  readonly network: string
  readonly family: IPFamily
}

export interface Resolved {
  /** '' when neither the pod nor its namespace leads to one. */
  readonly network: string
  readonly subnets: readonly string[]
  readonly type: NetworkType
  readonly family: IPFamily
}

/** What a pod without any wish gets. */
export interface ResolveDefaults {
  readonly networkType: NetworkType
  readonly ipFamily: IPFamily
}

/** A value, or what is wrong with which annotation or label. */
export type Resolution<T> =
  | { readonly value: T; readonly error: null }
  | { readonly value: null; readonly error: string; readonly option: string }

const fail = (option: string, error: string): Resolution<never> => ({ value: null, error, option })

/**
 * The configuration by retained addresses, else by the pod, else by its namespace: all or nothing, so a pod that asks for
 * a family only hides everything its namespace asks for.
 */
export function resolveWishes(
  pod: Wishes,
  namespace: Wishes | null,
  retained: Retained | null,
  defaults: ResolveDefaults,
  objects: NamedObjects,
): Resolution<Resolved> {
  const source = retained !== null ? null : wishesNothing(pod) ? namespace : pod
  const named = source === null ? { value: { network: '', subnets: [] }, error: null } : namedIn(source, objects)
  if (named.value === null) return named
  const wanted = retained?.network ?? named.value.network
  const family = retained?.family ?? parseIPFamily(source?.family, defaults.ipFamily)
  if (family === null) return fail(ANNOTATION_IP_FAMILY, noFamily(source?.family ?? ''))
  let type = parseNetworkType(source?.type, defaults.networkType)
  if (type === null) return fail(NETWORK_TYPE, noType(source?.type ?? ''))
  if (wanted !== '') {
    const network = objects.network(wanted)
    if (network === null) return fail(SPECIFIED_NETWORK, `network "${wanted}" does not exist`)
    if (!source?.type) {
      const own = parseNetworkType(network.type)
      if (own === null)
        return fail(SPECIFIED_NETWORK, `network "${wanted}" has the unknown type ${JSON.stringify(network.type)}`)
      type = own
    }
    if (type !== network.type)
      return fail(NETWORK_TYPE, `network "${wanted}" is of type ${network.type}, not ${type} as asked for`)
  }
  return { value: { network: wanted, subnets: named.value.subnets, type, family }, error: null }
}

/** Network and subnets one object names (api.md §3.4). */
export function namedIn(
  wishes: Wishes,
  objects: NamedObjects,
): Resolution<{ readonly network: string; readonly subnets: readonly string[] }> {
  const subnets = splitSpecifiedSubnet(wishes.subnet)
  if (subnets.value === null) return fail(SPECIFIED_SUBNET, subnets.error)
  const facts: SubnetFact[] = []
  for (const name of subnets.value) {
    const fact = objects.subnet(name)
    if (fact === null) return fail(SPECIFIED_SUBNET, `specified-subnet "${name}" does not exist`)
    facts.push(fact)
  }
  const [first, second] = facts
  if (first !== undefined && second !== undefined) {
    if (first.version !== '4' || second.version !== '6') {
      return fail(
        SPECIFIED_SUBNET,
        `specified-subnet "${wishes.subnet}" must name an IPv4 subnet first and an IPv6 subnet second`,
      )
    }
    if (first.network !== second.network) {
      return fail(
        SPECIFIED_SUBNET,
        `the subnets of "${wishes.subnet}" are in different networks, ${first.network} and ${second.network}`,
      )
    }
  }
  if (first !== undefined && wishes.network !== '' && wishes.network !== first.network) {
    return fail(
      SPECIFIED_SUBNET,
      `specified-subnet "${wishes.subnet}" is in network "${first.network}", not in "${wishes.network}"`,
    )
  }
  return { value: { network: wishes.network || (first?.network ?? ''), subnets: subnets.value }, error: null }
}

/** The family of a set of addresses: one of a kind, or one of each. */
export function familyOfAddresses(addresses: readonly IPAddress[]): IPFamily {
  const families = new Set<Family>(addresses.map(familyOf))
  return families.size === 2 ? 'DualStack' : families.has(6) ? 'IPv6Only' : 'IPv4Only'
}

/** What is kept for a pod, as configuration; `problem` when it does not make one (§3.5 step 1). Null for no addresses. */
export function retainedConfiguration(
  kept: readonly { readonly address: IPAddress; readonly network: string }[],
): (Retained & { readonly problem: string | null }) | null {
  const [first] = kept
  if (first === undefined) return null
  const families = new Set(kept.map(({ address }) => familyOf(address)))
  const fits = kept.length === families.size && kept.every(({ network }) => network === first.network)
  return {
    network: first.network,
    family: familyOfAddresses(kept.map(({ address }) => address)),
    problem: fits ? null : `${kept.length} addresses are kept for the pod, expected one per family of one network`,
  }
}

export function noFamily(text: string): string {
  return `ip-family ${JSON.stringify(text)} is none of IPv4, IPv6, DualStack`
}

export function noType(text: string): string {
  return `network-type ${JSON.stringify(text)} is none of Underlay, Overlay, GlobalBGP`
}
