// The columns of `kubectl get` for the built-in kinds (k8s.io/kubernetes/pkg/printers/internalversion).
import { list, object, text } from '../json.ts'
import type { Column } from '../registry.ts'
import type { Json, KubeObject } from '../types.ts'
import { ageOf } from './age.ts'
import { podColumns } from './pods.ts'

export const nameColumn: Column = {
  name: 'Name',
  type: 'string',
  format: 'name',
  value: (item) => item.metadata.name ?? '',
}
export const ageColumn: Column = {
  name: 'Age',
  type: 'string',
  value: (item, now) => ageOf(item.metadata.creationTimestamp ?? '', now),
}
/** Kinds without anything better. */
export const plainColumns: readonly Column[] = [nameColumn, ageColumn]

const column = (name: string, value: (item: KubeObject, now: Date) => Json, priority = 0): Column => ({
  name,
  type: 'string',
  value,
  ...(priority === 0 ? {} : { priority }),
})
const number = (name: string, ...path: string[]): Column => ({
  name,
  type: 'integer',
  value: (item) => Number(text(item, ...path) || 0),
})
const wide = (name: string, value: (item: KubeObject, now: Date) => Json): Column => column(name, value, 1)
const path = (name: string, ...steps: string[]): Column => column(name, (item) => text(item, ...steps) || '<none>')
const joined = (values: readonly Json[]): string => (values.length === 0 ? '<none>' : values.map(String).join(','))

function nodeStatus(node: KubeObject): string {
  const ready = list(node, 'status', 'conditions').find((condition) => text(condition, 'type') === 'Ready')
  const states = [ready === undefined ? 'Unknown' : text(ready, 'status') === 'True' ? 'Ready' : 'NotReady']
  if (object(node, 'spec')['unschedulable'] === true) states.push('SchedulingDisabled')
  return states.join(',')
}

function nodeRoles(node: KubeObject): string {
  const prefix = 'node-role.kubernetes.io/'
  const roles = Object.entries(node.metadata.labels ?? {}).flatMap(([key, value]) => {
    if (key.startsWith(prefix) && key.length > prefix.length) return [key.slice(prefix.length)]
    return key === 'kubernetes.io/role' && value !== '' ? [value] : []
  })
  return roles.length === 0 ? '<none>' : roles.sort().join(',')
}

const nodeAddress = (type: string) => (node: KubeObject) => {
  const found = list(node, 'status', 'addresses').find((address) => text(address, 'type') === type)
  return text(found, 'address') || '<none>'
}

const unknown =
  (...steps: string[]) =>
  (item: KubeObject) =>
    text(item, ...steps) || '<unknown>'

const nodeColumns: readonly Column[] = [
  nameColumn,
  column('Status', nodeStatus),
  column('Roles', nodeRoles),
  ageColumn,
  column('Version', (node) => text(node, 'status', 'nodeInfo', 'kubeletVersion')),
  wide('Internal-IP', nodeAddress('InternalIP')),
  wide('External-IP', nodeAddress('ExternalIP')),
  wide('OS-Image', unknown('status', 'nodeInfo', 'osImage')),
  wide('Kernel-Version', unknown('status', 'nodeInfo', 'kernelVersion')),
  wide('Container-Runtime', unknown('status', 'nodeInfo', 'containerRuntimeVersion')),
]

const selectorText = (value: Json): string => {
  const pairs = Object.entries(object(value))
  return pairs.length === 0
    ? '<none>'
    : pairs
        .map(([key, wanted]) => `${key}=${text(wanted)}`)
        .sort()
        .join(',')
}

function labelSelectorText(value: Json): string {
  const selector = object(value)
  const parts = Object.entries(object(selector, 'matchLabels')).map(([key, wanted]) => `${key}=${text(wanted)}`)
  for (const expression of list(selector, 'matchExpressions')) {
    const key = text(expression, 'key')
    const operator = text(expression, 'operator')
    if (operator === 'Exists') parts.push(key)
    else if (operator === 'DoesNotExist') parts.push(`!${key}`)
    else parts.push(`${key} ${operator.toLowerCase()} (${joined(list(expression, 'values'))})`)
  }
  return parts.length === 0 ? '<none>' : parts.join(',')
}

function servicePorts(service: KubeObject): string {
  const ports = list(service, 'spec', 'ports').map((port) => {
    const nodePort = text(port, 'nodePort')
    return `${text(port, 'port')}${nodePort === '' ? '' : `:${nodePort}`}/${text(port, 'protocol')}`
  })
  return joined(ports)
}

