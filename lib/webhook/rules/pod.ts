// Rules of pods (api.md §4.3), on creation only. What a pod asks for is read by `resolveWishes`, with which the manager
// decides as well, so what is admitted here is what is allocated there. Namespaces are not consulted: their wishes arrive
// as annotations from the mutating half.
import {
  ANNOTATION_IP_FAMILY,
  ANNOTATION_IP_POOL,
  ANNOTATION_IP_RETAIN,
  ANNOTATION_MAC_POOL,
  NETWORK_TYPE,
  SPECIFIED_NETWORK,
  SPECIFIED_SUBNET,
  addressesFit,
  annotationOf,
  annotationOrLabel,
  controllerOf,
  effectiveType,
  isAssignable,
  isAvailable,
  isGloballyUnique,
  isIPv6Subnet,
  isPrivateSubnet,
  isStateful,
  machineInstance,
  parseBool,
  parseIPPool,
  parseMacPool,
  parseSubnet,
  resolveWishes,
  retainedConfiguration,
  statisticsFor,
  versionsOf,
  wishesOf,
  type IPFamily,
  type NamedObjects,
  type Network,
  type Pod,
  type ResolveDefaults,
  type Resolved,
} from '../../api/index.ts'
import { formatAddress, formatMac, isMulticastMac } from '../../ip/index.ts'
import { ALLOWED, deny, type Decision } from '../decision.ts'
import { describeHolders, type Holder, type PodReads, type Topology } from '../reads.ts'

export interface PodRuleOptions extends ResolveDefaults {
  readonly ipRetain: boolean
  readonly statefulKinds: readonly string[]
  /** Gate VMIPRetain: pods of a KubeVirt VirtualMachine get the addresses that are kept for it. */
  readonly virtualMachines: boolean
}

/** A refusal about an annotation (or the label of the same key). */
export function denyOption(pod: Pod, option: string, why: string, wayOut: string): Decision {
  const value = annotationOrLabel(pod, option) || undefined
  return deny({ field: `metadata.annotations[${option}]`, value, why, wayOut })
}

const REMEDIES: Readonly<Record<string, string>> = {
  [SPECIFIED_NETWORK]: 'name an existing Network, or leave the annotation out',
  [SPECIFIED_SUBNET]: 'name one Subnet, or an IPv4 and an IPv6 one as V4NAME/V6NAME, of one Network',
  [NETWORK_TYPE]: 'use Underlay, Overlay or GlobalBGP, as the Network named is, or leave the annotation out',
  [ANNOTATION_IP_FAMILY]: 'use IPv4, IPv6 or DualStack, or leave the annotation out',
}

/** The way out of a wish that cannot be resolved. */
export function remedyOf(option: string): string {
  return REMEDIES[option] ?? 'leave the annotation out'
}

/**
 * The addresses that come back with a stateful pod, none when it does not keep them or has a pool of its own; or those of the
 * pod's VirtualMachine, which asks for nothing of that.
 */
export async function keptFor(
  pod: Pod,
  namespace: string,
  reads: PodReads,
  options: PodRuleOptions,
): Promise<readonly Holder[]> {
  const controller = controllerOf(pod)
  const alive = (holders: readonly Holder[]): Holder[] => holders.filter((holder) => !holder.terminating)
  if (!isStateful(controller, options.statefulKinds)) {
    const instance = options.virtualMachines ? machineInstance(controller) : null
    const owner = instance === null ? null : await reads.machineOf(namespace, instance)
    return owner === null ? [] : alive(await reads.holdersOfMachine(namespace, owner.name))
  }
  if (!parseBool(annotationOf(pod, ANNOTATION_IP_RETAIN), options.ipRetain)) return []
  if (annotationOf(pod, ANNOTATION_IP_POOL) !== '') return []
  return alive(await reads.holdersOfPod(namespace, pod.metadata.name))
}

export function namedObjects(topology: Topology): NamedObjects {
  return {
    network: (name) => {
      const network = topology.network(name)
      return network === null ? null : { type: effectiveType(network) }
    },
    subnet: (name) => {
      const subnet = topology.subnet(name)
      return subnet === null ? null : { network: subnet.spec?.network ?? '', version: isIPv6Subnet(subnet) ? '6' : '4' }
    },
  }
}

