// The built-in kinds, as data.
import { webhookStrategy } from './admission/config.ts'
import type { Resource, Strategy } from './registry.ts'
import { builtinSchema } from './schema/builtin.ts'
import { pathReader } from './selectors.ts'
import type { FieldReader } from './selectors.ts'
import * as core from './strategies/core.ts'
import { coreEvent, eventsEvent } from './strategies/events.ts'
import { podStrategy } from './strategies/pods.ts'
import { serviceStrategy } from './strategies/services.ts'
import { builtinColumns, plainColumns } from './tables/columns.ts'

/** One line of the table below. */
export interface Kind {
  readonly kind: string
  /** `group/version`; the core group is `v1`. */
  readonly in: string
  readonly plural?: string
  readonly short?: readonly string[]
  readonly categories?: readonly string[]
  readonly cluster?: boolean
  readonly status?: boolean
  readonly subresources?: readonly string[]
  readonly generation?: boolean
  readonly versioned?: boolean
  readonly returnsDeleted?: boolean
  readonly putCreates?: boolean
  readonly fields?: readonly string[]
  readonly strategy?: Strategy
  /** Name of the type in schema/builtin, where it is not the kind. */
  readonly type?: string
}

const podFields = ['spec.nodeName', 'spec.restartPolicy', 'spec.schedulerName', 'spec.serviceAccountName', 'spec.hostNetwork', 'status.phase', 'status.podIP', 'status.podIPs', 'status.nominatedNodeName'] // prettier-ignore
const eventFields = ['kind', 'namespace', 'name', 'uid', 'apiVersion', 'resourceVersion', 'fieldPath'].map(
  (field) => `involvedObject.${field}`,
)
const all = ['all']

const kinds = (serviceCidr: string): readonly Kind[] => [
  { kind: 'Namespace', in: 'v1', short: ['ns'], cluster: true, status: true, subresources: ['finalize'], fields: ['status.phase'], strategy: core.namespaceStrategy }, // prettier-ignore
  {
    kind: 'Node',
    in: 'v1',
    short: ['no'],
    cluster: true,
    status: true,
    fields: ['spec.unschedulable'],
    strategy: core.nodeStrategy,
  },
  { kind: 'Pod', in: 'v1', short: ['po'], categories: all, status: true, subresources: ['binding', 'eviction'], returnsDeleted: true, fields: podFields, strategy: podStrategy }, // prettier-ignore
  { kind: 'Service', in: 'v1', short: ['svc'], categories: all, status: true, returnsDeleted: true, putCreates: true, fields: ['spec.clusterIP', 'spec.type'], strategy: serviceStrategy(serviceCidr) }, // prettier-ignore
  { kind: 'Endpoints', in: 'v1', plural: 'endpoints', short: ['ep'], putCreates: true },
  { kind: 'ConfigMap', in: 'v1', short: ['cm'], strategy: core.configMapStrategy },
  { kind: 'Secret', in: 'v1', fields: ['type'], strategy: core.secretStrategy },
  { kind: 'ServiceAccount', in: 'v1', short: ['sa'], returnsDeleted: true },
  { kind: 'Event', in: 'v1', short: ['ev'], putCreates: true, fields: [...eventFields, 'reason', 'type', 'source', 'reportingComponent'], strategy: core.coreEventStrategy }, // prettier-ignore
  { kind: 'Event', in: 'events.k8s.io/v1', type: 'EventsEvent', putCreates: true, short: ['ev'], fields: ['reason', 'type', 'reportingController'], strategy: core.eventsEventStrategy }, // prettier-ignore
  { kind: 'Lease', in: 'coordination.k8s.io/v1', versioned: true, putCreates: true, strategy: core.leaseStrategy },
  { kind: 'EndpointSlice', in: 'discovery.k8s.io/v1', generation: true, strategy: core.endpointSliceStrategy },
  { kind: 'NetworkPolicy', in: 'networking.k8s.io/v1', plural: 'networkpolicies', short: ['netpol'], generation: true, strategy: core.networkPolicyStrategy }, // prettier-ignore
  {
    kind: 'Deployment',
    in: 'apps/v1',
    short: ['deploy'],
    categories: all,
    status: true,
    subresources: ['scale'],
    generation: true,
    strategy: core.deploymentStrategy,
  },
  {
    kind: 'StatefulSet',
    in: 'apps/v1',
    short: ['sts'],
    categories: all,
    status: true,
    subresources: ['scale'],
    generation: true,
    strategy: core.statefulSetStrategy,
  },
  {
    kind: 'DaemonSet',
    in: 'apps/v1',
    short: ['ds'],
    categories: all,
    status: true,
    generation: true,
    strategy: core.daemonSetStrategy,
  },
  {
    kind: 'ReplicaSet',
    in: 'apps/v1',
    short: ['rs'],
    categories: all,
    status: true,
    subresources: ['scale'],
    generation: true,
    strategy: core.replicaSetStrategy,
  },
  { kind: 'ControllerRevision', in: 'apps/v1' },
  { kind: 'Job', in: 'batch/v1', categories: all, status: true, generation: true, strategy: core.jobStrategy },
  { kind: 'PodDisruptionBudget', in: 'policy/v1', short: ['pdb'], status: true, generation: true },
  {
    kind: 'PriorityClass',
    in: 'scheduling.k8s.io/v1',
    plural: 'priorityclasses',
    short: ['pc'],
    cluster: true,
    generation: true,
  },
  { kind: 'Role', in: 'rbac.authorization.k8s.io/v1', putCreates: true, strategy: core.roleStrategy },
  { kind: 'RoleBinding', in: 'rbac.authorization.k8s.io/v1', putCreates: true, strategy: core.roleBindingStrategy },
  {
    kind: 'ClusterRole',
    in: 'rbac.authorization.k8s.io/v1',
    cluster: true,
    putCreates: true,
    strategy: core.roleStrategy,
  },
  {
    kind: 'ClusterRoleBinding',
    in: 'rbac.authorization.k8s.io/v1',
    cluster: true,
    putCreates: true,
    strategy: core.roleBindingStrategy,
  },
  { kind: 'MutatingWebhookConfiguration', in: 'admissionregistration.k8s.io/v1', categories: ['api-extensions'], cluster: true, generation: true, strategy: webhookStrategy('mutating') }, // prettier-ignore
  { kind: 'ValidatingWebhookConfiguration', in: 'admissionregistration.k8s.io/v1', categories: ['api-extensions'], cluster: true, generation: true, strategy: webhookStrategy('validating') }, // prettier-ignore
]

