// What a node keeps of the objects it watches, decided at the edge of the watch: parsed once into numbers, and what is
// wrong with them kept beside, so that a bad object costs only itself and can be reported.
import {
  compareSeniority,
  controllerOf,
  hostVethName,
  isServable,
  parseIPInstance,
  parseNetwork,
  parseNodeInfo,
  parseSubnet,
  findSubnetConflicts,
  formatProblems,
  wishesOf,
  type IPInstance,
  type Network,
  type Node,
  type NodeInfo,
  type OwnerReference,
  type ParsedIPInstance,
  type ParsedNetwork,
  type ParsedSubnet,
  type ParsedVtep,
  type Pod,
  type Subnet,
  type SubnetConflict,
  type Wishes,
} from '../../api/index.ts'
import { tryParseAddress, type IPAddress } from '../../ip/index.ts'
import type { FabricMode, OverlayInput, PodAddressInput, SubnetInput } from '../../dataplane/index.ts'
import type { KubeObject } from '../../kube/index.ts'

/** A parsed object, and a sentence on what is wrong with it. */
export interface Projected<T> {
  readonly name: string
  readonly value: T | null
  readonly problem: string | null
}

function projected<T>(
  name: string,
  parsed: { value: T | null; problems: Parameters<typeof formatProblems>[0] },
): Projected<T> {
  return { name, value: parsed.value, problem: parsed.problems.length === 0 ? null : formatProblems(parsed.problems) }
}

// The client hands over objects as they came; the kinds are what was asked for.
const as = <T>(raw: KubeObject): T => raw as unknown as T

export interface ProjectedNetwork extends Projected<ParsedNetwork> {
  /** RFC 3339: of two Overlay networks the older one stands. */
  readonly created: string
}

export function projectNetwork(raw: KubeObject): ProjectedNetwork {
  return {
    ...projected(raw.metadata.name ?? '', parseNetwork(as<Network>(raw))),
    created: raw.metadata.creationTimestamp ?? '',
  }
}

export interface ProjectedSubnet extends Projected<ParsedSubnet> {
  /** RFC 3339: of two Subnets that collide the older one stands. */
  readonly created: string
  /** As declared: a Subnet without either has no addresses outside its range, not even the network's own. */
  readonly start: IPAddress | null
  readonly end: IPAddress | null
}

export function projectSubnet(raw: KubeObject): ProjectedSubnet {
  const subnet = as<Subnet>(raw)
  const range = subnet.spec?.range
  return {
    ...projected(raw.metadata.name ?? '', parseSubnet(subnet)),
    created: raw.metadata.creationTimestamp ?? '',
    start: tryParseAddress(range?.start ?? ''),
    end: tryParseAddress(range?.end ?? ''),
  }
}

export function projectNodeInfo(raw: KubeObject): Projected<ParsedVtep> {
  return projected(raw.metadata.name ?? '', parseNodeInfo(as<NodeInfo>(raw)))
}

export interface ProjectedIPInstance extends Projected<ParsedIPInstance> {
  /** Container ID of the sandbox it was last wired into, null when nobody said. */
  readonly sandboxId: string | null
  /** Its binding has changed since it was made (metadata.generation counts that): it was reserved, or bound again. */
  readonly rebound: boolean
}

export function projectIPInstance(raw: KubeObject): ProjectedIPInstance {
  const instance = as<IPInstance>(raw)
  const name = `${raw.metadata.namespace ?? ''}/${raw.metadata.name ?? ''}`
  return {
    ...projected(name, parseIPInstance(instance)),
    sandboxId: instance.status?.sandboxID ?? null,
    rebound: (instance.metadata.generation ?? 1) > 1,
  }
}

/** The addresses of a Node object that are IP addresses, and its UID. */
export interface ProjectedNode {
  readonly uid: string
  readonly addresses: readonly IPAddress[]
}

export function projectNode(raw: KubeObject): ProjectedNode {
  const entries = as<Node>(raw).status?.addresses ?? []
  const addresses = entries.map((entry) => tryParseAddress(entry.address)).filter((address) => address !== null)
  return { uid: raw.metadata.uid ?? '', addresses }
}

/** What the CNI server needs of a pod of this node. */
export interface ProjectedPod {
  readonly uid: string
  readonly annotations: Readonly<Record<string, string>>
  readonly labels: Readonly<Record<string, string>>
  readonly nodeName: string
  readonly wishes: Wishes
  readonly controller: OwnerReference | null
}

export function projectPod(raw: KubeObject): ProjectedPod {
  const pod = as<Pod>(raw)
  return {
    uid: raw.metadata.uid ?? '',
    annotations: raw.metadata.annotations ?? {},
    labels: raw.metadata.labels ?? {},
    nodeName: pod.spec?.nodeName ?? '',
    wishes: wishesOf(pod),
    controller: controllerOf(pod),
  }
}

