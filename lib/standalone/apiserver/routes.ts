// From a request to what answers it.
import type { IncomingMessage, ServerResponse } from 'node:http'
import type { Authenticator } from './auth.ts'
import type { Context } from './context.ts'
import { discover, reviews, rootPaths } from './discovery.ts'
import { StatusError, internalError, methodNotAllowed, noSuchResource, unauthorized } from './errors.ts'
import { handleObject } from './handlers.ts'
import { answerWhenDurable } from './journal/answer.ts'
import { openApi } from './openapi/index.ts'
import { conflictAnnotation } from './faults/index.ts'
import type { Resource } from './registry.ts'
import { flag, parseResourcePath } from './request.ts'
import type { ResourcePath } from './request.ts'
import { sendError, sendJson } from './respond.ts'
import { handleReview } from './reviews.ts'
import { objectKey } from './store.ts'
import { createBinding, handleSubresource } from './subresources.ts'
import type { KubeObject } from './types.ts'
import { update } from './write.ts'

/** Paths that answer without credentials, as in a real cluster. */
const open = new Set(['/healthz', '/livez', '/readyz', '/version', '/version/'])

export type Handler = (request: IncomingMessage, response: ServerResponse) => void

export function createHandler(context: Context, authenticator: Authenticator): Handler {
  const route = async (request: IncomingMessage, response: ServerResponse): Promise<void> => {
    const [path = '', search = ''] = splitOnce(request.url ?? '/', '?')
    if (!open.has(path) && !authenticator.admits(request)) throw unauthorized()
    if (/^\/(healthz|livez|readyz)(\/|$)/.test(path)) {
      response.writeHead(200, { 'content-type': 'text/plain; charset=utf-8' }).end('ok')
      return
    }
    const isGet = request.method === 'GET' || request.method === 'HEAD'
    if (isGet) {
      const document =
        path === '/'
          ? { body: rootPaths(context.registry), contentType: 'application/json' }
          : discover(context.registry, path, request.headers.accept)
      if (document !== null) {
        sendJson(response, 200, document.body, document.contentType)
        return
      }
      if (openApi(context.registry, path, request, response)) return
    }
    await handleResource(path, new URLSearchParams(search), request, response)
  }

  const handleResource = async (
    path: string,
    query: URLSearchParams,
    request: IncomingMessage,
    response: ServerResponse,
  ): Promise<void> => {
    const target = parseResourcePath(path)
    if (target === null) throw noSuchResource()
    const review = reviews.find(
      ({ group, version, plural }) => target.apiVersion === `${group}/${version}` && target.plural === plural,
    )
    if (review !== undefined) {
      await handleReview({ context, request, response, query, path: target }, review.kind, (token) =>
        authenticator.isAdminToken(token),
      )
      return
    }
    const resource = context.registry.find(target.apiVersion, target.plural)
    const exchange = { context, request, response, query, path: target }
    if (resource === undefined) {
      const pods = context.registry.find('v1', 'pods')
      if (target.apiVersion === 'v1' && target.plural === 'bindings' && target.namespace !== '' && pods !== undefined) {
        await createBinding({ ...exchange, resource: pods })
        return
      }
      throw noSuchResource()
    }
    if (resource.namespaced ? target.namespace === '' && target.name !== '' : target.namespace !== '')
      throw noSuchResource()
    if (resource.namespaced && target.namespace === '' && request.method !== 'GET')
      throw methodNotAllowed(request.method ?? '')
    const faulty = {
      ...target,
      verb: verbOf(request, query, target),
      group: resource.group,
      agent: request.headers['user-agent'] ?? '',
    }
    const outcome = await context.faults.strike(faulty, query, request, response)
    if (outcome === null) return
    if (context.journal !== null && request.method !== 'GET' && request.method !== 'HEAD') {
      if (context.journal.failure !== null) throw internalError(context.journal.failure.message)
      answerWhenDurable(response, context.journal, context.log)
    }
    if (outcome.conflict) interfere(context, resource, target)
    if (target.subresource === '') await handleObject({ ...exchange, resource, staleVersion: outcome.staleVersion })
    else await handleSubresource({ ...exchange, resource })
  }

  return (request, response) => {
    route(request, response).catch((error: unknown) => {
      if (response.headersSent || response.destroyed) {
        // The client went away, or the answer had begun: nothing more can be said on this connection.
        context.log.debug({ url: request.url, err: error }, 'request ended early')
        response.destroy()
        return
      }
      if (error instanceof StatusError) {
        context.log.debug(
          { method: request.method, url: request.url, code: error.code, reason: error.message },
          'request refused',
        )
        // What was not read of the body is in the way of the next request.
        if (!request.complete && hasBody(request)) response.setHeader('connection', 'close')
        sendError(response, error)
        return
      }
      context.log.error({ method: request.method, url: request.url, err: error }, 'request failed')
      sendError(response, internalError(error instanceof Error ? error.message : String(error)))
    })
  }
}

/** The verb as authorization and audit call it. */
function verbOf({ method }: IncomingMessage, query: URLSearchParams, { name }: ResourcePath): string {
  const verbs: Readonly<Record<string, string>> = { POST: 'create', PUT: 'update', PATCH: 'patch' }
  if (method === 'DELETE') return name === '' ? 'deletecollection' : 'delete'
  if (method === 'GET' || method === 'HEAD') return flag(query, 'watch') ? 'watch' : name === '' ? 'list' : 'get'
  return verbs[method ?? ''] ?? ''
}

/** The conflicting writer of a fault: changes an annotation of the object, if it is there. */
function interfere(context: Context, resource: Resource, { namespace, name }: ResourcePath): void {
  if (context.store.get(resource.collection, objectKey(namespace, name)) === undefined) return
  const change = (copy: KubeObject): KubeObject => {
    copy.metadata.annotations = { ...copy.metadata.annotations, [conflictAnnotation]: String(context.store.version) }
    return copy
  }
  update(context, resource, namespace, name, '', change, {
    dryRun: false,
    manager: 'conflicting-writer',
    unversioned: true,
  })
}

const hasBody = ({ headers }: IncomingMessage): boolean =>
  headers['transfer-encoding'] !== undefined || Number(headers['content-length'] ?? 0) > 0

function splitOnce(text: string, separator: string): [string, string] {
  const at = text.indexOf(separator)
  return at < 0 ? [text, ''] : [text.slice(0, at), text.slice(at + 1)]
}
