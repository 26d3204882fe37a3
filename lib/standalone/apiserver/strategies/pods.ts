// Pods: defaults, what may change, and how they end.
import { isIP } from 'node:net'
import { Verbatim, fieldError, goText } from '../errors.ts'
import type { FieldError } from '../errors.ts'
import { clone, equal, isObject, list, object, own, setOwn, text, timestamp } from '../json.ts'
import type { Strategy } from '../registry.ts'
import type { Json, JsonObject, KubeObject } from '../types.ts'

/** Set members that are absent. */
export function fill(target: JsonObject, defaults: JsonObject): void {
  for (const [key, value] of Object.entries(defaults)) {
    if (own(target, key) === undefined && value !== undefined) setOwn(target, key, clone(value))
  }
}

const containersOf = (spec: JsonObject): JsonObject[] =>
  ['initContainers', 'containers', 'ephemeralContainers'].flatMap((member) => list(spec, member).filter(isObject))

/** Defaults of a pod's spec, also inside the templates of workloads (k8s.io/kubernetes/pkg/apis/core/v1/defaults.go). */
export function defaultPodSpec(spec: JsonObject): void {
  fill(spec, {
    restartPolicy: 'Always',
    dnsPolicy: 'ClusterFirst',
    terminationGracePeriodSeconds: 30,
    securityContext: {},
    schedulerName: 'default-scheduler',
  })
  if (typeof spec['serviceAccountName'] === 'string') fill(spec, { serviceAccount: spec['serviceAccountName'] })
  for (const container of containersOf(spec)) {
    const image = text(container, 'image')
    fill(container, {
      imagePullPolicy: /:latest$/.test(image) || !/[:@][^/]*$/.test(image) ? 'Always' : 'IfNotPresent',
      terminationMessagePath: '/dev/termination-log',
      terminationMessagePolicy: 'File',
      resources: {},
    })
    for (const port of list(container, 'ports').filter(isObject)) {
      fill(port, { protocol: 'TCP' })
      if (spec['hostNetwork'] === true && port['containerPort'] !== undefined)
        fill(port, { hostPort: port['containerPort'] })
    }
    for (const probe of ['livenessProbe', 'readinessProbe', 'startupProbe']) {
      const found = container[probe]
      if (isObject(found))
        fill(found, { timeoutSeconds: 1, periodSeconds: 10, successThreshold: 1, failureThreshold: 3 })
    }
    for (const variable of list(container, 'env')) {
      const reference = object(variable, 'valueFrom', 'fieldRef')
      if (reference['fieldPath'] !== undefined) fill(reference, { apiVersion: 'v1' })
    }
  }
  for (const volume of list(spec, 'volumes').filter(isObject)) {
    if (Object.keys(volume).length === 1) volume['emptyDir'] = {}
    for (const source of ['configMap', 'secret', 'downwardAPI', 'projected']) {
      const found = volume[source]
      if (isObject(found)) fill(found, { defaultMode: 0o644 })
    }
    const hostPath = volume['hostPath']
    if (isObject(hostPath)) fill(hostPath, { type: '' })
  }
}

/** What admission adds to pods themselves: the default service account and tolerations of a node that is away for a while. */
function admit(spec: JsonObject): void {
  fill(spec, { enableServiceLinks: true, preemptionPolicy: 'PreemptLowerPriority', priority: 0 })
  fill(spec, { serviceAccountName: 'default' })
  fill(spec, { serviceAccount: spec['serviceAccountName'] })
  tolerateAbsence(spec)
}

/** Pods put up with a node that is away, for five minutes, unless they say something about it. */
function tolerateAbsence(spec: JsonObject): void {
  const tolerations = list(spec, 'tolerations')
  for (const key of ['node.kubernetes.io/not-ready', 'node.kubernetes.io/unreachable']) {
    const tolerated = tolerations.some((toleration) => {
      const effect = text(toleration, 'effect')
      const tolerated = text(toleration, 'key')
      return (
        (tolerated === key || (tolerated === '' && text(toleration, 'operator') === 'Exists')) &&
        (effect === '' || effect === 'NoExecute')
      )
    })
    if (!tolerated) tolerations.push({ key, operator: 'Exists', effect: 'NoExecute', tolerationSeconds: 300 })
  }
  spec['tolerations'] = tolerations
}