function externalAddress(service: KubeObject): string {
  const external = list(service, 'spec', 'externalIPs')
  if (text(service, 'spec', 'type') === 'ExternalName') return text(service, 'spec', 'externalName')
  if (text(service, 'spec', 'type') !== 'LoadBalancer') return joined(external)
  const given = list(service, 'status', 'loadBalancer', 'ingress').map(
    (ingress) => text(ingress, 'ip') || text(ingress, 'hostname'),
  )
  return given.length + external.length === 0 ? '<pending>' : joined([...given, ...external])
}

const serviceColumns: readonly Column[] = [
  nameColumn,
  path('Type', 'spec', 'type'),
  path('Cluster-IP', 'spec', 'clusterIP'),
  column('External-IP', externalAddress),
  column('Port(s)', servicePorts),
  ageColumn,
  wide('Selector', (service) => selectorText(object(service, 'spec', 'selector'))),
]

function endpointsText(endpoints: KubeObject): string {
  const all = list(endpoints, 'subsets').flatMap((subset) => {
    const ports = list(subset, 'ports')
    const addresses = list(subset, 'addresses').map((address) => text(address, 'ip'))
    return ports.length === 0
      ? addresses
      : ports.flatMap((port) => addresses.map((address) => `${address}:${text(port, 'port')}`))
  })
  return all.length > 3 ? `${all.slice(0, 3).join(',')} + ${all.length - 3} more...` : joined(all)
}

const some = (values: readonly string[]): string =>
  values.length === 0
    ? '<unset>'
    : values.length > 3
      ? `${values.slice(0, 3).join(',')} + ${values.length - 3} more...`
      : values.join(',')

const size =
  (...members: string[]) =>
  (item: KubeObject) =>
    members.reduce((sum, member) => sum + Object.keys(object(item, member)).length, 0)

const lastSeen = (event: KubeObject, now: Date): string => {
  const series = text(event, 'series', 'lastObservedTime')
  return ageOf(
    series || text(event, 'lastTimestamp') || text(event, 'eventTime') || (event.metadata.creationTimestamp ?? ''),
    now,
  )
}

const eventColumns: readonly Column[] = [
  column('Last Seen', lastSeen),
  column('Type', (event) => text(event, 'type')),
  column('Reason', (event) => text(event, 'reason')),
  column(
    'Object',
    (event) => `${text(event, 'involvedObject', 'kind').toLowerCase()}/${text(event, 'involvedObject', 'name')}`,
  ),
  wide('Subobject', (event) => text(event, 'involvedObject', 'fieldPath')),
  wide('Source', (event) =>
    [text(event, 'source', 'component'), text(event, 'source', 'host')].filter((part) => part !== '').join(', '),
  ),
  column('Message', (event) => text(event, 'message').trim()),
  wide('First Seen', (event, now) =>
    ageOf(text(event, 'firstTimestamp') || text(event, 'eventTime') || (event.metadata.creationTimestamp ?? ''), now),
  ),
  wide('Count', (event) => Number(text(event, 'count') || 1)),
  { ...nameColumn, priority: 1 },
]

const templateContainers = (member: string) => (workload: KubeObject) =>
  joined(list(workload, 'spec', 'template', 'spec', 'containers').map((container) => text(container, member)))

const workloadWide: readonly Column[] = [
  wide('Containers', templateContainers('name')),
  wide('Images', templateContainers('image')),
  wide('Selector', (workload) => labelSelectorText(object(workload, 'spec', 'selector'))),
]

const ready = (done: string) =>
  column('Ready', (workload) => `${text(workload, 'status', done) || '0'}/${text(workload, 'spec', 'replicas') || '0'}`)

const subjects = (kind: string) => (binding: KubeObject) =>
  joined(
    list(binding, 'subjects')
      .filter((subject) => text(subject, 'kind') === kind)
      .map((subject) =>
        kind === 'ServiceAccount' ? `${text(subject, 'namespace')}/${text(subject, 'name')}` : text(subject, 'name'),
      ),
  )

const bindingColumns: readonly Column[] = [
  nameColumn,
  column('Role', (binding) => `${text(binding, 'roleRef', 'kind')}/${text(binding, 'roleRef', 'name')}`),
  ageColumn,
  wide('Users', subjects('User')),
  wide('Groups', subjects('Group')),
  wide('ServiceAccounts', subjects('ServiceAccount')),
]

