// Paths, keys and errors of the API.
import { test } from 'uvu'
import * as assert from 'uvu/assert'
import {
  ApiError,
  RequestError,
  apiVersionOf,
  isAlreadyExists,
  isConflict,
  isGone,
  isNotFound,
  isRetryable,
  objectKey,
  parseKey,
} from '../../../lib/kube/index.ts'
import { collectionPath, objectPath, queryText } from '../../../lib/kube/paths.ts'

const pods = { group: '', version: 'v1', plural: 'pods', kind: 'Pod', namespaced: true }
const nodes = { group: '', version: 'v1', plural: 'nodes', kind: 'Node', namespaced: false }
const leases = { group: 'coordination.k8s.io', version: 'v1', plural: 'leases', kind: 'Lease', namespaced: true }

test('paths of collections, objects and subresources', () => {
  assert.is(collectionPath(pods), '/api/v1/pods')
  assert.is(collectionPath(pods, 'kube-system'), '/api/v1/namespaces/kube-system/pods')
  assert.is(objectPath(nodes, { name: 'n1', namespace: '' }, 'status'), '/api/v1/nodes/n1/status')
  assert.is(
    objectPath(leases, { namespace: 'a', name: 'b/c' }),
    '/apis/coordination.k8s.io/v1/namespaces/a/leases/b%2Fc',
  )
  assert.throws(() => objectPath(pods, { name: 'x' }), /Pod 'x': the namespace is empty/)
  assert.throws(() => objectPath(pods, { namespace: 'x' }), /Pod: the object's name is empty/)
  assert.throws(() => collectionPath(nodes, 'x'), /Node is cluster-scoped, but namespace 'x' was given/)
})

test('queries leave out what is not said', () => {
  assert.is(queryText({ a: null, b: undefined, c: '', d: false }), '')
  assert.is(queryText({ watch: true, limit: 0, s: 'a in (b,c)' }), '?watch=true&limit=0&s=a+in+%28b%2Cc%29')
})

test('keys', () => {
  assert.is(objectKey({ namespace: 'a', name: 'b' }), 'a/b')
  assert.is(objectKey({ name: 'b' }), 'b')
  assert.equal(parseKey('a/b'), { namespace: 'a', name: 'b' })
  assert.equal(parseKey('b'), { name: 'b' })
  assert.is(apiVersionOf(pods), 'v1')
  assert.is(apiVersionOf(leases), 'coordination.k8s.io/v1')
})

test('errors say what was asked and what was answered; predicates decide', () => {
  const status = (code: number, reason: string): ApiError => {
    const body = {
      kind: 'Status',
      message: `why ${reason}`,
      reason,
      code,
      details: { name: 'x', retryAfterSeconds: 3 },
    }
    return ApiError.fromResponse('GET', '/p', code, Buffer.from(JSON.stringify(body)), undefined)
  }
  const exists = status(409, 'AlreadyExists')
  assert.is(exists.message, 'GET /p: 409 AlreadyExists: why AlreadyExists')
  assert.is(exists.retryAfterSeconds, 3)
  assert.ok(isAlreadyExists(exists) && !isConflict(exists))
  assert.ok(isConflict(status(409, 'Conflict')) && !isAlreadyExists(status(409, 'Conflict')))
  assert.ok(isNotFound(status(404, 'NotFound')) && !isRetryable(status(404, 'NotFound')))
  assert.ok(isGone(status(410, 'Expired')))
  assert.ok(isRetryable(status(429, 'TooManyRequests')) && isRetryable(status(500, 'InternalError')))
  assert.ok(isRetryable(new RequestError('GET', '/p', 'ECONNRESET', 'cut', true)))
  assert.not(isNotFound(new Error('not found')))
  const page = ApiError.fromResponse('GET', '/p', 502, Buffer.from('<html>Bad Gateway'), '7')
  assert.is(page.message, 'GET /p: 502: <html>Bad Gateway')
  assert.is(page.retryAfterSeconds, 7)
  assert.is(ApiError.fromResponse('GET', '/p', 500, Buffer.from('{"kind":"Sta'), undefined).reason, '')
})

test.run()
