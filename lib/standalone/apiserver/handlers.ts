// The verbs on objects: get, list, watch, create, update, patch, delete, deletecollection.
import type { IncomingMessage, ServerResponse } from 'node:http'
import type { Context } from './context.ts'
import { decode, editable, parseFieldValidation } from './decode.ts'
import type { Decoded, FieldValidation } from './decode.ts'
import { StatusError, badRequest, conflict, fieldError, invalid, methodNotAllowed, notFound, qualified, tooLargeVersion, unsupportedMediaType } from './errors.ts' // prettier-ignore
import { isObject, text } from './json.ts'
import { negotiate } from './negotiate.ts'
import type { Occasion } from './admission/index.ts'
import { applySteps } from './patch/apply.ts'
import { jsonPatch } from './patch/json.ts'
import { mergePatch } from './patch/merge.ts'
import { strategicPatch } from './patch/strategic.ts'
import { Pace } from './pace.ts'
import { listObjects, versionParameter } from './read.ts'
import type { Resource } from './registry.ts'
import { count, flag, mediaTypeOf, parseBody, parseJsonBody, parseYamlBody, readBody } from './request.ts'
import type { ResourcePath } from './request.ts'
import { addWarnings, sendJson, sendList, sendObject } from './respond.ts'
import type { Wanted } from './respond.ts'
import { serve } from './served.ts'
import { objectKey } from './store.ts'
import { parseIncludeObject } from './tables/render.ts'
import type { Json, JsonObject, KubeObject } from './types.ts'
import { startWatch } from './watch.ts'
import { createSteps, removeSteps, updateSteps } from './write.ts'
import type { DeleteOptions, Part, WriteOptions } from './write.ts'

/** One request on its way. */
export interface Exchange {
  readonly context: Context
  readonly request: IncomingMessage
  readonly response: ServerResponse
  readonly query: URLSearchParams
  readonly resource: Resource
  readonly path: ResourcePath
  /** Of a fault: a get or the beginning of a watch sees the objects of this version. */
  readonly staleVersion?: number | null
}

const wantedOf = ({ request, query }: Exchange): Wanted => ({
  representation: negotiate(request.headers.accept),
  includeObject: parseIncludeObject(query.get('includeObject')),
})

/** @throws StatusError 400 for a `dryRun` other than All */
export function isDryRun(query: URLSearchParams): boolean {
  const values = query.getAll('dryRun').filter((value) => value !== '')
  const wrong = values.find((value) => value !== 'All')
  if (wrong !== undefined)
    throw badRequest(`dryRun: Unsupported value: ${JSON.stringify(wrong)}: supported values: "All"`)
  return values.length > 0
}

/** The field manager of a request: its parameter, else the program's name. */
export function managerOf({ query, request }: Exchange): string {
  return (
    query.get('fieldManager') || (request.headers['user-agent'] ?? 'unknown').split('/')[0]?.slice(0, 128) || 'unknown'
  )
}

/** What webhooks hear of a request. @param kind `Create`, `Update`, `Patch` or `Delete` */
export function occasionOf(exchange: Exchange, kind: string): Occasion {
  const { query, response, request } = exchange
  const options: JsonObject = { kind: `${kind}Options`, apiVersion: 'meta.k8s.io/v1' }
  if (kind !== 'Delete') options['fieldManager'] = managerOf(exchange)
  if (isDryRun(query)) options['dryRun'] = ['All']
  if (kind === 'Patch' && request.headers['content-type']?.includes('apply')) options['force'] = flag(query, 'force')
  return { options, warn: (warnings) => addWarnings(response, warnings) }
}

const writeOptions = (exchange: Exchange): WriteOptions => ({
  dryRun: isDryRun(exchange.query),
  manager: managerOf(exchange),
})

/** Everything on a collection or an object itself. */
export async function handleObject(exchange: Exchange): Promise<void> {
  const { request, query, path } = exchange
  const method: string = request.method ?? ''
  switch (method) {
    case 'GET':
      if (path.name !== '' && !flag(query, 'watch')) {
        await getObject(exchange)
        return
      }
      if (path.name !== '') query.set('fieldSelector', `metadata.name=${path.name}`)
      if (flag(query, 'watch'))
        startWatch(
          exchange.context,
          exchange.resource,
          path.namespace,
          query,
          wantedOf(exchange),
          exchange.response,
          exchange.staleVersion ?? null,
        )
      else {
        const wanted = wantedOf(exchange)
        const { meta, items } = await listObjects(exchange.context, exchange.resource, path.namespace, query)
        await sendList(exchange.response, exchange.resource, meta, items, wanted)
      }
      return
    case 'POST':
      if (path.name !== '') throw methodNotAllowed('POST')
      await createObject(exchange)
      return
    case 'PUT':
      if (path.name === '') throw methodNotAllowed('PUT')
      await putObject(exchange, '')
      return
    case 'PATCH':
      if (path.name === '') throw methodNotAllowed('PATCH')
      await patchObject(exchange, '')
      return
    case 'DELETE':
      if (path.name === '') await deleteCollection(exchange)
      else await deleteObject(exchange)
      return
    default:
      throw methodNotAllowed(method)
  }
}

