// What hangs below objects: status, finalize, binding, eviction; and what this server leaves out.
import type { Context } from './context.ts'
import {
  badRequest,
  conflict,
  disruptionBudget,
  methodNotAllowed,
  noSuchResource,
  notFound,
  notImplemented,
} from './errors.ts'
import { getObject, isDryRun, managerOf, occasionOf, patchObject, putObject } from './handlers.ts'
import type { Exchange } from './handlers.ts'
import { isObject, list, object, text, timestamp } from './json.ts'
import { mediaTypeOf, parseBody, readBody } from './request.ts'
import { sendJson } from './respond.ts'
import { handleScale } from './scale.ts'
import { objectKey } from './store.ts'
import { scheduled } from './strategies/pods.ts'
import type { JsonObject, KubeObject } from './types.ts'
import { checkPreconditions, remove, update } from './write.ts'

/** Parts of the real API that need a kubelet's or scheduler's other end, or that nothing here uses. */
const leftOut = new Set([
  'attach',
  'ephemeralcontainers',
  'exec',
  'log',
  'portforward',
  'proxy',
  'resize',
  'token',
  'approval',
])

const created: JsonObject = { kind: 'Status', apiVersion: 'v1', metadata: {}, status: 'Success', code: 201 }

export async function handleSubresource(exchange: Exchange): Promise<void> {
  const { resource, path, request } = exchange
  const first = path.subresource.split('/')[0] ?? ''
  if (!resource.subresources.includes(path.subresource)) {
    throw !resource.custom && leftOut.has(first) ? notImplemented(`${resource.plural}/${first}`) : noSuchResource()
  }
  switch (path.subresource) {
    case 'status':
      if (request.method === 'GET') await getObject(exchange)
      else if (request.method === 'PUT') await putObject(exchange, 'status')
      else if (request.method === 'PATCH') await patchObject(exchange, 'status')
      else throw methodNotAllowed(request.method ?? '')
      return
    case 'finalize':
      if (request.method !== 'PUT') throw methodNotAllowed(request.method ?? '')
      await putObject(exchange, 'finalize')
      return
    case 'binding':
      await bind(exchange)
      return
    case 'scale':
      await handleScale(exchange)
      return
    case 'eviction':
      await evict(exchange)
      return
    default:
      throw noSuchResource()
  }
}

async function postedObject({ request }: Exchange): Promise<JsonObject> {
  if (request.method !== 'POST') throw methodNotAllowed(request.method ?? '')
  const body = parseBody(await readBody(request), mediaTypeOf(request))
  if (!isObject(body)) throw badRequest('expected an object')
  return body
}

const bindingKind = { group: '', version: 'v1', kind: 'Binding' }
const evictionKind = { group: 'policy', version: 'v1', kind: 'Eviction' }

/** What admission makes of the body of a subresource that is created. */
async function reviewed(
  exchange: Exchange,
  subresource: string,
  kind: JsonObject,
  body: JsonObject,
): Promise<JsonObject> {
  const { context, resource, path, query } = exchange
  const { namespace, name } = path
  const object: KubeObject = { ...body, ...kindHeader(kind), metadata: { name, namespace, ...object_(body) } }
  const where = { operation: 'CREATE', resource, subresource, namespace, name } as const
  const point = { ...where, kind, object, old: null, dryRun: isDryRun(query) }
  return (await context.admission.review(point, occasionOf(exchange, 'Create'))) ?? body
}

const kindHeader = (kind: JsonObject): { apiVersion: string; kind: string } => ({
  apiVersion: text(kind, 'group') === '' ? text(kind, 'version') : `${text(kind, 'group')}/${text(kind, 'version')}`,
  kind: text(kind, 'kind'),
})
const object_ = (body: JsonObject): JsonObject => object(body, 'metadata')

/** POST pods/NAME/binding: the scheduler's decision. */
async function bind(exchange: Exchange): Promise<void> {
  const binding = await postedObject(exchange)
  bindPod(exchange.context, exchange, await reviewed(exchange, 'binding', bindingKind, binding))
}

/** POST namespaces/NS/bindings, the older form of the same. */
export async function createBinding(exchange: Exchange): Promise<void> {
  const body = await postedObject(exchange)
  const pods = exchange.context.registry.find('v1', 'pods')
  if (pods === undefined) throw noSuchResource()
  const path = { ...exchange.path, plural: 'pods', name: text(body, 'metadata', 'name') }
  const inner = { ...exchange, resource: pods, path }
  bindPod(exchange.context, inner, await reviewed(inner, 'binding', bindingKind, body))
}

