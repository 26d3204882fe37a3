// Reads that ask the API server each time, by quorum (no resource version), within the time a review has.
import {
  addressFromName,
  isTerminating,
  LABEL_NETWORK,
  LABEL_NODE,
  LABEL_POD,
  LABEL_SUBNET,
  LABEL_VM,
  IPINSTANCES,
  labelOf,
  machineOfInstance,
  NAMESPACES,
  NETWORKS,
  NODES,
  podNameLabel,
  REMOTE_CLUSTERS,
  REMOTE_SUBNETS,
  SUBNETS,
  VIRTUAL_MACHINE_INSTANCES,
  wishesOf,
  type KubeObject,
  type Network,
  type OwnerReference,
  type RemoteCluster,
  type RemoteSubnet,
  type ResourceType,
  type Subnet,
  type Wishes,
} from '../api/index.ts'
import { formatAddress } from '../ip/index.ts'
import { isNotFound, type KubeClient } from '../kube/index.ts'
import type { Holder, NodeFact, ObjectReads, PodReads, Topology } from './reads.ts'

export function holderOf(object: KubeObject): Holder {
  const address = addressFromName(object.metadata.name)
  return {
    namespace: object.metadata.namespace ?? '',
    address,
    text: address === null ? object.metadata.name : formatAddress(address),
    pod: labelOf(object, LABEL_POD),
    node: labelOf(object, LABEL_NODE),
    network: labelOf(object, LABEL_NETWORK),
    subnet: labelOf(object, LABEL_SUBNET),
    terminating: isTerminating(object),
  }
}

/** Two lists as one topology. */
export function topologyOf(networks: readonly Network[], subnets: readonly Subnet[]): Topology {
  return {
    network: (name) => networks.find((network) => network.metadata.name === name) ?? null,
    subnet: (name) => subnets.find((subnet) => subnet.metadata.name === name) ?? null,
    networks: () => networks,
    subnets: () => subnets,
  }
}

export class LiveReads implements ObjectReads, PodReads {
  readonly #client: KubeClient
  readonly #signal: AbortSignal

  /** @param signal ends every read: the review's deadline */
  constructor(client: KubeClient, signal: AbortSignal) {
    this.#client = client
    this.#signal = signal
  }

  async topology(): Promise<Topology> {
    const [networks, subnets] = await Promise.all([this.#list<Network>(NETWORKS), this.#list<Subnet>(SUBNETS)])
    return topologyOf(networks, subnets)
  }

  async nodes(): Promise<readonly NodeFact[]> {
    const nodes = await this.#client.list<KubeObject>(NODES, { metadataOnly: true, signal: this.#signal })
    return nodes.items.map((node) => ({
      name: node.metadata.name,
      labels: node.metadata.labels ?? {},
      terminating: isTerminating(node),
    }))
  }

  holdersOfSubnet(subnet: string): Promise<readonly Holder[]> {
    return this.#holders(`${LABEL_SUBNET}=${subnet}`, null)
  }

  holdersOfNetwork(network: string): Promise<readonly Holder[]> {
    return this.#holders(`${LABEL_NETWORK}=${network}`, null)
  }

  holdersOfPod(namespace: string, pod: string): Promise<readonly Holder[]> {
    return this.#holders(`${LABEL_POD}=${podNameLabel(pod)}`, namespace)
  }

  holdersOfMachine(namespace: string, machine: string): Promise<readonly Holder[]> {
    return this.#holders(`${LABEL_VM}=${podNameLabel(machine)}`, namespace)
  }

  async machineOf(namespace: string, instance: OwnerReference): Promise<OwnerReference | null> {
    const options = { metadataOnly: true, signal: this.#signal }
    const ref = { namespace, name: instance.name }
    return machineOfInstance(instance, await this.#client.find<KubeObject>(VIRTUAL_MACHINE_INSTANCES, ref, options))
  }

  async namespaceWishes(name: string): Promise<Wishes | null> {
    const found = await this.#client.find<KubeObject>(NAMESPACES, { name }, { signal: this.#signal })
    return found === null ? null : wishesOf(found)
  }

  remoteClusters(): Promise<readonly RemoteCluster[]> {
    return this.#list<RemoteCluster>(REMOTE_CLUSTERS)
  }

  remoteSubnets(): Promise<readonly RemoteSubnet[]> {
    return this.#list<RemoteSubnet>(REMOTE_SUBNETS)
  }

  async #holders(labelSelector: string, namespace: string | null): Promise<readonly Holder[]> {
    const { items } = await this.#client.list<Holder>(IPINSTANCES, {
      namespace,
      labelSelector,
      metadataOnly: true,
      project: (raw) => holderOf(raw as unknown as KubeObject),
      signal: this.#signal,
    })
    return items
  }

  /** All objects of a kind; none when the kind is not installed. */
  async #list<T>(resource: ResourceType): Promise<readonly T[]> {
    try {
      return (await this.#client.list<T>(resource, { project: (raw) => raw as T, signal: this.#signal })).items
    } catch (error) {
      if (isNotFound(error)) return []
      throw error
    }
  }
}