export async function getObject(exchange: Exchange): Promise<void> {
  const { context, resource, path, query, response, staleVersion } = exchange
  const { collection } = resource
  const asked = versionParameter(query)
  if (asked !== undefined && asked > context.store.version) throw tooLargeVersion(asked, context.store.version)
  const stored = (
    typeof staleVersion === 'number'
      ? await context.store.collectionAt(collection, staleVersion)
      : context.store.collection(collection)
  ).get(objectKey(path.namespace, path.name))
  if (stored === undefined) throw notFound(resource, path.name)
  sendObject(response, 200, resource, serve(resource, stored.object), wantedOf(exchange))
}

async function readObject(exchange: Exchange): Promise<KubeObject> {
  const { request, resource, query, response } = exchange
  const value = parseBody(await readBody(request), mediaTypeOf(request), resource.typeName)
  const { object, warnings } = decode(resource, value, parseFieldValidation(query.get('fieldValidation')))
  addWarnings(response, warnings)
  return object
}

async function createObject(exchange: Exchange): Promise<void> {
  const { context, resource, path, response } = exchange
  const wanted = wantedOf(exchange)
  const body = await readObject(exchange)
  const steps = createSteps(context, resource, path.namespace, body, writeOptions(exchange))
  sendObject(response, 201, resource, await context.admission.run(steps, occasionOf(exchange, 'Create')), wanted)
}

export async function putObject(exchange: Exchange, part: Part): Promise<void> {
  const { context, resource, path, response } = exchange
  const wanted = wantedOf(exchange)
  const body = await readObject(exchange)
  const { namespace, name } = path
  const absent = context.store.get(resource.collection, objectKey(namespace, name)) === undefined
  if (absent && part === '' && resource.createsOnUpdate === true) {
    if ((body.metadata.name ??= name) !== name)
      throw badRequest(`the name of the object (${body.metadata.name}) does not match the name on the URL (${name})`)
    const { uid = '' } = body.metadata
    // As from the real server's store: a PUT takes the uid for a precondition, and there is nothing to hold it against.
    if (uid !== '')
      throw conflict(resource, name, `Precondition failed: UID in precondition: ${uid}, UID in object meta: `)
    delete body.metadata.resourceVersion
    const steps = createSteps(context, resource, namespace, body, writeOptions(exchange))
    sendObject(response, 201, resource, await context.admission.run(steps, occasionOf(exchange, 'Update')), wanted)
    return
  }
  const steps = updateSteps(context, resource, namespace, name, part, () => editable(body), writeOptions(exchange))
  const result = await context.admission.run(steps, occasionOf(exchange, 'Update'))
  sendObject(response, 200, resource, result, wanted)
}

const patchTypes = [
  'application/json-patch+json',
  'application/merge-patch+json',
  'application/strategic-merge-patch+json',
  'application/apply-patch+yaml',
] as const

export async function patchObject(exchange: Exchange, part: Part): Promise<void> {
  const { context, request, resource, path, query, response } = exchange
  const wanted = wantedOf(exchange)
  const type = mediaTypeOf(request)
  const fieldValidation = parseFieldValidation(query.get('fieldValidation'))
  if (type === 'application/apply-patch+yaml') {
    const patch = parseYamlBody(await readBody(request))
    const manager = query.get('fieldManager') ?? ''
    const options = { manager, force: flag(query, 'force'), dryRun: isDryRun(query), fieldValidation }
    const steps = applySteps(context, resource, path.namespace, path.name, part, patch, options)
    const { object, created, warnings } = await context.admission.run(steps, occasionOf(exchange, 'Patch'))
    addWarnings(response, warnings)
    sendObject(response, created ? 201 : 200, resource, object, wanted)
    return
  }
  if (!patchTypes.some((known) => known === type) || (resource.custom && type.startsWith('application/strategic'))) {
    throw unsupportedMediaType(
      patchTypes.filter((known) => !(resource.custom && known.startsWith('application/strategic'))),
    )
  }
  const patch = parseJsonBody(await readBody(request))
  const change = (copy: KubeObject): KubeObject => {
    // A patch that says nothing of the version changes whatever is there.
    const { object, warnings } = decodePatched(resource, patched(resource, copy, patch, type), fieldValidation)
    addWarnings(response, warnings)
    return object
  }
  const steps = updateSteps(context, resource, path.namespace, path.name, part, change, {
    ...writeOptions(exchange),
    unversioned: true,
  })
  const result = await context.admission.run(steps, occasionOf(exchange, 'Patch'))
  sendObject(response, 200, resource, result, wanted)
}

