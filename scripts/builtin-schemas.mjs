// Writes lib/standalone/apiserver/schema/builtin/*.ts: the field tables of the built-in kinds, from the models that
// @kubernetes/client-node generates from Kubernetes' own OpenAPI document, plus the list and patch types below (they are in
// the OpenAPI document but not in the models). Run it again after an update of that package:
//
//   node scripts/builtin-schemas.mjs
import { readFileSync, writeFileSync } from 'node:fs'
import * as client from '@kubernetes/client-node'

const models = new URL('../node_modules/@kubernetes/client-node/dist/gen/models/', import.meta.url)
const out = new URL('../lib/standalone/apiserver/schema/builtin/', import.meta.url)

/** Root kinds by file. */
const roots = {
  core: [
    'V1Namespace',
    'V1Node',
    'V1Service',
    'CoreV1Event',
    'V1ConfigMap',
    'V1Secret',
    'V1ServiceAccount',
    'V1Endpoints',
    'V1Binding',
    'V1DeleteOptions',
  ],
  volumes: ['V1Volume'],
  pods: ['V1Pod', 'V1PodTemplateSpec', 'V1Eviction'],
  apps: [
    'V1Deployment',
    'V1StatefulSet',
    'V1DaemonSet',
    'V1ReplicaSet',
    'V1ControllerRevision',
    'V1Job',
    'V1PodDisruptionBudget',
  ],
  cluster: [
    'V1Lease',
    'V1EndpointSlice',
    'EventsV1Event',
    'V1NetworkPolicy',
    'V1Role',
    'V1RoleBinding',
    'V1ClusterRole',
    'V1ClusterRoleBinding',
    'V1PriorityClass',
    'V1MutatingWebhookConfiguration',
    'V1ValidatingWebhookConfiguration',
    'V1CustomResourceDefinition',
  ],
}

// Lists are atomic unless named here: `@key,key` list-map keys, `~key` the strategic-merge key where it differs from the
// first list-map key, `~` alone when strategic merge replaces the list, `=set` a set, `+retainKeys` a patch strategy.
const lists = {
  'ObjectMeta.ownerReferences': '@uid',
  'ObjectMeta.finalizers': '=set',
  'PodSpec.volumes': '@name +retainKeys',
  'PodSpec.containers': '@name',
  'PodSpec.initContainers': '@name',
  'PodSpec.ephemeralContainers': '@name',
  'PodSpec.imagePullSecrets': '@name',
  'PodSpec.hostAliases': '@ip',
  'PodSpec.topologySpreadConstraints': '@topologyKey,whenUnsatisfiable',
  'PodSpec.schedulingGates': '@name',
  'PodSpec.resourceClaims': '@name +retainKeys',
  'PodStatus.conditions': '@type',
  'PodStatus.podIPs': '@ip',
  'PodStatus.hostIPs': '@ip',
  'PodStatus.resourceClaimStatuses': '@name +retainKeys',
  'ResourceRequirements.claims': '@name ~',
  'ServiceSpec.ports': '@port,protocol',
  'ServiceStatus.conditions': '@type',
  'NodeSpec.podCIDRs': '=set',
  'NodeStatus.conditions': '@type',
  'NodeStatus.addresses': '@type',
  'NamespaceStatus.conditions': '@type',
  'ServiceAccount.secrets': '@name',
  'EndpointSlice.addresses': '=set',
  'Endpoint.addresses': '=set ~',
  'DeploymentStatus.conditions': '@type',
  'StatefulSetStatus.conditions': '@type',
  'DaemonSetStatus.conditions': '@type',
  'ReplicaSetStatus.conditions': '@type',
  'PodDisruptionBudgetStatus.conditions': '@type',
  'MutatingWebhookConfiguration.webhooks': '@name',
  'ValidatingWebhookConfiguration.webhooks': '@name',
  'MutatingWebhook.matchConditions': '@name',
  'ValidatingWebhook.matchConditions': '@name',
  'CustomResourceDefinitionStatus.conditions': '@type ~',
}
for (const kind of ['Container', 'EphemeralContainer']) {
  lists[`${kind}.env`] = '@name'
  lists[`${kind}.ports`] = '@containerPort,protocol'
  lists[`${kind}.volumeMounts`] = '@mountPath'
  lists[`${kind}.volumeDevices`] = '@devicePath'
}

