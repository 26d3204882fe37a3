// Writes lib/standalone/apiserver/schema/builtin/*.ts: the field tables of the built-in kinds, from Kubernetes' own
// generated.proto files (fields, numbers, list and patch markers), with the names and required fields of the models of
// @kubernetes/client-node to tell which proto fields are inlined in JSON. To run it again:
//
//   go mod download -json k8s.io/api@v0.32.4 k8s.io/apimachinery@v0.32.4 k8s.io/apiextensions-apiserver@v0.32.4
//   node scripts/builtin-schemas.mjs "$(go env GOMODCACHE)/k8s.io" v0.32.4
import { readFileSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import * as client from '@kubernetes/client-node'

const [modules, release] = process.argv.slice(2)
if (release === undefined) throw new Error('usage: builtin-schemas.mjs GOMODCACHE/k8s.io RELEASE')
const models = new URL('../node_modules/@kubernetes/client-node/dist/gen/models/', import.meta.url)
const out = new URL('../lib/standalone/apiserver/schema/builtin/', import.meta.url)

/** Proto packages and where they are. */
const packages = {
  'k8s.io.apimachinery.pkg.apis.meta.v1': `apimachinery@${release}/pkg/apis/meta/v1`,
  'k8s.io.apiextensions_apiserver.pkg.apis.apiextensions.v1': `apiextensions-apiserver@${release}/pkg/apis/apiextensions/v1`,
}
for (const group of [
  'core',
  'apps',
  'batch',
  'policy',
  'rbac',
  'events',
  'discovery',
  'networking',
  'scheduling',
  'coordination',
  'admissionregistration',
  'authorization',
  'authentication',
]) {
  packages[`k8s.io.api.${group}.v1`] = `api@${release}/${group}/v1`
}

/** Root kinds by file; a type is written to the first file that needs it. */
const api = (group, ...kinds) => kinds.map((kind) => `k8s.io.api.${group}.v1.${kind}`)
const meta = (...kinds) => kinds.map((kind) => `k8s.io.apimachinery.pkg.apis.meta.v1.${kind}`)
const roots = {
  meta: meta('ObjectMeta', 'LabelSelector', 'DeleteOptions'),
  core: api(
    'core',
    'Namespace',
    'Node',
    'Service',
    'Event',
    'ConfigMap',
    'Secret',
    'ServiceAccount',
    'Endpoints',
    'Binding',
  ),
  volumes: api('core', 'Volume'),
  pods: [...api('core', 'Pod', 'PodTemplateSpec'), ...api('policy', 'Eviction')],
  apps: [
    ...api('apps', 'Deployment', 'StatefulSet', 'DaemonSet', 'ReplicaSet', 'ControllerRevision'),
    ...api('batch', 'Job'),
    ...api('policy', 'PodDisruptionBudget'),
  ],
  cluster: [
    ...api('coordination', 'Lease'),
    ...api('discovery', 'EndpointSlice'),
    ...api('events', 'Event'),
    ...api('networking', 'NetworkPolicy'),
    ...api('rbac', 'Role', 'RoleBinding', 'ClusterRole', 'ClusterRoleBinding'),
    ...api('scheduling', 'PriorityClass'),
    ...api('admissionregistration', 'MutatingWebhookConfiguration', 'ValidatingWebhookConfiguration'),
    'k8s.io.apiextensions_apiserver.pkg.apis.apiextensions.v1.CustomResourceDefinition',
    ...api('authorization', 'SelfSubjectAccessReview', 'SelfSubjectRulesReview', 'SubjectAccessReview'),
    ...api('authentication', 'SelfSubjectReview', 'TokenReview'),
  ],
}

/** Types whose plain name two packages have: file name here, model in client-node. */
const aliases = {
  'k8s.io.api.core.v1.Event': ['Event', 'CoreV1Event'],
  'k8s.io.api.core.v1.EventSeries': ['EventSeries', 'CoreV1EventSeries'],
  'k8s.io.api.core.v1.EndpointPort': ['EndpointPort', 'CoreV1EndpointPort'],
  'k8s.io.api.core.v1.ResourceClaim': ['ResourceClaim', 'CoreV1ResourceClaim'],
  'k8s.io.api.events.v1.Event': ['EventsEvent', 'EventsV1Event'],
  'k8s.io.api.events.v1.EventSeries': ['EventsEventSeries', 'EventsV1EventSeries'],
  'k8s.io.api.discovery.v1.EndpointPort': ['EndpointSlicePort', 'DiscoveryV1EndpointPort'],
  'k8s.io.api.rbac.v1.Subject': ['Subject', 'RbacV1Subject'],
  'k8s.io.api.admissionregistration.v1.ServiceReference': [
    'ServiceReference',
    'AdmissionregistrationV1ServiceReference',
  ],
  'k8s.io.api.admissionregistration.v1.WebhookClientConfig': [
    'WebhookClientConfig',
    'AdmissionregistrationV1WebhookClientConfig',
  ],
  'k8s.io.apiextensions_apiserver.pkg.apis.apiextensions.v1.ServiceReference': [
    'CrdServiceReference',
    'ApiextensionsV1ServiceReference',
  ],
  'k8s.io.apiextensions_apiserver.pkg.apis.apiextensions.v1.WebhookClientConfig': [
    'CrdWebhookClientConfig',
    'ApiextensionsV1WebhookClientConfig',
  ],
}

const scalars = {
  string: 'string',
  bool: 'bool',
  int32: 'int32',
  int64: 'int64',
  uint32: 'int32',
  double: 'double',
  bytes: 'bytes',
}
const known = {
  'k8s.io.apimachinery.pkg.apis.meta.v1.Time': 'time',
  'k8s.io.apimachinery.pkg.apis.meta.v1.MicroTime': 'microtime',
  'k8s.io.apimachinery.pkg.apis.meta.v1.FieldsV1': 'any',
  'k8s.io.apimachinery.pkg.api.resource.Quantity': 'quantity',
  'k8s.io.apimachinery.pkg.util.intstr.IntOrString': 'intOrString',
  'k8s.io.apimachinery.pkg.runtime.RawExtension': 'any',
  'k8s.io.apiextensions_apiserver.pkg.apis.apiextensions.v1.JSON': 'any',
  'k8s.io.apiextensions_apiserver.pkg.apis.apiextensions.v1.JSONSchemaProps': 'any',
}

/** Messages by full name: { atomic, fields: [{ name, type, repeated, map, number, markers }] } */
const messages = new Map()
for (const [name, path] of Object.entries(packages))
  parseProto(name, readFileSync(join(modules, path, 'generated.proto'), 'utf8'))

function parseProto(packageName, text) {
  let current = null
  let comments = []
  for (const raw of text.split('\n')) {
    const line = raw.trim()
    const message = /^message (\w+) \{/.exec(line)
    const field = /^(optional|repeated)?\s*(map<string, ([\w.]+)>|[\w.]+) (\w+) = (\d+);/.exec(line)
    if (line.startsWith('//')) comments.push(line.slice(2).trim())
    else if (message) {
      current = { atomic: comments.includes('+structType=atomic'), fields: [] }
      messages.set(`${packageName}.${message[1]}`, current)
      comments = []
    } else if (field && current) {
      const type = field[3] ?? field[2]
      const full = type.startsWith('.')
        ? type.slice(1)
        : type in scalars || type.includes('.')
          ? type
          : `${packageName}.${type}`
      const markers = new Map()
      for (const comment of comments) {
        const marker = /^\+(\w+)(?:=(.*))?$/.exec(comment)
        if (marker) markers.set(marker[1], [...(markers.get(marker[1]) ?? []), marker[2] ?? ''])
      }
      current.fields.push({
        name: field[4],
        type: full,
        repeated: field[1] === 'repeated',
        map: field[3] !== undefined,
        number: field[5],
        markers,
      })
      comments = []
    } else comments = []
  }
}

const nameOf = (full) => aliases[full]?.[0] ?? full.split('.').at(-1)
const modelOf = (full) => aliases[full]?.[1] ?? `V1${full.split('.').at(-1)}`

function typeText(field, queue) {
  let base = scalars[field.type] ?? known[field.type]
  if (base === undefined) {
    if (!messages.has(field.type)) throw new Error(`${field.name}: ${field.type}?`)
    queue.push(field.type)
    base = nameOf(field.type)
  }
  return field.map ? `map ${base}` : field.repeated ? `[]${base}` : base
}

function marksOf(field) {
  const marks = [`#${field.number}`]
  const get = (name) => field.markers.get(name)?.[0]
  const keys = field.markers.get('listMapKey') ?? []
  const mergeKey = get('patchMergeKey')
  const strategy = get('patchStrategy')
  const merges = strategy?.split(',').includes('merge') === true
  if (field.repeated) {
    if (get('listType') === 'map' || (mergeKey !== undefined && get('listType') === undefined)) {
      const list = keys.length > 0 ? keys : [mergeKey]
      marks.push(`@${list.join(',')}`)
      if (!merges) marks.push('~')
      else if (mergeKey !== list[0]) marks.push(`~${mergeKey}`)
    } else if (mergeKey !== undefined && merges) marks.push(`~${mergeKey}`)
    else if (get('listType') === 'set' || (merges && get('listType') === undefined))
      marks.push(merges ? '=set' : '=set ~')
  }
  if (strategy?.split(',').includes('retainKeys')) marks.push('+retainKeys')
  if (get('mapType') === 'atomic' || get('structType') === 'atomic') marks.push('=atomic')
  return marks
}

const done = new Set()
for (const [file, kinds] of Object.entries(roots)) {
  const queue = [...kinds]
  const blocks = []
  for (let full = queue.shift(); full !== undefined; full = queue.shift()) {
    if (done.has(full)) continue
    done.add(full)
    const message = messages.get(full)
    if (message === undefined) throw new Error(`no message ${full}`)
    const model = client[modelOf(full)]
    const attributes = new Set(model?.getAttributeTypeMap().map(({ baseName }) => baseName) ?? [])
    const declaration = model === undefined ? '' : readFileSync(new URL(`${modelOf(full)}.d.ts`, models), 'utf8')
    const lines = []
    if (attributes.has('apiVersion') && attributes.has('kind') && !message.fields.some(({ name }) => name === 'kind')) {
      lines.push('  apiVersion string', '  kind string')
    }
    for (const field of message.fields) {
      const lower = field.name[0].toLowerCase() + field.name.slice(1)
      if (!attributes.has(field.name) && attributes.has(lower)) field.name = lower
      // A field that JSON does not have, of a type with fields of its own, is an embedded struct of Go's.
      const inline =
        model !== undefined &&
        !attributes.has(field.name) &&
        messages.has(field.type) &&
        known[field.type] === undefined
      const required =
        model !== undefined &&
        attributes.has(field.name) &&
        !new RegExp(`^    '${field.name}'\\?:`, 'm').test(declaration)
      lines.push(
        `  ${inline ? '<inline>' : `${field.name}${required ? '!' : ''}`} ${[typeText(field, queue), ...marksOf(field)].join(' ')}`,
      )
    }
    blocks.push(`${nameOf(full)}${message.atomic ? ' =atomic' : ''}\n${lines.join('\n')}`)
  }
  const text = blocks.join('\n')
  if (/[\\`$]/.test(text)) throw new Error(`${file}: a character that needs escaping`)
  const head = '// Generated by scripts/builtin-schemas.mjs; do not edit. The notation is explained in ../dsl.ts.\n'
  writeFileSync(new URL(`${file}.ts`, out), `${head}export const ${file} = \`\n${text}\n\`\n`)
}
