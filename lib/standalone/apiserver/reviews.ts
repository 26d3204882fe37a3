// Reviews: everyone who is let in may do everything.
import { badRequest, methodNotAllowed } from './errors.ts'
import type { Exchange } from './handlers.ts'
import { isObject, text } from './json.ts'
import { mediaTypeOf, parseBody, readBody } from './request.ts'
import { sendJson } from './respond.ts'
import type { JsonObject } from './types.ts'

export const adminUser = { username: 'kubernetes-admin', groups: ['system:masters', 'system:authenticated'] }

export async function handleReview(
  exchange: Omit<Exchange, 'resource'>,
  kind: string,
  isAdminToken: (token: string) => boolean,
): Promise<void> {
  const { request, response } = exchange
  if (request.method !== 'POST') throw methodNotAllowed(request.method ?? '')
  const body = parseBody(await readBody(request), mediaTypeOf(request))
  if (!isObject(body)) throw badRequest('expected an object')
  sendJson(response, 201, { ...body, kind, metadata: {}, status: verdict(kind, body, isAdminToken) })
}

function verdict(kind: string, body: JsonObject, isAdminToken: (token: string) => boolean): JsonObject {
  switch (kind) {
    case 'SelfSubjectReview':
      return { userInfo: { ...adminUser } }
    case 'TokenReview':
      return isAdminToken(text(body, 'spec', 'token'))
        ? { authenticated: true, user: { ...adminUser } }
        : { authenticated: false }
    case 'SelfSubjectRulesReview':
      return {
        resourceRules: [{ verbs: ['*'], apiGroups: ['*'], resources: ['*'] }],
        nonResourceRules: [{ verbs: ['*'], nonResourceURLs: ['*'] }],
        incomplete: false,
      }
    default:
      return {
        allowed: true,
        reason: 'the standalone API server does not authorize: everyone who is let in may do everything',
      }
  }
}
