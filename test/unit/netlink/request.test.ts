// Requests as data: how they describe themselves, and how a batch holds them.
import { test } from 'uvu'
import * as assert from 'uvu/assert'
import { parseAddress, parseMac, parsePrefix } from '../../../lib/ip/index.ts'
import { AttributeWriter, readAttributes } from '../../../lib/netlink/attributes.ts'
import { RequestBatch } from '../../../lib/netlink/batch.ts'
import { describe } from '../../../lib/netlink/describe.ts'
import { asNetlinkError, isAlreadyExists, isNotFound, NetlinkError } from '../../../lib/netlink/errors.ts'
import { decodeEvents } from '../../../lib/netlink/monitor.ts'
import { request, type Request } from '../../../lib/netlink/request.ts'

const mac = parseMac('52:54:00:00:00:12')

test('a request describes itself as the command it equals', () => {
  const route = { dst: parsePrefix('10.0.0.0/24'), oif: 7, table: 39999 }
  const cases: [Request, string][] = [
    [request.routeReplace(route), 'route replace 10.0.0.0/24 dev 7 table 39999'],
    [
      request.routeAdd({ dst: parsePrefix('::/0'), gateway: parseAddress('fe80::1'), oif: 3, metric: 5 }),
      'route add ::/0 via fe80::1 dev 3 metric 5 table 254',
    ],
    [request.routeDelete({ dst: parsePrefix('0.0.0.0/0'), table: 10 }), 'route delete default table 10'],
    [request.routeAdd({ dst: parsePrefix('10.9.0.0/32'), type: 9, table: 1 }), 'route add throw 10.9.0.0/32 table 1'],
    [
      request.routeAppend({ ...route, oif: 0, nexthops: [{ oif: 2, gateway: parseAddress('10.1.1.1'), weight: 4 }] }),
      'route append 10.0.0.0/24 nexthop via 10.1.1.1 dev 2 weight 4 table 39999',
    ],
    [
      request.ruleAdd({ family: 4, priority: 4, src: parsePrefix('10.1.0.0/16'), fwmask: 0x4040, table: 10000 }),
      'rule add priority 4 from 10.1.0.0/16 fwmark 0x0/0x4040 lookup 10000',
    ],
    [request.ruleDelete({ family: 6, priority: 1, table: 5 }), 'rule delete -6 priority 1 from all lookup 5'],
    [
      request.neighReplace({ index: 4, dst: parseAddress('10.1.0.2'), mac }),
      'neigh replace 10.1.0.2 lladdr 52:54:00:00:00:12 dev 4',
    ],
    [request.neighAdd({ index: 4, dst: parseAddress('fd00::2'), flags: 8 }), 'neigh add proxy fd00::2 dev 4'],
    [
      request.fdbAppend({ index: 9, mac, dst: parseAddress('192.0.2.1') }),
      'fdb append 52:54:00:00:00:12 dev 9 dst 192.0.2.1',
    ],
    [
      request.addressAdd({ index: 2, address: parseAddress('10.0.0.7'), prefixLength: 24 }),
      'addr add 10.0.0.7/24 dev 2',
    ],
    [request.linkDelete({ group: 5 }), 'link delete group 5'],
    [request.linkSet('eth0', { up: true, mtu: 1450 }), 'link set eth0 up mtu 1450'],
    [
      request.linkAdd({ kind: 'vxlan', name: 'v4', vxlan: { vni: 4, parent: 2, port: 8472 } }),
      'link add v4 type vxlan id 4 dev 2 dstport 8472',
    ],
    [request.linkAdd({ kind: 'vlan', name: 'e.5', parent: 2, vlanId: 5 }), 'link add e.5 type vlan id 5 link 2'],
  ]
  for (const [each, text] of cases) assert.is(describe(each), text)
})

test('describe() never throws, whatever is in the request', () => {
  const broken = request.routeAdd({ dst: { address: -1, length: 999 }, gateway: 'nonsense' as never })
  assert.type(describe(broken), 'string')
})

test('a refused request leaves the batch as it was', () => {
  const batch = new RequestBatch(1)
  const good = request.routeAdd({ dst: parsePrefix('10.0.0.0/8'), oif: 1 })
  batch.add(good)
  const { size } = batch
  assert.throws(() => batch.add(request.routeAdd({ dst: parsePrefix('fd00::/8'), oif: 1, table: -5 })), /table is -5/)
  assert.is(batch.size, size)
  assert.is(batch.count, 1)
  batch.add(good)
  // Nothing of the refused one shows through in what took its place.
  assert.equal(batch.words.slice(size, 2 * size), batch.words.slice(0, size))
})

test('records of odd length are padded, so that addresses stay aligned', () => {
  const batch = new RequestBatch()
  for (const name of ['a', 'ab', 'abcd', 'abcde', 'abcdefgh']) {
    batch.add(request.linkDelete(name))
    assert.is(batch.size % 2, 0)
  }
})

test('attributes are read as they were written, and a truncated one ends the reading', () => {
  const words = new AttributeWriter()
    .u8(1, 200)
    .u16(2, 65000)
    .be16(3, 8472)
    .u32(4, 4_000_000_000)
    .string(5, 'näme')
    .mac(6, mac)
    .address(7, parseAddress('192.0.2.1'))
    .address(8, parseAddress('2001:db8::1'))
    .nest(9, (inner) => inner.u32(1, 7).string(2, 'x'))
    .words()
  const view = new DataView(words.buffer)
  const read = readAttributes(view)
  assert.is(read.get(1)?.u8(), 200)
  assert.is(read.get(2)?.u16(), 65000)
  assert.is(read.get(3)?.be16(), 8472)
  assert.is(read.get(4)?.u32(), 4_000_000_000)
  assert.is(read.get(5)?.string(), 'näme')
  assert.is(read.get(6)?.mac(), mac)
  assert.is(read.get(7)?.address(), parseAddress('192.0.2.1'))
  assert.is(read.get(8)?.address(), parseAddress('2001:db8::1'))
  assert.is(read.get(9)?.nested().get(1)?.u32(), 7)
  for (let length = 0; length < view.byteLength; length++) {
    assert.ok(readAttributes(new DataView(words.buffer, 0, length)).size <= read.size)
  }
})

test('a stream of unknown messages decodes to no events', () => {
  assert.equal(decodeEvents(new Uint32Array()), [])
  assert.equal(decodeEvents(Uint32Array.of(104, 2, 1, 2)), [])
})

test('errors are matched by predicate and keep the kernel text', () => {
  const native = Object.assign(new Error('x'), { errno: 17, operation: 'batch', extack: 'already here', offset: 36 })
  const error = asNetlinkError(native, 'link add v4 type vxlan')
  assert.instance(error, NetlinkError)
  assert.is(error.message, 'link add v4 type vxlan: already here (EEXIST)')
  assert.ok(isAlreadyExists(error))
  assert.not(isNotFound(error))
  assert.ok(isNotFound(new NetlinkError(3, 'route delete')))
  assert.not(isNotFound(new Error('ENOENT')))
  const plain = new TypeError('no errno')
  assert.is(asNetlinkError(plain, 'anything'), plain)
  assert.is(new NetlinkError(99999, 'x').code, 'errno 99999')
})

test.run()
