// The local copies the workload controllers share: one watch per kind, however many of them look.
import { ENDPOINT_SLICES, NODES, PODS, SERVICES } from '../../api/index.ts'
import { Informer, type KubeClient, leaseResource, type ObjectMeta, type ResourceType } from '../../kube/index.ts'
import type { Logger } from '../../telemetry/log.ts'
import { controllerOf } from './claim.ts'
import type { HealthNode } from './node-health.ts'
import {
  CONTROLLER_REVISIONS,
  DEPLOYMENTS,
  DISRUPTION_BUDGETS,
  ENDPOINTS,
  REPLICA_SETS,
  STATEFUL_SETS,
  type ControllerRevision,
  type Deployment,
  type DisruptionBudget,
  type Endpoints,
  type EndpointSlice,
  type Meta,
  type Pod,
  type ReplicaSet,
  type Service,
  type StatefulSet,
} from './types.ts'

/** The service a slice belongs to. */
export const serviceNameLabel = 'kubernetes.io/service-name'

/** Where kubelets renew their leases. */
const nodeLeases = 'kube-node-lease'

type NodeMeta = ObjectMeta & { readonly name: string }

export class Caches {
  readonly nodes: Informer<HealthNode & { readonly metadata: NodeMeta }>
  /** Of nodes, without what is in them: that they change is what counts. */
  readonly leases: Informer<{ readonly metadata: NodeMeta }>
  readonly pods: Informer<Pod>
  readonly replicaSets: Informer<ReplicaSet>
  readonly deployments: Informer<Deployment>
  readonly statefulSets: Informer<StatefulSet>
  readonly revisions: Informer<ControllerRevision>
  readonly services: Informer<Service>
  readonly slices: Informer<EndpointSlice>
  readonly endpoints: Informer<Endpoints>
  readonly budgets: Informer<DisruptionBudget>

  constructor(client: KubeClient, log: Logger) {
    const owned = <T extends { readonly metadata: Meta }>(
      resource: ResourceType,
      indexes: Readonly<Record<string, (object: T) => readonly string[]>> = {},
    ): Informer<T> =>
      new Informer<T>(client, {
        resource,
        indexes: {
          ...indexes,
          namespace: ({ metadata }) => [metadata.namespace],
          uid: ({ metadata }) => [metadata.uid],
          owner: ({ metadata }) => [controllerOf(metadata) ?? `orphan/${metadata.namespace}`],
        },
        logger: log,
      })
    this.nodes = new Informer(client, { resource: NODES, logger: log })
    this.leases = new Informer(client, {
      resource: leaseResource,
      namespace: nodeLeases,
      metadataOnly: true,
      logger: log,
    })
    this.pods = owned<Pod>(PODS, { node: ({ spec }) => (spec.nodeName ? [spec.nodeName] : []) })
    this.replicaSets = owned<ReplicaSet>(REPLICA_SETS)
    this.deployments = owned<Deployment>(DEPLOYMENTS)
    this.statefulSets = owned<StatefulSet>(STATEFUL_SETS)
    this.revisions = owned<ControllerRevision>(CONTROLLER_REVISIONS)
    this.services = owned<Service>(SERVICES)
    this.slices = new Informer<EndpointSlice>(client, {
      resource: ENDPOINT_SLICES,
      indexes: {
        service: ({ metadata }) => [`${metadata.namespace ?? ''}/${metadata.labels?.[serviceNameLabel] ?? ''}`],
      },
      logger: log,
    })
    this.budgets = owned<DisruptionBudget>(DISRUPTION_BUDGETS)
    this.endpoints = new Informer<Endpoints>(client, { resource: ENDPOINTS, logger: log })
  }

  /** Resolves when all copies are filled. */
  async start(): Promise<void> {
    await Promise.all(this.#all().map((informer) => informer.start().synced))
  }

  async stop(): Promise<void> {
    await Promise.all(this.#all().map((informer) => informer.stop()))
  }

  #all(): { start(): { synced: Promise<void> }; stop(): Promise<void> }[] {
    const {
      nodes,
      leases,
      pods,
      replicaSets,
      deployments,
      statefulSets,
      revisions,
      services,
      slices,
      endpoints,
      budgets,
    } = this
    return [
      nodes,
      leases,
      pods,
      replicaSets,
      deployments,
      statefulSets,
      revisions,
      services,
      slices,
      endpoints,
      budgets,
    ]
  }
}

/** Objects of a kind that belong to an owner, and those of its namespace that belong to nobody. */
export function ownedOrOrphaned<T extends { readonly metadata: Meta }>(
  informer: Informer<T>,
  { uid, namespace }: Meta,
): T[] {
  return [...informer.store.byIndex('owner', uid), ...informer.store.byIndex('owner', `orphan/${namespace}`)]
}