/** The Networks that stand, the Overlay one among them, and a sentence on what is wrong with each that has a fault. */
export interface NetworkDecision {
  readonly usable: ReadonlyMap<string, ParsedNetwork>
  readonly overlay: OverlayInput | null
  readonly problems: ReadonlyMap<string, string>
}

/**
 * Which Networks this node serves: readable ones, and of type Overlay only the oldest that has a VNI. The manager
 * chooses alike (`networksBySeniority`): adding a Network never takes the tunnel from the one that has it.
 */
export function decideNetworks(networks: readonly ProjectedNetwork[]): NetworkDecision {
  const usable = new Map<string, ParsedNetwork>()
  const problems = new Map<string, string>()
  let overlay: OverlayInput | null = null
  for (const { name, value, problem } of [...networks].sort(compareSeniority)) {
    if (problem !== null) problems.set(name, problem)
    if (!isServable(value)) continue
    if (value.mode === 'VXLAN' && value.netID !== null) {
      if (overlay !== null) {
        problems.set(name, `a cluster has one Overlay network, and ${overlay.name} is it`)
        continue
      }
      overlay = { name, vni: value.netID }
    }
    usable.set(name, value)
  }
  return { usable, overlay, problems }
}

/** The Subnets that stand, as dataplane input, and a sentence for each that does not. */
export interface SubnetDecision {
  readonly inputs: readonly SubnetInput[]
  readonly problems: ReadonlyMap<string, string>
}

/**
 * Which Subnets this node serves: readable ones whose Network exists and that collide with no older one. Each of the
 * others is left out alone.
 */
export function decideSubnets(
  nodeName: string,
  networks: ReadonlyMap<string, ParsedNetwork>,
  subnets: readonly ProjectedSubnet[],
): SubnetDecision {
  const inputs: SubnetInput[] = []
  const problems = new Map<string, string>()
  const conflicts = conflictsBySubnet(subnets)
  const standing = new Set<string>()
  const inBgpNetwork = [...networks.values()].some(({ mode, nodes }) => mode === 'BGP' && nodes.includes(nodeName))
  const byAge = [...subnets].sort(compareSeniority)
  for (const subnet of byAge) {
    const { name, value, problem } = subnet
    if (problem !== null) problems.set(name, problem)
    // With lesser faults (host bits in the CIDR) it is served: it can only be meant one way, and the original serves it.
    if (value === null) continue
    const network = networks.get(value.network)
    if (network === undefined) {
      problems.set(name, `spec.network is "${value.network}", expected the name of a Network that exists`)
      continue
    }
    const conflict = (conflicts.get(name) ?? []).find(({ a, b }) => standing.has(a === name ? b : a))
    if (conflict) {
      problems.set(name, conflict.message)
      continue
    }
    standing.add(name)
    inputs.push(subnetInput(nodeName, network, subnet, value, inBgpNetwork))
  }
  return { inputs, problems }
}

function conflictsBySubnet(subnets: readonly ProjectedSubnet[]): Map<string, SubnetConflict[]> {
  const byName = new Map<string, SubnetConflict[]>()
  for (const conflict of findSubnetConflicts(subnets.map(({ value }) => value).filter((value) => value !== null))) {
    for (const name of [conflict.a, conflict.b]) byName.set(name, [...(byName.get(name) ?? []), conflict])
  }
  return byName
}

function subnetInput(
  nodeName: string,
  network: ParsedNetwork,
  projection: ProjectedSubnet,
  subnet: ParsedSubnet,
  inBgpNetwork: boolean,
): SubnetInput {
  const mode: FabricMode = network.mode
  const member = mode === 'VXLAN' || (mode === 'GlobalBGP' ? inBgpNetwork : network.nodes.includes(nodeName))
  return {
    name: subnet.name,
    network: network.name,
    prefix: subnet.prefix,
    gateway: subnet.gateway,
    start: projection.start,
    end: projection.end,
    exclude: subnet.excluded,
    mode,
    vlanId: mode === 'VLAN' ? (subnet.netID ?? network.netID) : null,
    autoNatOutgoing: subnet.autoNatOutgoing,
    member,
  }
}

/**
 * A local IPInstance as dataplane input; null while it is reserved.
 *
 * A Network that is missing or cannot be read takes nothing from pods that run: their route in table 39999 is theirs as long
 * as their IPInstance is (spec/dataplane §2.1). What every mode has in common is kept, what only the Network knows is not.
 */
export function podInput(
  instance: ParsedIPInstance,
  networks: ReadonlyMap<string, ParsedNetwork>,
): PodAddressInput | null {
  if (instance.reserved) return null
  const mode = networks.get(instance.network)?.mode ?? 'VXLAN'
  return {
    key: instance.key,
    address: instance.address,
    mode,
    vlanId: mode === 'VLAN' ? instance.netID : null,
    hostLink: instance.podName === '' ? null : hostVethName(instance.namespace, instance.podName),
  }
}
