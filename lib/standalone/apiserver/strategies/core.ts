// The smaller strategies: namespaces, nodes, events, configuration, leases, endpoint slices, workloads.
import { isIP } from 'node:net'
import { Verbatim, fieldError } from '../errors.ts'
import type { FieldError } from '../errors.ts'
import { equal, isObject, list, object, text } from '../json.ts'
import type { Strategy } from '../registry.ts'
import type { JsonObject, KubeObject } from '../types.ts'
import { fill, templateStrategy } from './pods.ts'

/** Namespaces that may not be deleted. */
const eternal = new Set(['default', 'kube-system', 'kube-public'])

export const namespaceStrategy: Strategy = {
  names: 'label',
  defaults: (namespace) => {
    const labels = (namespace.metadata.labels ??= {})
    labels['kubernetes.io/metadata.name'] = namespace.metadata.name ?? ''
  },
  prepareCreate: (namespace) => {
    namespace['spec'] = { finalizers: ['kubernetes'] }
    namespace['status'] = { phase: 'Active' }
  },
  prepareUpdate: (namespace) => {
    if (namespace.metadata.deletionTimestamp === undefined) return
    namespace['status'] = { ...object(namespace, 'status'), phase: 'Terminating' }
  },
  held: (namespace) => list(namespace, 'spec', 'finalizers').length > 0,
  undeletable: (namespace) => (eternal.has(namespace.metadata.name ?? '') ? 'this namespace may not be deleted' : null),
}

const taintEffects = ['NoSchedule', 'PreferNoSchedule', 'NoExecute']

export const nodeStrategy: Strategy = {
  keepStatus: true,
  prepareCreate: (node) => {
    node['spec'] ??= {}
    node['status'] ??= {}
  },
  defaults: (node) => {
    const status = node['status']
    if (isObject(status) && isObject(status['capacity'])) fill(status, { allocatable: status['capacity'] })
  },
  validate: (node) => {
    const errors: FieldError[] = []
    for (const [index, taint] of list(node, 'spec', 'taints').entries()) {
      // As the real server has it: the path begins with metadata.
      const here = `metadata.taints[${index}]`
      const effect = text(taint, 'effect')
      if (text(taint, 'key') === '') errors.push(fieldError.required(`${here}.key`))
      if (!taintEffects.includes(effect)) errors.push(fieldError.notSupported(`${here}.effect`, effect, taintEffects))
    }
    const listed = list(node, 'spec', 'podCIDRs')
    const cidrs = listed.length > 0 ? listed : [text(node, 'spec', 'podCIDR')]
    for (const [index, cidr] of cidrs.entries()) {
      if (typeof cidr !== 'string' || cidr === '' || isPrefix(cidr)) continue
      const why = 'must be a valid CIDR value, (e.g. 10.9.8.0/24 or 2001:db8::/64)'
      errors.push(fieldError.invalid(`spec.podCIDRs[${index}]`, cidr, why))
    }
    return errors
  },
  validateUpdate: (node, old) => {
    const errors: FieldError[] = []
    for (const field of ['podCIDR', 'providerID']) {
      const before = text(old, 'spec', field)
      if (before !== '' && text(node, 'spec', field) !== before) {
        errors.push(fieldError.forbidden(`spec.${field}`, 'node updates may not change it except from "" to valid'))
      }
    }
    return errors
  },
}

function isPrefix(value: string): boolean {
  const [, address = '', length = ''] = /^([^/]+)\/(\d{1,3})$/.exec(value) ?? []
  return isIP(address) !== 0 && Number(length) <= (isIP(address) === 4 ? 32 : 128)
}

/** Events live beside what they are about. @param reference the member that says what that is */
const eventIn = (reference: 'involvedObject' | 'regarding'): Pick<Strategy, 'names' | 'validate'> => ({
  names: 'path',
  validate: (event) => {
    const namespace = text(event, reference, 'namespace')
    const home = event.metadata.namespace ?? ''
    if (namespace !== '' ? namespace === home : home === 'default') return []
    return [fieldError.invalid(`${reference}.namespace`, namespace, 'does not match event.namespace')]
  },
})

export const coreEventStrategy: Strategy = {
  ...eventIn('involvedObject'),
  defaults: (event) =>
    fill(event, { type: 'Normal', reportingComponent: text(event, 'source', 'component'), reportingInstance: '' }),
}