function bindPod(context: Context, exchange: Exchange, binding: JsonObject): void {
  const { resource, path, query, response } = exchange
  const node = text(binding, 'target', 'name')
  if (node === '') throw badRequest('target.name: Required value')
  const kind = text(binding, 'target', 'kind')
  if (kind !== '' && kind !== 'Node')
    throw badRequest(`target.kind: Unsupported value: ${JSON.stringify(kind)}: supported values: "Node"`)
  update(
    context,
    resource,
    path.namespace,
    path.name,
    'binding',
    (pod) => {
      const why = (text: string): Error => conflict({ group: '', plural: 'pods/binding' }, path.name, text)
      const uid = text(binding, 'metadata', 'uid')
      if (uid !== '' && uid !== pod.metadata.uid)
        throw why(`Precondition failed: UID in precondition: ${uid}, UID in object meta: ${pod.metadata.uid ?? ''}`)
      if (pod.metadata.deletionTimestamp !== undefined)
        throw why(`pod ${path.name} is being deleted, cannot be assigned to a host`)
      const present = text(pod, 'spec', 'nodeName')
      if (present !== '') throw why(`pod ${path.name} is already assigned to node ${JSON.stringify(present)}`)
      if (list(pod, 'spec', 'schedulingGates').length > 0)
        throw why(`pod ${path.name} has non-empty .spec.schedulingGates`)
      const status = object(pod, 'status')
      pod['spec'] = { ...object(pod, 'spec'), nodeName: node }
      pod['status'] = {
        ...status,
        conditions: [
          ...list(status, 'conditions').filter((condition) => text(condition, 'type') !== 'PodScheduled'),
          scheduled(),
        ],
      }
      const annotations = object(binding, 'metadata', 'annotations')
      if (Object.keys(annotations).length > 0) {
        pod.metadata.annotations = { ...pod.metadata.annotations, ...(annotations as { [key: string]: string }) }
      }
      return pod
    },
    { dryRun: isDryRun(query), manager: managerOf(exchange) },
  )
  sendJson(response, 201, created)
}

/** POST pods/NAME/eviction: a delete that a PodDisruptionBudget may forbid; the budget's status is what its writer says. */
async function evict(exchange: Exchange): Promise<void> {
  const { context, resource, path, query, response } = exchange
  const body = await reviewed(exchange, 'eviction', evictionKind, await postedObject(exchange))
  const stored = context.store.get(resource.collection, objectKey(path.namespace, path.name))
  if (stored === undefined) throw notFound(resource, path.name)
  const options = object(body, 'deleteOptions')
  const grace = options['gracePeriodSeconds']
  for (const [, { object: budget }] of context.store
    .collection('policy/poddisruptionbudgets')
    .entries(`${path.namespace}/`)) {
    const labels = object(budget, 'spec', 'selector', 'matchLabels')
    const covers =
      Object.keys(labels).length > 0 &&
      Object.entries(labels).every(([key, value]) => stored.object.metadata.labels?.[key] === value)
    if (covers && Number(text(budget, 'status', 'disruptionsAllowed') || 0) <= 0) {
      throw disruptionBudget(budget.metadata.name ?? '')
    }
  }
  const dryRun = isDryRun(query) || list(options, 'dryRun').length > 0
  const uid = text(options, 'preconditions', 'uid')
  const preconditions = uid === '' ? {} : { uid }
  checkPreconditions(resource, path.name, stored.object, preconditions)
  if (!dryRun) markDisrupted(context, exchange)
  const gracePeriod = typeof grace === 'number' ? grace : undefined
  remove(context, resource, path.namespace, path.name, { dryRun, gracePeriod, preconditions })
  sendJson(response, 201, created)
}

/** Why the pod is about to go, for those who decide what to make of it (the controllers of Jobs). */
function markDisrupted(context: Context, { resource, path }: Exchange): void {
  const condition = {
    type: 'DisruptionTarget',
    status: 'True',
    reason: 'EvictionByEvictionAPI',
    message: 'Eviction API: evicting',
    lastProbeTime: null,
    lastTransitionTime: timestamp(),
  }
  const mark = (pod: KubeObject): KubeObject => {
    const status = object(pod, 'status')
    const others = list(status, 'conditions').filter((one) => text(one, 'type') !== condition.type)
    pod['status'] = { ...status, conditions: [...others, condition] }
    return pod
  }
  update(context, resource, path.namespace, path.name, 'status', mark, { dryRun: false, manager: null })
}
