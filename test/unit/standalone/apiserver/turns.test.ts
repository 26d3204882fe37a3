import type { IncomingMessage, ServerResponse } from 'node:http'
import { setImmediate as nextTurn } from 'node:timers/promises'
import { test } from 'uvu'
import * as assert from 'uvu/assert'
import { inTurns } from '../../../../lib/standalone/apiserver/turns.ts'

const leases = '/apis/coordination.k8s.io/v1/namespaces'
const response = {} as ServerResponse

function serving(): { request: (url: string) => void; served: string[] } {
  const served: string[] = []
  const serve = inTurns((request) => void served.push(request.url ?? ''))
  return { request: (url) => serve({ url } as IncomingMessage, response), served }
}

test('one request a turn, in the order they came', async () => {
  const { request, served } = serving()
  const urls = Array.from({ length: 1000 }, (_, index) => `/api/v1/pods/${index}`)
  for (const url of urls) request(url)
  assert.is(served.length, 0, 'none at once')
  await nextTurn()
  assert.is(served.length, 1)
  while (served.length < 500) await nextTurn()
  // While others wait, and when none does.
  request('/late')
  while (served.length < 1001) await nextTurn()
  assert.equal(served, [...urls, '/late'])
  request('/again')
  await nextTurn()
  assert.is(served.at(-1), '/again')
})

test('leader election goes first, leases of nodes and everything else wait their turn', async () => {
  const { request, served } = serving()
  const others = ['/api/v1/pods', `${leases}/kube-node-lease/leases/node1`, '/apis/coordination.k8s.io/v1/leases']
  for (const url of others) request(url)
  const urgent = [`${leases}/kube-system/leases/manager`, `${leases}/default/leases?watch=true`]
  for (const url of urgent) request(url)
  while (served.length < 5) await nextTurn()
  assert.equal(served, [...urgent, ...others])
})

test.run()