/** What is kept for the pod as configuration, null when nothing is. */
export function retainedOf(kept: readonly Holder[]): ReturnType<typeof retainedConfiguration> {
  return retainedConfiguration(kept.flatMap(({ address, network }) => (address === null ? [] : [{ address, network }])))
}

export async function validatePod(
  pod: Pod,
  namespace: string,
  reads: PodReads,
  options: PodRuleOptions,
): Promise<Decision> {
  if (pod.spec?.hostNetwork === true) return ALLOWED
  const topology = await reads.topology()
  const resolved = resolveWishes(wishesOf(pod), null, null, options, namedObjects(topology))
  if (resolved.value === null) return denyOption(pod, resolved.option, resolved.error, remedyOf(resolved.option))
  const kept = await keptFor(pod, namespace, reads, options)
  return (
    againstKept(pod, resolved.value, kept) ??
    checkPool(pod, resolved.value, topology) ??
    checkMacPool(pod) ??
    (kept.length > 0 ? null : checkSubnets(pod, resolved.value, topology)) ??
    checkCapacity(pod, resolved.value, kept, topology) ??
    ALLOWED
  )
}

/** The addresses kept for the pod must be of the network and subnets it asks for. */
function againstKept(pod: Pod, { network, subnets }: Resolved, kept: readonly Holder[]): Decision | null {
  if (network === '') return null
  const wayOut =
    machineInstance(controllerOf(pod)) === null
      ? `delete the IPInstances, or set ${ANNOTATION_IP_RETAIN} to "false" to give the addresses up`
      : 'leave the annotation out, or delete the IPInstances of the VirtualMachine to give its addresses up'
  const elsewhere = kept.filter((holder) => holder.network !== network)
  if (elsewhere.length > 0) {
    const networks = [...new Set(elsewhere.map((holder) => holder.network))].join(', ')
    const why = `the pod already holds ${describeHolders(elsewhere)} of network ${networks}, not of ${network}`
    return denyOption(pod, SPECIFIED_NETWORK, why, wayOut)
  }
  const outside = subnets.length === 0 ? [] : kept.filter((holder) => !subnets.includes(holder.subnet))
  if (outside.length === 0) return null
  const names = [...new Set(outside.map((holder) => holder.subnet))].join(', ')
  return denyOption(
    pod,
    SPECIFIED_SUBNET,
    `the pod already holds ${describeHolders(outside)} of subnet ${names}`,
    wayOut,
  )
}

function checkPool(pod: Pod, { network, subnets, family }: Resolved, topology: Topology): Decision | null {
  const text = annotationOf(pod, ANNOTATION_IP_POOL)
  if (text === '') return null
  if (network === '') {
    const why = 'addresses can be chosen only within a network'
    return denyOption(pod, ANNOTATION_IP_POOL, why, `name it by ${SPECIFIED_NETWORK} or ${SPECIFIED_SUBNET}`)
  }
  const pool = parseIPPool(text)
  if (pool.value === null) {
    const wayOut = 'write one entry per pod separated by commas, each IPv4, IPv6 or IPv4/IPv6'
    return denyOption(pod, ANNOTATION_IP_POOL, pool.error, wayOut)
  }
  const ranges = topology.subnets().flatMap((subnet) => {
    const parsed = parseSubnet(subnet).value
    const counts = subnets.length === 0 ? parsed?.network === network : subnets.includes(subnet.metadata.name)
    return parsed !== null && counts ? [parsed] : []
  })
  for (const [index, entry] of pool.value.entries()) {
    const shown = entry.map(formatAddress).join('/')
    if (!addressesFit(entry, family)) {
      const why = `entry ${index} (${shown}) does not fit the ip-family ${family}`
      return denyOption(
        pod,
        ANNOTATION_IP_POOL,
        why,
        `give each entry ${family === 'DualStack' ? 'IPv4/IPv6' : `one ${family === 'IPv4Only' ? 'IPv4' : 'IPv6'} address`}, or set ${ANNOTATION_IP_FAMILY}`,
      )
    }
    const foreign = entry.find((address) => !ranges.some((range) => isAssignable(range, address)))
    if (foreign !== undefined) {
      const where = subnets.length === 0 ? `network ${network}` : `subnet ${subnets.join('/')}`
      const why = `entry ${index}: ${formatAddress(foreign)} is not an address to assign of ${where}`
      const wayOut = 'use addresses of its Subnets that are between start and end, not excluded and no gateway'
      return denyOption(pod, ANNOTATION_IP_POOL, why, wayOut)
    }
  }
  return null
}

