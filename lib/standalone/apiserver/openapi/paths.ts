// The paths of OpenAPI documents: enough for kubectl to find a kind and see that its fields are checked by the server.
import { apiVersionOf } from '../registry.ts'
import type { Resource } from '../registry.ts'
import type { JsonObject } from '../types.ts'
import { definitionName, gvkOf } from './schemas.ts'

const prefixOf = (resource: Resource): string => {
  const root = resource.group === '' ? '/api/' : '/apis/'
  return `${root}${apiVersionOf(resource)}${resource.namespaced ? '/namespaces/{namespace}' : ''}/${resource.plural}`
}

const query = (name: string, type: string): JsonObject => ({ name, in: 'query', schema: { type, uniqueItems: true } })

const writeParameters = [query('dryRun', 'string'), query('fieldManager', 'string'), query('fieldValidation', 'string')]

function patchContent(resource: Resource): JsonObject {
  const types = ['application/apply-patch+yaml', 'application/json-patch+json', 'application/merge-patch+json']
  if (!resource.custom) types.push('application/strategic-merge-patch+json')
  return Object.fromEntries(types.map((type) => [type, { schema: { type: 'object' } }]))
}

/** Version 3 path items of resources. */
export function paths3(resources: readonly Resource[]): JsonObject {
  const paths: JsonObject = {}
  for (const resource of resources) {
    const gvk = gvkOf(resource)
    const schema = { $ref: `#/components/schemas/${definitionName(resource)}` }
    const content = { 'application/json': { schema } }
    const operation = (action: string, more: JsonObject = {}): JsonObject => ({
      'x-kubernetes-action': action,
      'x-kubernetes-group-version-kind': gvk,
      responses: { '200': { description: 'OK', content } },
      ...more,
    })
    const body = { required: true, content: { '*/*': { schema } } }
    paths[prefixOf(resource)] = {
      get: operation('list', { responses: { '200': { description: 'OK' } } }),
      post: operation('post', { parameters: writeParameters, requestBody: body }),
      delete: operation('deletecollection', { responses: { '200': { description: 'OK' } } }),
    }
    paths[`${prefixOf(resource)}/{name}`] = {
      get: operation('get'),
      put: operation('put', { parameters: writeParameters, requestBody: body }),
      patch: operation('patch', {
        parameters: [...writeParameters, query('force', 'boolean')],
        requestBody: { required: true, content: patchContent(resource) },
      }),
      delete: operation('delete', { responses: { '200': { description: 'OK' } } }),
    }
  }
  return paths
}

/** Version 2 path items: the patch operations, in which kubectl looks for parameters. */
export function paths2(resources: readonly Resource[]): JsonObject {
  const paths: JsonObject = {}
  for (const resource of resources) {
    paths[`${prefixOf(resource)}/{name}`] = {
      patch: {
        operationId: `patch${resource.kind}${apiVersionOf(resource)}`,
        parameters: ['dryRun', 'fieldManager', 'fieldValidation'].map((name) => ({
          name,
          in: 'query',
          type: 'string',
          uniqueItems: true,
        })),
        responses: { '200': { description: 'OK' } },
        'x-kubernetes-action': 'patch',
        'x-kubernetes-group-version-kind': gvkOf(resource),
      },
    }
  }
  return paths
}
