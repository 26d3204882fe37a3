// The demo's judgement: what must be seen of each kind of connection, and that everything else is a failure.
import { test } from 'uvu'
import * as assert from 'uvu/assert'
import {
  type Connection,
  type Endpoint,
  expectation,
  failures,
  judge,
  matrix,
  type Overlay,
} from '../../../lib/main/demo-report.ts'

const node = (n: number): Endpoint => ({
  kind: 'node',
  name: `node${n}`,
  node: `node${n}`,
  addresses: { 4: `192.168.56.1${n}`, 6: `fd56::${n}` },
})
const pod = (name: string, n: number): Endpoint => ({
  kind: 'pod',
  name,
  node: `node${n}`,
  addresses: { 4: `100.64.0.${name.length}` },
})
const outside: Endpoint = { kind: 'outside', name: 'outside', node: null, addresses: { 4: '203.0.113.10' } }
const overlay: Overlay = {
  vni: 4,
  vteps: { node1: '192.168.56.11', node2: '192.168.56.12' },
  nodes: { node1: node(1), node2: node(2) },
}
const tunnel = { vni: 4, source: '192.168.56.11', destination: '192.168.56.12' }
const [a, bb, ccc] = [pod('a', 1), pod('bb', 1), pod('ccc', 2)]

test('what is expected follows from where the two ends are', () => {
  const expected = (from: Endpoint, to: Endpoint): object => expectation(from, to, 4, overlay)
  assert.equal(expected(a, bb), { path: 'local', source: '100.64.0.1', tunnel: null })
  assert.equal(expected(a, ccc), { path: 'vxlan', source: '100.64.0.1', tunnel })
  assert.equal(expected(a, node(1)), { path: 'local', source: '100.64.0.1', tunnel: null })
  assert.equal(expected(a, node(2)), { path: 'nat', source: '192.168.56.11', tunnel: null })
  assert.equal(expected(a, outside), { path: 'nat', source: '192.168.56.11', tunnel: null })
  assert.equal(expected(node(1), a), { path: 'local', source: '192.168.56.11', tunnel: null })
  assert.equal(expected(node(1), ccc), { path: 'vxlan', source: '192.168.56.11', tunnel })
})

const good: Connection = {
  family: 4,
  from: a,
  to: ccc,
  seen: { source: '100.64.0.1', path: 'vxlan', tunnel, roundTripMs: 0.123 },
  error: null,
}
const seen = (over: object): Connection => ({ ...good, seen: { ...good.seen!, ...over } })

test('anything but the expected is a failure that says what was seen', () => {
  const verdict = (connection: Connection): string | null => judge([connection], overlay)[0]?.fault ?? null
  assert.is(verdict(good), null)
  assert.is(verdict({ ...good, seen: null, error: 'no answer' }), 'no answer')
  assert.is(verdict(seen({ path: 'plain', tunnel: null })), 'went plain, expected vxlan')
  assert.is(verdict(seen({ source: '192.168.56.11' })), 'seen as 192.168.56.11, expected 100.64.0.1')
  assert.is(
    verdict(seen({ tunnel: { ...tunnel, vni: 5 } })),
    'tunnel VNI 5 from 192.168.56.11 to 192.168.56.12, expected VNI 4 from 192.168.56.11 to 192.168.56.12',
  )
})

test('the matrix has a line per source and a column per group of destinations', () => {
  const nat: Connection = {
    ...good,
    to: outside,
    seen: { source: '192.168.56.11', path: 'nat', tunnel: null, roundTripMs: 0.2 },
  }
  const judged = judge(
    [good, { ...good, to: pod('dddd', 2) }, nat, { ...good, from: bb, seen: null, error: 'x' }],
    overlay,
  )
  assert.is(
    matrix(4, judged),
    [
      '  from  on     IPv4 address  to pods on node2  to outside',
      '  a     node1  100.64.0.1    2 vxlan 0.12 ms   nat 0.20 ms as 192.168.56.11',
      '  bb    node1  100.64.0.2    1 of 1 FAILED     -',
      '',
    ].join('\n'),
  )
  assert.is(failures(judged), '  IPv4 bb on node1 (100.64.0.2) -> ccc on node2 (100.64.0.3): x\n')
})

test.run()
