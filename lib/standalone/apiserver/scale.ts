// The scale subresource of workloads: `spec.replicas` as an autoscaling/v1 Scale (kubectl scale, autoscalers).
import { badRequest, conflict, fieldError, invalid, methodNotAllowed, modifiedMessage, notFound, unsupportedMediaType } from './errors.ts' // prettier-ignore
import { isDryRun, managerOf, occasionOf } from './handlers.ts'
import type { Exchange } from './handlers.ts'
import { isObject, list, object, text } from './json.ts'
import { jsonPatch } from './patch/json.ts'
import { mergePatch } from './patch/merge.ts'
import type { Resource, ScalePaths } from './registry.ts'
import { mediaTypeOf, parseBody, parseJsonBody, readBody } from './request.ts'
import { sendJson } from './respond.ts'
import { objectKey } from './store.ts'
import type { Json, JsonObject, KubeObject } from './types.ts'
import { update } from './write.ts'

/** GET, PUT and PATCH of `.../NAME/scale`. */
export async function handleScale(exchange: Exchange): Promise<void> {
  const { context, request, resource, path, response } = exchange
  const stored = context.store.get(resource.collection, objectKey(path.namespace, path.name))
  if (stored === undefined) throw notFound(resource, path.name)
  const method: string = request.method ?? ''
  switch (method) {
    case 'GET':
      sendJson(response, 200, scaleOf(resource, stored.object))
      return
    case 'PUT': {
      const body = parseBody(await readBody(request), mediaTypeOf(request))
      await write(exchange, () => body)
      return
    }
    case 'PATCH': {
      const type = mediaTypeOf(request)
      const patch = parseJsonBody(await readBody(request))
      await write(exchange, (scale) => patched(scale, patch, type))
      return
    }
    default:
      throw methodNotAllowed(method)
  }
}

/** A Scale has no lists, so that a strategic patch of one is a merge patch. */
function patched(scale: JsonObject, patch: Json, type: string): Json {
  if (type === 'application/json-patch+json') return jsonPatch(scale, patch)
  const known = ['application/merge-patch+json', 'application/strategic-merge-patch+json']
  if (!known.includes(type)) throw unsupportedMediaType(['application/json-patch+json', ...known])
  if (!isObject(patch)) throw badRequest('the patch is not an object')
  return mergePatch(scale, patch)
}

async function write(exchange: Exchange, change: (scale: KubeObject) => Json): Promise<void> {
  const { context, resource, path, query, response } = exchange
  const options = { dryRun: isDryRun(query), manager: managerOf(exchange), unversioned: true }
  const { namespace, name } = path
  const admitted = await admit(exchange, change)
  const scaled = update(
    context,
    resource,
    namespace,
    name,
    'scale',
    (workload) => {
      const replicas = wantedReplicas(exchange, workload, admitted ?? change(scaleOf(resource, workload)))
      return withMember(workload, resource.scale?.spec ?? workloadPaths.spec, replicas) as KubeObject
    },
    options,
  )
  sendJson(response, 200, scaleOf(resource, scaled))
}

/** The Scale webhooks have made; null when they left it as it was, and it is worked out from what is there then. */
async function admit(exchange: Exchange, change: (scale: KubeObject) => Json): Promise<KubeObject | null> {
  const { context, resource, path, query, request } = exchange
  const { namespace, name } = path
  const workload = context.store.get(resource.collection, objectKey(namespace, name))?.object
  if (workload === undefined) throw notFound(resource, name)
  const old = scaleOf(resource, workload)
  const scale = change(old)
  wantedReplicas(exchange, workload, scale)
  const where = { operation: 'UPDATE', resource, subresource: 'scale', namespace, name } as const
  const kind = { group: 'autoscaling', version: 'v1', kind: 'Scale' }
  const point = { ...where, kind, object: scale as KubeObject, old, dryRun: isDryRun(query) }
  const occasion = occasionOf(exchange, request.method === 'PUT' ? 'Update' : 'Patch')
  const admitted = await context.admission.review(point, occasion)
  return admitted === scale ? null : admitted
}

/** @throws StatusError 400, 409, 422 */
function wantedReplicas({ resource, path }: Exchange, workload: KubeObject, scale: Json): number {
  if (!isObject(scale) || (text(scale, 'kind') || 'Scale') !== 'Scale') throw badRequest('expected a Scale')
  const version = text(scale, 'metadata', 'resourceVersion')
  const { resourceVersion, uid } = workload.metadata
  const otherUid = text(scale, 'metadata', 'uid')
  if ((version !== '' && version !== resourceVersion) || (otherUid !== '' && otherUid !== uid)) {
    throw conflict(resource, path.name, modifiedMessage)
  }
  const replicas = object(scale, 'spec')['replicas'] ?? 0
  if (typeof replicas !== 'number' || !Number.isInteger(replicas)) {
    throw badRequest(`Scale in version "v1" cannot be handled as a Scale: spec.replicas: expected an integer`)
  }
  if (replicas < 0) {
    throw invalid({ group: 'autoscaling', kind: 'Scale' }, path.name, [
      fieldError.invalid('spec.replicas', replicas, 'must be greater than or equal to 0'),
    ])
  }
  return replicas
}

const workloadPaths: ScalePaths = { spec: ['spec', 'replicas'], status: ['status', 'replicas'], selector: [] }

/** The Scale of a workload. */
function scaleOf(resource: Resource, workload: KubeObject): KubeObject {
  const { name = '', namespace = '', uid = '', resourceVersion = '', creationTimestamp = '' } = workload.metadata
  const paths = resource.scale ?? workloadPaths
  const selector =
    resource.scale === undefined
      ? selectorText(object(workload, 'spec', 'selector'))
      : paths.selector.length === 0
        ? ''
        : text(workload, ...paths.selector)
  return {
    kind: 'Scale',
    apiVersion: 'autoscaling/v1',
    metadata: { name, ...(namespace === '' ? {} : { namespace }), uid, resourceVersion, creationTimestamp },
    spec: { replicas: Number(text(workload, ...paths.spec) || 0) },
    status: {
      replicas: Number(text(workload, ...paths.status) || 0),
      ...(selector === '' ? {} : { selector }),
    },
  }
}

/** A copy of `value` with one member set, the objects on the way made where they are absent. */
function withMember(value: JsonObject, [first = '', ...rest]: readonly string[], member: Json): JsonObject {
  return { ...value, [first]: rest.length === 0 ? member : withMember(object(value, first), rest, member) }
}

/** A selector as autoscalers read it: `a=b,c in (d,e)`. */
function selectorText(selector: JsonObject): string {
  const parts = Object.entries(object(selector, 'matchLabels')).map(([key, value]) => `${key}=${text(value)}`)
  for (const expression of list(selector, 'matchExpressions')) {
    const key = text(expression, 'key')
    const values = `(${list(expression, 'values').map(String).join(',')})`
    const operator = text(expression, 'operator')
    const forms: Record<string, string> = { Exists: key, DoesNotExist: `!${key}`, In: `${key} in ${values}` }
    parts.push(forms[operator] ?? `${key} notin ${values}`)
  }
  return parts.sort().join(',')
}