/** All built-in resources but CustomResourceDefinitions, whose strategy needs the registry (crds.ts). */
export function builtinResources(serviceCidr: string): Resource[] {
  return kinds(serviceCidr).map(builtinResource)
}

export function builtinResource(kind: Kind): Resource {
  const [first = '', second] = kind.in.split('/')
  const group = second === undefined ? '' : first
  const version = second ?? first
  const singular = kind.kind.toLowerCase()
  const plural = kind.plural ?? `${singular}s`
  const isEvent = kind.kind === 'Event'
  return {
    group,
    version,
    plural,
    singular,
    kind: kind.kind,
    listKind: `${kind.kind}List`,
    shortNames: kind.short ?? [],
    categories: kind.categories ?? [],
    namespaced: kind.cluster !== true,
    collection: isEvent ? '/events' : `${group}/${plural}`,
    storedApiVersion: isEvent ? 'v1' : kind.in,
    subresources: [...(kind.status === true ? ['status'] : []), ...(kind.subresources ?? [])],
    generation: kind.generation === true,
    versionedUpdates: kind.versioned === true,
    returnsDeleted: kind.returnsDeleted === true,
    createsOnUpdate: kind.putCreates === true,
    custom: false,
    schema: builtinSchema(kind.type ?? kind.kind),
    typeName: kind.type ?? kind.kind,
    fields: new Map((kind.fields ?? []).map((field) => [field, readerOf(field)])),
    columns: builtinColumns[plural] ?? plainColumns,
    strategy: kind.strategy ?? {},
    ...(kind.type === 'EventsEvent' ? { convert: { toStored: coreEvent, fromStored: eventsEvent } } : {}),
  }
}

function readerOf(field: string): FieldReader {
  const read = pathReader(field)
  // Booleans that are absent are false to a selector.
  if (field === 'spec.unschedulable' || field === 'spec.hostNetwork') return (object) => read(object) || 'false'
  if (field === 'source') return pathReader('source.component')
  return read
}
