// Whether a webhook is asked about a write, and as which version of its kind (k8s.io/apiserver/pkg/admission/plugin/webhook).
import { list, object, text } from '../json.ts'
import { apiVersionOf } from '../registry.ts'
import type { Resource } from '../registry.ts'
import { matchesLabels } from '../selectors.ts'
import type { Json, JsonObject, KubeObject } from '../types.ts'
import type { AdmissionPoint } from '../write.ts'
import { group, type Surroundings, type Webhook } from './config.ts'

/** The version of the kind a webhook wants to see; null when it does not want to be asked. */
export function matchWebhook(context: Surroundings, { spec }: Webhook, point: AdmissionPoint): Resource | null {
  // A wrong configuration must stay repairable.
  if (point.resource.group === group) return null
  if (!matchesNamespace(context, spec, point)) return null
  const selector = object(spec, 'objectSelector')
  const objects = [point.object, point.old].filter((one): one is KubeObject => one !== null)
  if (!objects.some(({ metadata }) => matchesSelector(selector, metadata.labels))) return null
  const rules = list(spec, 'rules')
  if (rules.some((rule) => matchesRule(rule, point, point.resource))) return point.resource
  if (text(spec, 'matchPolicy') === 'Exact') return null
  const others = context.registry
    .all()
    .filter((other) => other.collection === point.resource.collection && other !== point.resource)
  return others.find((other) => rules.some((rule) => matchesRule(rule, point, other))) ?? null
}

function matchesRule(
  rule: Json,
  { operation, subresource, resource, namespace }: AdmissionPoint,
  as: Resource,
): boolean {
  const has = (member: string, value: string): boolean => {
    const values = list(rule, member)
    return values.includes('*') || values.includes(value)
  }
  const scope = text(rule, 'scope') || '*'
  // A namespace counts as cluster-wide, although requests about it carry its name as theirs.
  const namespaced = resource.namespaced && namespace !== ''
  if (scope !== '*' && (scope === 'Namespaced') !== namespaced) return false
  if (!has('operations', operation) || !has('apiGroups', as.group) || !has('apiVersions', as.version)) return false
  return list(rule, 'resources').some((pattern) => {
    const [plural = '', sub = ''] = text(pattern).split('/')
    return (plural === '*' || plural === as.plural) && (sub === '*' || sub === subresource)
  })
}

function matchesNamespace(
  context: Surroundings,
  spec: JsonObject,
  { resource, namespace, object: now, old }: AdmissionPoint,
): boolean {
  const selector = object(spec, 'namespaceSelector')
  if (Object.keys(selector).length === 0) return true
  if (resource.group === '' && resource.plural === 'namespaces') {
    return matchesSelector(selector, (now ?? old)?.metadata.labels)
  }
  if (!resource.namespaced) return true
  return matchesSelector(selector, context.store.get('/namespaces', namespace)?.object.metadata.labels)
}

function matchesSelector(selector: JsonObject, labels: Readonly<Record<string, string>> = {}): boolean {
  const exact = Object.entries(object(selector, 'matchLabels')).map(([key, value]) => ({
    key,
    operator: '=' as const,
    values: [text(value)],
  }))
  const operators = { In: 'in', NotIn: 'notin', Exists: 'exists', DoesNotExist: '!' } as const
  const expressions = list(selector, 'matchExpressions').map((expression) => ({
    key: text(expression, 'key'),
    operator: operators[text(expression, 'operator') as keyof typeof operators],
    values: list(expression, 'values').map(String),
  }))
  return matchesLabels([...exact, ...expressions], labels)
}

export const kindOf = (resource: Resource): JsonObject => ({
  group: resource.group,
  version: resource.version,
  kind: resource.kind,
})

export const resourceOf = ({ group, version, plural }: Resource): JsonObject => ({ group, version, resource: plural })

/** An object as another version of its kind: only apiVersion differs (conversion `None`). */
export const asVersion = (object: KubeObject | null, resource: Resource): KubeObject | null =>
  object === null ? null : { ...object, apiVersion: apiVersionOf(resource), kind: resource.kind }