/** The controlling owner: `statefulset.apps/db`. */
function controllerText({ metadata }: KubeObject): string {
  const owner = (metadata.ownerReferences ?? []).find(({ controller }) => controller === true)
  if (owner === undefined) return '<none>'
  const [group, version] = owner.apiVersion.split('/')
  return `${owner.kind.toLowerCase()}${version === undefined ? '' : `.${group ?? ''}`}/${owner.name}`
}

const createdAt = column('Created At', (item) => item.metadata.creationTimestamp ?? '')

/** Columns by plural; kinds not named have `plainColumns`. */
export const builtinColumns: Readonly<Record<string, readonly Column[]>> = {
  pods: podColumns(nameColumn, ageColumn),
  nodes: nodeColumns,
  namespaces: [nameColumn, column('Status', (namespace) => text(namespace, 'status', 'phase')), ageColumn],
  services: serviceColumns,
  endpoints: [nameColumn, column('Endpoints', endpointsText), ageColumn],
  configmaps: [nameColumn, column('Data', size('data', 'binaryData')), ageColumn],
  secrets: [nameColumn, path('Type', 'type'), column('Data', size('data')), ageColumn],
  serviceaccounts: [nameColumn, column('Secrets', (account) => list(account, 'secrets').length), ageColumn],
  events: eventColumns,
  leases: [nameColumn, column('Holder', (lease) => text(lease, 'spec', 'holderIdentity')), ageColumn],
  endpointslices: [
    nameColumn,
    column('AddressType', (slice) => text(slice, 'addressType')),
    column('Ports', (slice) => some(list(slice, 'ports').map((port) => text(port, 'port') || '*'))),
    column('Endpoints', (slice) =>
      some(list(slice, 'endpoints').flatMap((endpoint) => list(endpoint, 'addresses').map(String))),
    ),
    ageColumn,
  ],
  networkpolicies: [
    nameColumn,
    column('Pod-Selector', (policy) => labelSelectorText(object(policy, 'spec', 'podSelector'))),
    ageColumn,
  ],
  deployments: [nameColumn, ready('readyReplicas'), number('Up-to-date', 'status', 'updatedReplicas'), number('Available', 'status', 'availableReplicas'), ageColumn, ...workloadWide], // prettier-ignore
  statefulsets: [nameColumn, ready('readyReplicas'), ageColumn, ...workloadWide.slice(0, 2)],
  replicasets: [nameColumn, number('Desired', 'spec', 'replicas'), number('Current', 'status', 'replicas'), number('Ready', 'status', 'readyReplicas'), ageColumn, ...workloadWide], // prettier-ignore
  daemonsets: [
    nameColumn,
    number('Desired', 'status', 'desiredNumberScheduled'),
    number('Current', 'status', 'currentNumberScheduled'),
    number('Ready', 'status', 'numberReady'),
    number('Up-to-date', 'status', 'updatedNumberScheduled'),
    number('Available', 'status', 'numberAvailable'),
    column('Node Selector', (set) => selectorText(object(set, 'spec', 'template', 'spec', 'nodeSelector'))),
    ageColumn,
    ...workloadWide,
  ],
  priorityclasses: [
    nameColumn,
    number('Value', 'value'),
    { name: 'Global-Default', type: 'boolean', value: (item) => item['globalDefault'] === true },
    ageColumn,
    column('PreemptionPolicy', (item) => text(item, 'preemptionPolicy') || 'PreemptLowerPriority'),
  ],
  controllerrevisions: [
    nameColumn,
    column('Controller', controllerText),
    column('Revision', (revision) => text(revision, 'revision')),
    ageColumn,
  ],
  roles: [nameColumn, createdAt],
  clusterroles: [nameColumn, createdAt],
  rolebindings: bindingColumns,
  clusterrolebindings: bindingColumns,
  customresourcedefinitions: [nameColumn, createdAt],
  poddisruptionbudgets: [
    nameColumn,
    column('Min Available', (budget) => text(budget, 'spec', 'minAvailable') || 'N/A'),
    column('Max Unavailable', (budget) => text(budget, 'spec', 'maxUnavailable') || 'N/A'),
    number('Allowed Disruptions', 'status', 'disruptionsAllowed'),
    ageColumn,
  ],
}