/** Guaranteed, Burstable or BestEffort (k8s.io/kubernetes/pkg/apis/core/helper/qos). */
function qosClass(spec: JsonObject): string {
  const containers = containersOf(spec)
  const resources = containers.map((container) => ({
    requests: object(container, 'resources', 'requests'),
    limits: object(container, 'resources', 'limits'),
  }))
  if (resources.every(({ requests, limits }) => Object.keys(requests).length === 0 && Object.keys(limits).length === 0))
    return 'BestEffort'
  const guaranteed = resources.every(({ requests, limits }) =>
    ['cpu', 'memory'].every(
      (name) => limits[name] !== undefined && (requests[name] === undefined || requests[name] === limits[name]),
    ),
  )
  return guaranteed ? 'Guaranteed' : 'Burstable'
}

const specOf = (pod: KubeObject): JsonObject => object(pod, 'spec')

function validatePodSpec(spec: JsonObject, path: string): FieldError[] {
  const errors: FieldError[] = []
  if (list(spec, 'containers').length === 0) errors.push(fieldError.required(`${path}.containers`))
  const names = new Set<string>()
  for (const member of ['containers', 'initContainers']) {
    for (const [index, container] of list(spec, member).entries()) {
      const here = `${path}.${member}[${index}]`
      const name = text(container, 'name')
      if (name === '') errors.push(fieldError.required(`${here}.name`))
      else if (!/^[a-z0-9]([-a-z0-9]{0,61}[a-z0-9])?$/.test(name)) {
        errors.push(fieldError.invalid(`${here}.name`, name, "a lowercase RFC 1123 label must consist of lower case alphanumeric characters or '-', and must start and end with an alphanumeric character (e.g. 'my-name',  or '123-abc', regex used for validation is '[a-z0-9]([-a-z0-9]*[a-z0-9])?')")) // prettier-ignore
      }
      if (names.has(name)) errors.push(fieldError.duplicate(`${here}.name`, name))
      names.add(name)
      if (text(container, 'image') === '') errors.push(fieldError.required(`${here}.image`))
      for (const [at, port] of list(container, 'ports').entries()) {
        const number = isObject(port) ? port['containerPort'] : undefined
        if (number === undefined || number === 0) errors.push(fieldError.required(`${here}.ports[${at}].containerPort`))
        else if (typeof number === 'number' && (number < 1 || number > 65535)) {
          errors.push(
            fieldError.invalid(`${here}.ports[${at}].containerPort`, number, 'must be between 1 and 65535, inclusive'),
          )
        }
      }
    }
  }
  const enums: [string, string[]][] = [
    ['restartPolicy', ['Always', 'OnFailure', 'Never']],
    ['dnsPolicy', ['ClusterFirstWithHostNet', 'ClusterFirst', 'Default', 'None']],
  ]
  for (const [member, allowed] of enums) {
    if (!allowed.includes(text(spec, member)))
      errors.push(fieldError.notSupported(`${path}.${member}`, spec[member] ?? '', allowed))
  }
  return errors
}

const immutable =
  'pod updates may not change fields other than `spec.containers[*].image`,`spec.initContainers[*].image`,`spec.activeDeadlineSeconds`,' +
  '`spec.tolerations` (only additions to existing tolerations),`spec.terminationGracePeriodSeconds` (allow it to be set to 1 if it was previously negative)'

/** A pod's spec without what may be changed. */
function frozenPart(spec: JsonObject): Json {
  const copy = clone(spec)
  for (const container of containersOf(copy)) Reflect.deleteProperty(container, 'image')
  for (const member of ['activeDeadlineSeconds', 'tolerations', 'schedulingGates', 'ephemeralContainers'])
    Reflect.deleteProperty(copy, member)
  return copy
}

function validatePodUpdate(pod: KubeObject, old: KubeObject): FieldError[] {
  const before = specOf(old)
  const after = specOf(pod)
  const errors = statusAddressErrors(pod)
  if (!equal(frozenPart(before), frozenPart(after))) return [...errors, fieldError.forbidden('spec', immutable)]
  const kept = list(after, 'tolerations')
  if (list(before, 'tolerations').every((toleration) => kept.some((one) => equal(one, toleration)))) return errors
  const why = 'existing toleration can not be modified except its tolerationSeconds'
  return [...errors, fieldError.forbidden('spec.tolerations', why)]
}

