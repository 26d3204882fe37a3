// The local copy pods are judged over: Networks and Subnets whole, of IPInstances and Namespaces what rules ask for.
import {
  IPINSTANCES,
  LABEL_VM,
  labelOf,
  NAMESPACES,
  NETWORKS,
  podNameLabel,
  SUBNETS,
  wishesOf,
  type KubeObject,
  type Network,
  type Subnet,
  type Wishes,
} from '../api/index.ts'
import { Informer, type KubeClient } from '../kube/index.ts'
import type { Logger } from '../telemetry/log.ts'
import { holderOf } from './live.ts'
import type { CachedPodReads, Holder, Topology } from './reads.ts'

interface Labelled extends Holder {
  /** Label value of its VirtualMachine, '' for other pods. */
  readonly machine: string
}

export class CachedReads implements CachedPodReads {
  readonly #networks: Informer<Network>
  readonly #subnets: Informer<Subnet>
  readonly #holders: Informer<Labelled>
  readonly #namespaces: Informer<Wishes>

  constructor(client: KubeClient, log: Logger) {
    const logger = log.child({ component: 'cache' })
    this.#networks = new Informer<Network>(client, {
      resource: NETWORKS,
      project: (raw) => raw as unknown as Network,
      logger,
    })
    this.#subnets = new Informer<Subnet>(client, {
      resource: SUBNETS,
      project: (raw) => raw as unknown as Subnet,
      logger,
    })
    this.#holders = new Informer<Labelled>(client, {
      resource: IPINSTANCES,
      metadataOnly: true,
      project: (raw) => {
        const object = raw as unknown as KubeObject
        return { ...holderOf(object), machine: labelOf(object, LABEL_VM) }
      },
      indexes: {
        pod: ({ namespace, pod }) => [`${namespace}/${pod}`],
        machine: ({ namespace, machine }) => (machine === '' ? [] : [`${namespace}/${machine}`]),
      },
      logger,
    })
    this.#namespaces = new Informer<Wishes>(client, {
      resource: NAMESPACES,
      metadataOnly: true,
      project: (raw) => wishesOf(raw as unknown as KubeObject),
      logger,
    })
  }

  /** Resolves when all kinds have their first list. */
  async start(): Promise<void> {
    await Promise.all(this.#all().map((informer) => informer.start().synced))
  }

  async stop(): Promise<void> {
    await Promise.all(this.#all().map((informer) => informer.stop()))
  }

  get synced(): boolean {
    return this.#all().every((informer) => informer.isSynced)
  }

  topology(): Promise<Topology> {
    const [networks, subnets] = [this.#networks.store, this.#subnets.store]
    return Promise.resolve({
      network: (name) => networks.get(name) ?? null,
      subnet: (name) => subnets.get(name) ?? null,
      networks: () => networks.list(),
      subnets: () => subnets.list(),
    })
  }

  namespaceWishes(name: string): Promise<Wishes | null> {
    return Promise.resolve(this.#namespaces.store.get(name) ?? null)
  }

  holdersOfPod(namespace: string, pod: string): Promise<readonly Holder[]> {
    return Promise.resolve(this.#holders.store.byIndex('pod', `${namespace}/${podNameLabel(pod)}`))
  }

  holdersOfMachine(namespace: string, machine: string): Promise<readonly Holder[]> {
    return Promise.resolve(this.#holders.store.byIndex('machine', `${namespace}/${podNameLabel(machine)}`))
  }

  #all(): readonly Informer<never>[] {
    return [this.#networks, this.#subnets, this.#holders, this.#namespaces] as unknown as readonly Informer<never>[]
  }
}