function checkMacPool(pod: Pod): Decision | null {
  const text = annotationOf(pod, ANNOTATION_MAC_POOL)
  if (text === '') return null
  const wayOut = 'write one unicast MAC address per pod separated by commas, for example 02:12:34:00:00:01'
  const pool = parseMacPool(text)
  if (pool.value === null) return denyOption(pod, ANNOTATION_MAC_POOL, pool.error, wayOut)
  const multicast = pool.value.findIndex((mac) => isMulticastMac(mac))
  if (multicast < 0) return null
  const why = `entry ${multicast}: ${formatMac(pool.value[multicast] ?? 0)} is a multicast address`
  return denyOption(pod, ANNOTATION_MAC_POOL, why, wayOut)
}

/** Named subnets must be one per address the family takes, each of its version. */
function checkSubnets(pod: Pod, { subnets, family }: Resolved, topology: Topology): Decision | null {
  if (subnets.length === 0) return null
  const versions = subnets.map((name) => {
    const subnet = topology.subnet(name)
    return subnet !== null && isIPv6Subnet(subnet) ? 6 : 4
  })
  const wanted = versionsOf(family)
  if (versions.length === wanted.length && versions.every((version, index) => version === wanted[index])) return null
  const why = `it names ${versions.map((version) => `an IPv${version}`).join(' and ')} subnet, but the ip-family is ${family}`
  const wayOut = `name ${wanted.map((version) => `an IPv${version}`).join(' and ')} subnet, or set ${ANNOTATION_IP_FAMILY}`
  return denyOption(pod, SPECIFIED_SUBNET, why, wayOut)
}

/** Where any node will do, the cluster must have an address left; addresses that come back need none. */
function checkCapacity(pod: Pod, wanted: Resolved, kept: readonly Holder[], topology: Topology): Decision | null {
  const { type, family, subnets } = wanted
  if (!isGloballyUnique(type)) return null
  const network = topology.networks().find((one) => effectiveType(one) === type)
  if (network === undefined) {
    const wayOut = 'create one, or ask for another type'
    return denyOption(pod, NETWORK_TYPE, `there is no Network of type ${type}`, wayOut)
  }
  if (kept.length > 0 || annotationOf(pod, ANNOTATION_IP_POOL) !== '') return null
  const full = subnets.find((name) => topology.subnet(name)?.status?.available === 0)
  if (full !== undefined) {
    const why = `Subnet ${JSON.stringify(full)} has no address left`
    return denyOption(pod, SPECIFIED_SUBNET, why, 'name another Subnet, enlarge it, or delete pods')
  }
  if (subnets.length > 0) return null
  if (isAvailable(statisticsFor(network, family))) return checkOpenSubnets(pod, network, family, topology)
  const why = `Network ${JSON.stringify(network.metadata.name)} has no ${family} address left`
  const field = annotationOrLabel(pod, SPECIFIED_NETWORK) === '' ? NETWORK_TYPE : SPECIFIED_NETWORK
  return denyOption(pod, field, why, 'add a Subnet, enlarge one, or delete pods')
}

/** The numbers of a Network count private Subnets, which serve only pods that name them. */
function checkOpenSubnets(pod: Pod, network: Network, family: IPFamily, topology: Topology): Decision | null {
  const { name } = network.metadata
  const own = topology.subnets().filter((subnet) => subnet.spec?.network === name)
  for (const version of versionsOf(family)) {
    // A Subnet without numbers is younger than its Network's.
    const free = own.filter((subnet) => isIPv6Subnet(subnet) === (version === 6) && (subnet.status?.available ?? 1) > 0)
    if (free.length === 0 || free.some((subnet) => !isPrivateSubnet(subnet))) continue
    const names = free.map((subnet) => subnet.metadata.name).slice(0, 10)
    const why = `Network ${JSON.stringify(name)} has IPv${version} addresses left only in private Subnets (${names.join(', ')})`
    const wayOut = `name one by ${SPECIFIED_SUBNET}, add a Subnet, or delete pods`
    return denyOption(
      pod,
      annotationOrLabel(pod, SPECIFIED_NETWORK) === '' ? NETWORK_TYPE : SPECIFIED_NETWORK,
      why,
      wayOut,
    )
  }
  return null
}