function statusAddressErrors(pod: KubeObject): FieldError[] {
  return ['podIPs', 'hostIPs'].flatMap((member) =>
    list(pod, 'status', member).flatMap((entry, index) => {
      const ip = text(entry, 'ip')
      const why = 'must be a valid IP address, (e.g. 10.9.8.7 or 2001:db8::ffff)'
      return isIP(ip) === 0 ? [fieldError.invalid(`status.${member}[${index}]`, ip, why)] : []
    }),
  )
}

const ended = new Set(['Succeeded', 'Failed'])

export const podStrategy: Strategy = {
  defaults: (pod) => {
    const spec = pod['spec']
    if (isObject(spec)) defaultPodSpec(spec)
    // Members that Go always writes.
    for (const condition of list(pod, 'status', 'conditions').filter(isObject))
      fill(condition, { lastProbeTime: null, lastTransitionTime: null })
    for (const member of ['containerStatuses', 'initContainerStatuses', 'ephemeralContainerStatuses']) {
      for (const status of list(pod, 'status', member).filter(isObject)) fill(status, { lastState: {}, state: {} })
    }
  },
  admit: (pod) => {
    const spec = pod['spec']
    if (isObject(spec)) admit(spec)
  },
  prepareCreate: (pod) => {
    const spec = pod['spec']
    if (!isObject(spec)) return
    pod['status'] = { phase: 'Pending', qosClass: qosClass(spec) }
  },
  // Admission of the real server does so at each write.
  prepareUpdate: (pod) => tolerateAbsence(specOf(pod)),
  validate: (pod) => validatePodSpec(specOf(pod), 'spec'),
  validateUpdate: validatePodUpdate,
  // As the real server: a pod that no kubelet knows, or that has ended, goes at once.
  gracePeriod: (pod, asked) => {
    if (text(pod, 'spec', 'nodeName') === '' || ended.has(text(pod, 'status', 'phase'))) return 0
    const own = specOf(pod)['terminationGracePeriodSeconds']
    return asked ?? (typeof own === 'number' ? own : 30)
  },
}

/** The PodScheduled condition that a binding sets. */
export const scheduled = (): JsonObject => ({
  type: 'PodScheduled',
  status: 'True',
  lastProbeTime: null,
  lastTransitionTime: timestamp(),
})

/** The selector of a workload is for life. */
function keepSelector(workload: KubeObject, old: KubeObject): FieldError[] {
  const selector = object(workload, 'spec', 'selector')
  if (equal(selector, object(old, 'spec', 'selector'))) return []
  const labels = Object.entries(object(selector, 'matchLabels')).map(([key, value]) => `${JSON.stringify(key)}:${JSON.stringify(value)}`) // prettier-ignore
  const shown = `v1.LabelSelector{MatchLabels:map[string]string{${labels.join(', ')}}, MatchExpressions:[]v1.LabelSelectorRequirement(nil)}`
  return [fieldError.invalid('spec.selector', new Verbatim(shown), 'field is immutable')]
}

/** Workloads: defaults and checks of their pod template. */
export function templateStrategy(
  defaults: (spec: JsonObject) => void,
  own: Pick<Strategy, 'validateUpdate'> & { readonly check?: (spec: JsonObject) => FieldError[] } = {},
): Strategy {
  return {
    defaults: (workload) => {
      const spec = object(workload, 'spec')
      defaults(spec)
      const podSpec = object(spec, 'template', 'spec')
      if (Object.keys(podSpec).length > 0) defaultPodSpec(podSpec)
      const metadata = object(spec, 'template')['metadata']
      if (isObject(metadata)) fill(metadata, { creationTimestamp: null })
    },
    validate: (workload) => {
      const errors: FieldError[] = []
      const spec = object(workload, 'spec')
      const matchLabels = object(spec, 'selector', 'matchLabels')
      if (spec['selector'] === undefined && workload.kind !== 'Job') errors.push(fieldError.required('spec.selector'))
      const labels = object(spec, 'template', 'metadata', 'labels')
      if (Object.entries(matchLabels).some(([key, value]) => labels[key] !== value)) {
        const shown = goText('map[string]string', labels)
        const why = '`selector` does not match template `labels`'
        errors.push(fieldError.invalid('spec.template.metadata.labels', shown, why))
      }
      errors.push(...(own.check?.(spec) ?? []))
      return [...errors, ...validatePodSpec(object(spec, 'template', 'spec'), 'spec.template.spec')]
    },
    validateUpdate: own.validateUpdate ?? keepSelector,
  }
}
