// The manager's local copy of the cluster: one informer per kind, projected at the edge, with the indexes decisions use.
//
// It is started only after the lease is won. The first list of each informer is then a consistent one (no resourceVersion
// given: the server answers from its store, not from a cache), which is what a new leader must build its state from
// (manager.md §6.5, D10). A standby therefore keeps nothing.
import {
  IPINSTANCES,
  NAMESPACES,
  NETWORKS,
  NODES,
  PODS,
  SUBNETS,
  effectiveType,
  networksBySeniority,
  type IPInstance,
  type Namespace,
  type Network,
  type Node,
  type Pod,
  type Subnet,
  wishesOf,
  type Wishes,
} from '../api/index.ts'
import { addressKey, formatMac, type IPAddress } from '../ip/index.ts'
import { Informer, type KubeClient } from '../kube/index.ts'
import type { Logger } from '../telemetry/log.ts'
import { instanceOf, type Instance } from './views/instance.ts'
import { nodeView, type NodeView } from './views/node.ts'
import { podView, type PodView } from './views/pod.ts'

/**
 * How long addresses, pods and networks that the API server has forgotten (restored from a backup, or empty) still count: what
 * runs with an address goes on for a while, and nobody else may get it.
 */
const REWIND_HOLD_MS = 300_000

export class Cluster {
  readonly networks: Informer<Network>
  readonly subnets: Informer<Subnet>
  readonly instances: Informer<Instance>
  readonly pods: Informer<PodView>
  readonly nodes: Informer<NodeView>
  readonly namespaces: Informer<Wishes>
  readonly #onRewound = new Set<() => void>()

  constructor(client: KubeClient, log: Logger, podLabelSelector: string) {
    const common = { logger: log.child({ component: 'cluster' }), rewindHoldMs: REWIND_HOLD_MS }
    this.networks = new Informer<Network>(client, {
      resource: NETWORKS,
      project: (raw) => raw as unknown as Network,
      indexes: {
        type: (network) => [effectiveType(network)],
        node: (network) => (effectiveType(network) === 'Underlay' ? (network.status?.nodeList ?? []) : []),
      },
      ...common,
    })
    this.subnets = new Informer<Subnet>(client, {
      resource: SUBNETS,
      project: (raw) => raw as unknown as Subnet,
      indexes: { network: (subnet) => (subnet.spec?.network ? [subnet.spec.network] : []) },
      ...common,
    })
    this.instances = new Informer<Instance>(client, {
      resource: IPINSTANCES,
      project: (raw) => instanceOf(raw as unknown as IPInstance),
      indexes: {
        address: (instance) => instance.addresses.map(addressKey),
        pod: (instance) => (instance.podName === '' ? [] : [`${instance.namespace}/${instance.podName}`]),
        vm: (instance) => (instance.vm === '' ? [] : [`${instance.namespace}/${instance.vm}`]),
        mac: (instance) => (instance.mac === 0 ? [] : [formatMac(instance.mac)]),
      },
      onRewind: () => {
        for (const handler of this.#onRewound) handler()
      },
      ...common,
    })
    this.pods = new Informer<PodView>(client, {
      resource: PODS,
      project: (raw) => podView(raw as unknown as Pod),
      ...(podLabelSelector === '' ? {} : { labelSelector: podLabelSelector }),
      indexes: {
        node: (pod) => [pod.nodeName],
        namespace: (pod) => [pod.namespace],
      },
      ...common,
    })
    this.nodes = new Informer<NodeView>(client, {
      resource: NODES,
      project: (raw) => nodeView(raw as unknown as Node),
      ...common,
    })
    this.namespaces = new Informer<Wishes>(client, {
      resource: NAMESPACES,
      project: (raw) => wishesOf(raw as unknown as Namespace),
      ...common,
    })
  }

  /**
   * Calls the handler when the API server has gone back in time and the IPInstances shown are those it has now, and, for
   * REWIND_HOLD_MS, those it has forgotten (`instances.isHeld`).
   *
   * @returns ends it
   */
  onRewound(handler: () => void): () => void {
    this.#onRewound.add(handler)
    return () => this.#onRewound.delete(handler)
  }

  /** Starts every informer; resolves when all have their first list. */
  async start(): Promise<void> {
    await Promise.all(this.#informers().map((informer) => informer.start().synced))
  }

  async stop(): Promise<void> {
    await Promise.all(this.#informers().map((informer) => informer.stop()))
  }

  /** Networks of an effective type; the first is the one that counts where there may be one. */
  networksOfType(type: string): readonly Network[] {
    return networksBySeniority(this.networks.store.byIndex('type', type))
  }

  /** Underlay networks whose status lists the node; the first is used for its pods. */
  networksOfNode(node: string): readonly Network[] {
    return networksBySeniority(this.networks.store.byIndex('node', node))
  }

  subnetsOf(network: string): readonly Subnet[] {
    return this.subnets.store.byIndex('network', network)
  }

  /** The objects that claim the address, over all namespaces. */
  instancesAt(address: IPAddress): readonly Instance[] {
    return this.instances.store.byIndex('address', addressKey(address))
  }

  /** The object of the namespace that claims the address, as last seen. */
  instanceAt(namespace: string, address: IPAddress): Instance | null {
    return this.instancesAt(address).find((instance) => instance.namespace === namespace) ?? null
  }

  /** The objects of a VirtualMachine. @param label its name as a label value */
  instancesOfMachine(namespace: string, label: string): readonly Instance[] {
    return this.instances.store.byIndex('vm', `${namespace}/${label}`)
  }

  #informers(): readonly Informer<never>[] {
    return [
      this.networks,
      this.subnets,
      this.instances,
      this.pods,
      this.nodes,
      this.namespaces,
    ] as unknown as readonly Informer<never>[]
  }
}