export const eventsEventStrategy: Strategy = {
  ...eventIn('regarding'),
  defaults: (event) => fill(event, { type: 'Normal' }),
}

const immutableText = 'field is immutable when `immutable` is set'

const dataKey = /^[-._a-zA-Z0-9]+$/

function validateKeys(object: KubeObject, members: readonly string[]): FieldError[] {
  const errors: FieldError[] = []
  for (const member of members) {
    for (const key of Object.keys(isObject(object[member]) ? object[member] : {})) {
      if (key.length > 253 || !dataKey.test(key)) {
        const why =
          "a valid config key must consist of alphanumeric characters, '-', '_' or '.' (e.g. 'key.name',  or 'KEY_NAME',  or 'key-name', regex used for validation is '[-._a-zA-Z0-9]+')"
        errors.push(fieldError.invalid(`${member}[${key}]`, key, why)) // prettier-ignore
      }
    }
  }
  return errors
}

const keepImmutable =
  (members: readonly string[]) =>
  (now: KubeObject, old: KubeObject): FieldError[] => {
    if (old['immutable'] !== true) return []
    const errors = members
      .filter((member) => !equal(now[member], old[member]))
      .map((member) => fieldError.forbidden(member, immutableText))
    if (now['immutable'] !== true) errors.push(fieldError.forbidden('immutable', immutableText))
    return errors
  }

export const configMapStrategy: Strategy = {
  validate: (map) => validateKeys(map, ['data', 'binaryData']),
  validateUpdate: keepImmutable(['data', 'binaryData']),
}

export const secretStrategy: Strategy = {
  defaults: (secret) => {
    fill(secret, { type: 'Opaque' })
    const plain = secret['stringData']
    if (!isObject(plain)) return
    const data = object(secret, 'data')
    secret['data'] = {
      ...data,
      ...Object.fromEntries(
        Object.entries(plain).map(([key, value]) => [key, Buffer.from(text(value)).toString('base64')]),
      ),
    }
    Reflect.deleteProperty(secret, 'stringData')
  },
  validate: (secret) => validateKeys(secret, ['data']),
  validateUpdate: (secret, old) => [
    ...(text(secret, 'type') === text(old, 'type')
      ? []
      : [fieldError.invalid('type', secret['type'], 'field is immutable')]),
    ...keepImmutable(['data'])(secret, old),
  ],
}

export const leaseStrategy: Strategy = {
  validate: (lease) => {
    const errors: FieldError[] = []
    const spec = object(lease, 'spec')
    const positive = (member: string): void => {
      const value = spec[member]
      if (typeof value === 'number' && value <= 0)
        errors.push(fieldError.invalid(`spec.${member}`, value, 'must be greater than 0'))
    }
    positive('leaseDurationSeconds')
    const transitions = spec['leaseTransitions']
    if (typeof transitions === 'number' && transitions < 0) {
      errors.push(fieldError.invalid('spec.leaseTransitions', transitions, 'must be greater than or equal to 0'))
    }
    return errors
  },
}

export const endpointSliceStrategy: Strategy = {
  defaults: (slice) => {
    for (const port of list(slice, 'ports').filter(isObject)) fill(port, { name: '', protocol: 'TCP' })
  },
  validate: (slice) => {
    const types = ['FQDN', 'IPv4', 'IPv6']
    const type = text(slice, 'addressType')
    if (type === '') return [fieldError.required('addressType')]
    return types.includes(type) ? [] : [fieldError.notSupported('addressType', type, types)]
  },
  validateUpdate: (slice, old) =>
    text(slice, 'addressType') === text(old, 'addressType')
      ? []
      : [fieldError.invalid('addressType', slice['addressType'], 'field is immutable')],
}

export const networkPolicyStrategy: Strategy = {
  defaults: (policy) => {
    const spec = object(policy, 'spec')
    fill(spec, { policyTypes: spec['egress'] === undefined ? ['Ingress'] : ['Ingress', 'Egress'] })
    for (const member of ['ingress', 'egress']) {
      for (const rule of list(spec, member))
        for (const port of list(rule, 'ports').filter(isObject)) fill(port, { protocol: 'TCP' })
    }
  },
}