/** What a patch has made of an object. @throws StatusError 422 with the patched object when it is none of its kind any more */
function decodePatched(resource: Resource, value: Json, fieldValidation: FieldValidation): Decoded {
  const shown = JSON.stringify(value)
  try {
    return decode(resource, value, fieldValidation)
  } catch (error) {
    if (!(error instanceof StatusError) || error.code !== 400) throw error
    const why = error.message.replace(/^.* cannot be handled as a \w+: /, '')
    throw invalid({ group: '', kind: '' }, '', [fieldError.invalid('patch', shown, why)])
  }
}

function patched(resource: Resource, target: KubeObject, patch: Json, type: string): Json {
  if (type === 'application/json-patch+json') return jsonPatch(target, patch)
  if (!isObject(patch)) throw badRequest('the patch is not an object')
  return type === 'application/merge-patch+json'
    ? mergePatch(target, patch)
    : strategicPatch(target, patch, resource.schema)
}

/** DeleteOptions come in the body, the URL or both. @throws StatusError 400 */
async function deleteOptions({ request, query }: Exchange): Promise<DeleteOptions> {
  const body = await readBody(request)
  const given = body.length === 0 ? {} : parseBody(body, mediaTypeOf(request))
  if (!isObject(given)) throw badRequest('DeleteOptions: expected an object')
  const dryRun = isDryRun(query) || (Array.isArray(given['dryRun']) && given['dryRun'].length > 0)
  const grace = count(query, 'gracePeriodSeconds') ?? given['gracePeriodSeconds']
  if (grace !== undefined && grace !== null && (typeof grace !== 'number' || grace < 0)) {
    throw badRequest(`gracePeriodSeconds: Invalid value: ${JSON.stringify(grace)}: expected a non-negative integer`)
  }
  const preconditions = isObject(given['preconditions']) ? given['preconditions'] : {}
  const uid = preconditions['uid']
  const resourceVersion = preconditions['resourceVersion']
  return {
    dryRun,
    gracePeriod: typeof grace === 'number' ? grace : undefined,
    propagation: propagationOf(query, given),
    preconditions: {
      ...(typeof uid === 'string' ? { uid } : {}),
      ...(typeof resourceVersion === 'string' ? { resourceVersion } : {}),
    },
  }
}

function propagationOf(query: URLSearchParams, given: JsonObject): DeleteOptions['propagation'] {
  const asked = query.get('propagationPolicy') ?? given['propagationPolicy']
  if (asked === undefined || asked === null || asked === '') {
    return given['orphanDependents'] === true || flag(query, 'orphanDependents') ? 'Orphan' : 'Background'
  }
  if (asked === 'Background' || asked === 'Foreground' || asked === 'Orphan') return asked
  throw badRequest(
    `propagationPolicy: Unsupported value: ${JSON.stringify(asked)}: supported values: "Background", "Foreground", "Orphan"`,
  )
}

async function deleteObject(exchange: Exchange): Promise<void> {
  const { context, resource, path, response } = exchange
  const wanted = wantedOf(exchange)
  const options = await deleteOptions(exchange)
  const steps = removeSteps(context, resource, path.namespace, path.name, options)
  const { object, gone } = await context.admission.run(steps, occasionOf(exchange, 'Delete'))
  if (!gone || resource.returnsDeleted || options.dryRun) {
    sendObject(response, 200, resource, object, wanted)
    return
  }
  sendJson(response, 200, {
    kind: 'Status',
    apiVersion: 'v1',
    metadata: {},
    status: 'Success',
    details: {
      name: path.name,
      ...(resource.group === '' ? {} : { group: resource.group }),
      kind: resource.plural,
      uid: object.metadata.uid ?? '',
    },
  })
}

async function deleteCollection(exchange: Exchange): Promise<void> {
  const { context, resource, path, query, response } = exchange
  const wanted = wantedOf(exchange)
  const options = await deleteOptions(exchange)
  if ((resource.namespaced && path.namespace === '') || resource.kind === 'Namespace') throw methodNotAllowed('DELETE')
  const { meta, items } = await listObjects(context, resource, path.namespace, query)
  const pace = new Pace()
  try {
    for (const { object } of items) {
      if (pace.due()) await pace.breathe()
      try {
        const { namespace = '', name = '' } = object.metadata
        const steps = removeSteps(context, resource, namespace, name, options)
        await context.admission.run(steps, occasionOf(exchange, 'Delete'))
      } catch (error) {
        // Somebody else was faster, or it may not be deleted: the others still are.
        if (!(error instanceof StatusError) || (error.code !== 404 && error.code !== 403)) throw error
        context.log.debug(
          { object: `${qualified(resource.group, resource.plural)}/${text(object, 'metadata', 'name')}`, err: error },
          'left out of a delete of many',
        )
      }
    }
  } finally {
    pace.done()
  }
  await sendList(response, resource, { resourceVersion: meta.resourceVersion }, items, wanted)
}
