// Lists: which version, which objects, which page.
import type { Context } from './context.ts'
import { StatusError, badRequest, expiredContinue, invalid, fieldError, tooLargeVersion } from './errors.ts'

import { Pace } from './pace.ts'
import type { Resource } from './registry.ts'
import { count } from './request.ts'
import type { ListMeta } from './respond.ts'
import { compileSelectors } from './selectors.ts'
import type { Predicate } from './selectors.ts'
import { serve, servesStored } from './served.ts'
import type { Collection, Stored } from './store.ts'

export interface ListResult {
  readonly meta: ListMeta
  readonly items: readonly Stored[]
}

/** A place in a list; opaque to clients, of the real server's make. `rv` -1: go on with whatever is there now. */
interface ContinueToken {
  readonly v: 'meta.k8s.io/v1'
  readonly rv: number
  readonly start: string
}

/** The selectors of a request as a predicate on stored objects; null when everything fits. @throws StatusError 400 */
export function selectorOf(resource: Resource, query: URLSearchParams): Predicate | null {
  const predicate = compileSelectors(
    query.get('labelSelector') ?? '',
    query.get('fieldSelector') ?? '',
    resource.fields,
  )
  if (predicate === null || servesStored(resource)) return predicate
  return (object) => predicate(serve(resource, object))
}

/** A resourceVersion parameter: undefined when absent. @throws StatusError 400 */
export function versionParameter(query: URLSearchParams): number | undefined {
  const value = query.get('resourceVersion')
  if (value === null || value === '') return undefined
  if (!/^\d{1,15}$/.test(value))
    throw badRequest(`resourceVersion: Invalid value: ${JSON.stringify(value)}: expected a decimal integer`)
  return Number(value)
}

/** @throws StatusError 400, 410 for an expired page, 504 for a version that is not yet */
export async function listObjects(
  context: Context,
  resource: Resource,
  namespace: string,
  query: URLSearchParams,
): Promise<ListResult> {
  const predicate = selectorOf(resource, query)
  const limit = limitOf(query)
  const { collection, version, start } = await startOf(context, resource, query)
  const prefix = namespace === '' ? '' : `${namespace}/`
  const items: Stored[] = []
  let next: string | undefined
  const pace = new Pace()
  try {
    for (const [key, stored] of collection.entries(prefix, start)) {
      if (pace.due()) await pace.breathe()
      if (predicate !== null && !predicate(stored.object)) continue
      if (limit > 0 && items.length === limit) {
        next = key
        break
      }
      items.push(stored)
    }
  } finally {
    pace.done()
  }
  if (next === undefined) return { meta: { resourceVersion: String(version) }, items }
  const token: ContinueToken = { v: 'meta.k8s.io/v1', rv: version, start: next }
  const meta = { resourceVersion: String(version), continue: encode(token) }
  if (predicate !== null) return { meta, items }
  return { meta: { ...meta, remainingItemCount: collection.rank(endOf(prefix)) - collection.rank(next) }, items }
}

/** What is less than nothing limits nothing, as in the real server. */
const limitOf = (query: URLSearchParams): number =>
  /^-\d+$/.test(query.get('limit') ?? '') ? 0 : (count(query, 'limit') ?? 0)

/** A key after all keys with a prefix. */
const endOf = (prefix: string): string => (prefix === '' ? '\u{10ffff}' : `${prefix.slice(0, -1)}0`)

async function startOf(
  context: Context,
  resource: Resource,
  query: URLSearchParams,
): Promise<{ collection: Collection; version: number; start: string }> {
  const { store } = context
  const asked = versionParameter(query)
  const match = query.get('resourceVersionMatch') ?? ''
  const continued = query.get('continue') ?? ''
  if (continued !== '') {
    if (match !== '')
      throw forbiddenParameter('resourceVersionMatch', 'resourceVersionMatch is forbidden with continue')
    if (asked !== undefined && asked > 0)
      throw badRequest('specifying resource version is not allowed when using continue')
    const token = decode(continued)
    if (token.rv < 0)
      return { collection: store.collection(resource.collection), version: store.version, start: token.start }
    try {
      return {
        collection: await store.collectionAt(resource.collection, token.rv),
        version: token.rv,
        start: token.start,
      }
    } catch (error) {
      if (!(error instanceof StatusError) || error.code !== 410) throw error
      throw expiredContinue(encode({ ...token, rv: -1 }))
    }
  }
  if (match !== '') {
    if (match !== 'Exact' && match !== 'NotOlderThan') {
      throw invalid({ group: 'meta.k8s.io', kind: 'ListOptions' }, '', [
        fieldError.notSupported('resourceVersionMatch', match, ['Exact', 'NotOlderThan']),
      ])
    }
    if (asked === undefined) {
      throw forbiddenParameter(
        'resourceVersionMatch',
        'resourceVersionMatch is forbidden unless resourceVersion is provided',
      )
    }
    if (match === 'Exact' && asked === 0) {
      throw forbiddenParameter(
        'resourceVersionMatch',
        'resourceVersionMatch "exact" is forbidden for resourceVersion "0"',
      )
    }
  }
  if (asked !== undefined && asked > store.version) throw tooLargeVersion(asked, store.version)
  if (match === 'Exact' && asked !== undefined) {
    return { collection: await store.collectionAt(resource.collection, asked), version: asked, start: '' }
  }
  if (limitOf(query) > 0) store.remember(resource.collection)
  return { collection: store.collection(resource.collection), version: store.version, start: '' }
}

function forbiddenParameter(field: string, why: string): StatusError {
  return invalid({ group: 'meta.k8s.io', kind: 'ListOptions' }, '', [fieldError.forbidden(field, why)])
}

const encode = (token: ContinueToken): string => Buffer.from(JSON.stringify(token)).toString('base64url')

function decode(text: string): ContinueToken {
  try {
    const token = JSON.parse(Buffer.from(text, 'base64url').toString()) as Partial<ContinueToken>
    if (token.v === 'meta.k8s.io/v1' && Number.isInteger(token.rv) && typeof token.start === 'string')
      return token as ContinueToken
  } catch (error) {
    throw badRequest(
      `invalid continue token: continue key is not valid: ${error instanceof Error ? error.message : String(error)}`,
    )
  }
  throw badRequest('invalid continue token: continue key is not valid: expected the token of an earlier page')
}