/** Objects that server-side apply owns as a whole. */
const atomicTypes = new Set([
  'LabelSelector', 'NodeSelector', 'NodeSelectorTerm', 'ObjectReference', 'LocalObjectReference', 'ConfigMapKeySelector', 'SecretKeySelector',
  'ObjectFieldSelector', 'ResourceFieldSelector', 'TypedLocalObjectReference', 'OwnerReference', 'ScopeSelector', 'SecretReference', 'RoleRef', 'Subject',
  'EndpointAddress', 'EndpointPort', 'FileKeySelector',
]) // prettier-ignore
const atomicFields = new Set([
  'PodSpec.nodeSelector',
  'ServiceSpec.selector',
  'CSIVolumeSource.volumeAttributes',
  'Overhead',
])
const retainKeys = new Set(['DeploymentSpec.strategy'])
const quantities = new Set([
  'limits',
  'requests',
  'capacity',
  'allocatable',
  'sizeLimit',
  'divisor',
  'overhead',
  'allocatedResources',
  'cpu',
])
const quantityTypes =
  /^(ResourceRequirements|NodeStatus|VolumeResourceRequirements|EmptyDirVolumeSource|ResourceFieldSelector|PodSpec|ContainerStatus|PodStatus|PersistentVolumeClaimStatus|PersistentVolumeClaimSpec)$/

const aliases = { CoreV1Event: 'Event', EventsV1Event: 'EventsEvent', CoreV1EventSeries: 'EventSeries', EventsV1EventSeries: 'EventsEventSeries', CoreV1EndpointPort: 'EndpointPort', DiscoveryV1EndpointPort: 'EndpointSlicePort', CoreV1ResourceClaim: 'ResourceClaim', AdmissionregistrationV1ServiceReference: 'ServiceReference', ApiextensionsV1ServiceReference: 'CrdServiceReference', AdmissionregistrationV1WebhookClientConfig: 'WebhookClientConfig', ApiextensionsV1WebhookClientConfig: 'CrdWebhookClientConfig', RbacV1Subject: 'Subject' } // prettier-ignore
const nameOf = (model) => aliases[model] ?? model.replace(/^V1(?!\d)/, '')

const scalars = { string: 'string', boolean: 'bool', number: 'number', any: 'any', object: 'any', Date: 'time', V1MicroTime: 'microtime', IntOrString: 'intOrString' } // prettier-ignore

function typeText(type, format, owner, field, queue) {
  if (owner === 'JSONSchemaProps') return 'any'
  const array = /^(?:Array|Set)<(.*)>$/.exec(type)
  if (array) return `[]${typeText(array[1], format, owner, field, queue)}`
  const map = /^\{ \[key: string\]: (.*); \}$/.exec(type)
  if (map) return `map ${typeText(map[1], format, owner, field, queue)}`
  if (type === 'string' && quantities.has(field) && quantityTypes.test(owner)) return 'quantity'
  if (type === 'string' && format === 'byte') return 'bytes'
  if (type === 'number') return format === 'int64' ? 'int64' : format === 'double' ? 'double' : 'int32'
  if (type in scalars) return scalars[type]
  if (client[type]?.getAttributeTypeMap === undefined) throw new Error(`${owner}.${field}: ${type}?`)
  if (type === 'V1JSONSchemaProps') return 'any'
  queue.push(type)
  return nameOf(type)
}

const done = new Set(['V1JSONSchemaProps'])
for (const [file, kinds] of Object.entries({ meta: ['V1ObjectMeta', 'V1LabelSelector'], ...roots })) {
  const queue = [...kinds]
  const blocks = []
  for (let model = queue.shift(); model !== undefined; model = queue.shift()) {
    if (done.has(model)) continue
    done.add(model)
    const owner = nameOf(model)
    const declaration = readFileSync(new URL(`${model}.d.ts`, models), 'utf8')
    const lines = client[model].getAttributeTypeMap().map(({ name, baseName, type, format }) => {
      const required = !new RegExp(`^    '${name}'\\?:`, 'm').test(declaration)
      const text = typeText(type, format, owner, baseName, queue)
      const marks = [
        lists[`${owner}.${baseName}`] ?? '',
        atomicFields.has(`${owner}.${baseName}`) ? '=atomic' : '',
        retainKeys.has(`${owner}.${baseName}`) ? '+retainKeys' : '',
      ].filter((mark) => mark !== '')
      return `  ${baseName}${required ? '!' : ''} ${[text, ...marks].join(' ')}`
    })
    blocks.push(`${owner}${atomicTypes.has(owner) ? ' =atomic' : ''}\n${lines.join('\n')}`)
  }
  const escaped = blocks.join('\n').replaceAll('\\', '\\\\').replaceAll('$', '\\$').replaceAll('`', '\\`')
  writeFileSync(
    new URL(`${file}.ts`, out),
    `// Generated by scripts/builtin-schemas.mjs; do not edit. The notation is explained in ../dsl.ts.\nexport const ${file} = \`\n${escaped}\n\`\n`,
  )
}