const roleRef: Strategy = {
  names: 'path',
  validate: (binding) => (text(binding, 'roleRef', 'name') === '' ? [fieldError.required('roleRef.name')] : []),
  validateUpdate: (binding, old) =>
    equal(binding['roleRef'], old['roleRef'])
      ? []
      : [fieldError.invalid('roleRef', binding['roleRef'], 'cannot change roleRef')],
}

export const roleStrategy: Strategy = { names: 'path' }
export const roleBindingStrategy = roleRef

const rolling = { maxUnavailable: '25%', maxSurge: '25%' }

export const deploymentStrategy = templateStrategy(
  (spec) => {
    fill(spec, { replicas: 1, revisionHistoryLimit: 10, progressDeadlineSeconds: 600, strategy: {} })
    const strategy = object(spec, 'strategy')
    fill(strategy, { type: 'RollingUpdate' })
    if (text(strategy, 'type') === 'RollingUpdate') {
      fill(strategy, { rollingUpdate: {} })
      fill(object(strategy, 'rollingUpdate'), rolling)
    }
  },
  { check: checkRollout },
)

function checkRollout(spec: JsonObject): FieldError[] {
  const strategy = object(spec, 'strategy')
  const type = text(strategy, 'type')
  const types = ['Recreate', 'RollingUpdate']
  if (!types.includes(type)) return [fieldError.notSupported('spec.strategy.type', type, types)]
  const rollingUpdate = strategy['rollingUpdate']
  if (type === 'Recreate') {
    if (rollingUpdate === undefined) return []
    const why = "may not be specified when strategy `type` is 'Recreate'"
    return [fieldError.forbidden('spec.strategy.rollingUpdate', why)]
  }
  const isZero = (member: string): boolean => /^0%?$/.test(text(rollingUpdate, member))
  if (!isZero('maxSurge') || !isZero('maxUnavailable')) return []
  const shown = new Verbatim('intstr.IntOrString{Type:0, IntVal:0, StrVal:""}')
  return [fieldError.invalid('spec.strategy.rollingUpdate.maxUnavailable', shown, 'may not be 0 when `maxSurge` is 0')]
}

export const replicaSetStrategy = templateStrategy((spec) => fill(spec, { replicas: 1 }))
export const daemonSetStrategy = templateStrategy((spec) =>
  fill(spec, {
    revisionHistoryLimit: 10,
    updateStrategy: { type: 'RollingUpdate', rollingUpdate: { maxUnavailable: 1, maxSurge: 0 } },
  }),
)
/** What may change of a StatefulSet. */
const changeable = ['replicas', 'ordinals', 'template', 'updateStrategy', 'persistentVolumeClaimRetentionPolicy', 'minReadySeconds'] // prettier-ignore

function keepStatefulSet(set: KubeObject, old: KubeObject): FieldError[] {
  const frozen = ({ spec }: KubeObject): JsonObject =>
    Object.fromEntries(
      Object.entries(object(spec)).filter(([key]) => ![...changeable, 'revisionHistoryLimit'].includes(key)),
    )
  if (equal(frozen(set), frozen(old))) return []
  const names = changeable.map((name) => `'${name}'`)
  const shown = `${names.slice(0, -1).join(', ')} and ${names.at(-1) ?? ''}`
  return [fieldError.forbidden('spec', `updates to statefulset spec for fields other than ${shown} are forbidden`)]
}

export const statefulSetStrategy: Strategy = {
  ...templateStrategy(
    (spec) =>
      fill(spec, {
        replicas: 1,
        revisionHistoryLimit: 10,
        podManagementPolicy: 'OrderedReady',
        updateStrategy: { type: 'RollingUpdate', rollingUpdate: { partition: 0 } },
        persistentVolumeClaimRetentionPolicy: { whenDeleted: 'Retain', whenScaled: 'Retain' },
      }),
    { validateUpdate: keepStatefulSet },
  ),
  prepareCreate: (set) => {
    set['status'] = { replicas: 0, availableReplicas: 0 }
  },
}
export const jobStrategy = templateStrategy((spec: JsonObject) =>
  fill(spec, { parallelism: 1, completions: 1, backoffLimit: 6, completionMode: 'NonIndexed', suspend: false }),
)
