// Range rules, capacity, intersection and conflicts: manager.md §5.10 V-1 to V-3, V-6; api.md §1.9, §4.2.2, §7.1.
import fc from 'fast-check'
import { test } from 'uvu'
import * as assert from 'uvu/assert'
import { offsetAddress, parseAddress } from '../../../lib/ip/index.ts'
import * as api from '../../../lib/api/index.ts'

type Range = Partial<api.AddressRangeSpec>
const C = '192.168.8.0/24'
const message = (range: Range): string | undefined => api.rangeViolation({ version: '4', cidr: C, ...range })?.message

test('V-1: the exact sentences', () => {
  const table: readonly (readonly [Range, string])[] = [
    [{ version: '123' }, 'unsupported IP Version 123'],
    [{ start: '192.168.8' }, 'invalid range start 192.168.8'],
    [{ end: '192.168.8' }, 'invalid range end 192.168.8'],
    [{ gateway: '192.168.8' }, 'invalid range gateway 192.168.8'],
    [{ version: '6', gateway: '192.168.8.1' }, 'address families of ip version and gateway mismatch'],
    [{ cidr: '192.168.8/24' }, 'invalid range CIDR 192.168.8/24'],
    [{ cidr: '192.168.8.10/24' }, 'CIDR notation is not standard, should start from 192.168.8.0 but from 192.168.8.10'],
    [{ start: '192.168.9.1' }, 'start 192.168.9.1 is not in CIDR 192.168.8.0/24'],
    [{ end: '192.168.9.1' }, 'end 192.168.9.1 is not in CIDR 192.168.8.0/24'],
    [
      { start: '192.168.8.11', end: '192.168.8.10' },
      'subnet should have at least one available IP. start=192.168.8.11, end=192.168.8.10',
    ],
    [{ gateway: '192.168.9.254' }, 'gateway 192.168.9.254 is not in CIDR 192.168.8.0/24'],
    [{ reservedIPs: ['192.168.8'] }, 'invalid reserved ip 192.168.8'],
    [{ reservedIPs: ['192.168.9.100'] }, 'reserved ip 192.168.9.100 is not in CIDR 192.168.8.0/24'],
    [{ excludeIPs: ['192.168.8'] }, 'invalid excluded ip 192.168.8'],
    [{ excludeIPs: ['192.168.9.100'] }, 'excluded ip 192.168.9.100 is not in CIDR 192.168.8.0/24'],
  ]
  for (const [range, expected] of table) assert.is(message(range), expected)
  assert.is(message({}), undefined)
  assert.is(
    message({ start: '192.168.8.1', end: '192.168.8.254', gateway: '192.168.8.1', reservedIPs: null, excludeIPs: [] }),
    undefined,
  )
})

test('V-2: the order of the rules', () => {
  // Each step repairs the field the previous rule named; everything else stays wrong.
  let range: Range = {
    version: '5',
    start: 'x',
    end: 'x',
    cidr: 'x',
    gateway: 'x',
    reservedIPs: ['x'],
    excludeIPs: ['x'],
  }
  const steps: readonly (readonly [string, Range])[] = [
    ['a', { version: '4' }],
    ['b', { start: '10.9.9.9' }],
    ['c', { end: '10.9.9.9' }],
    ['d', { cidr: '192.168.8.1/24' }],
    ['e', { cidr: '192.168.8.1/32' }],
    ['f', { cidr: C }],
    ['g', { start: '192.168.8.9' }],
    ['h', { end: '192.168.8.8' }],
    ['i', { end: '192.168.8.9' }],
    ['j', { gateway: 'fd00::1' }],
    ['j', { gateway: '10.0.0.1' }],
    ['j', { gateway: '192.168.8.1' }],
    ['k', { reservedIPs: ['192.168.8.2'] }],
    ['l', { excludeIPs: ['192.168.8.3'] }],
  ]
  for (const [rule, repair] of steps) {
    assert.is(api.rangeViolation({ version: '4', cidr: C, ...range })?.rule, rule)
    range = { ...range, ...repair }
  }
  assert.is(api.rangeViolation({ version: '4', cidr: C, ...range }), null)
})

test('§7.1: holes of the original', () => {
  assert.is(api.rangeViolation({ version: '6', cidr: C })?.rule, 'j2')
  assert.is(
    api.rangeViolation({ version: '4', cidr: C, start: '192.168.8.255' })?.rule,
    'i',
    'empty by the default end',
  )
  assert.is(api.rangeViolation({ version: '6', cidr: '::ffff:192.168.8.0/120' })?.rule, 'd')
})

test('V-3: capacity as admission counts it', () => {
  const capacity = (range: Range): bigint => api.admissionCapacity({ version: '4', cidr: C, ...range })
  assert.is(capacity({ cidr: 'x' }), 9223372036854775807n)
  assert.is(capacity({}), 254n)
  assert.is(capacity({ start: '192.168.8.100' }), 155n)
  assert.is(capacity({ start: '192.168.8.100', end: '192.168.8.200' }), 101n)
  const excludeIPs = ['192.168.8.101', '192.168.8.102']
  assert.is(capacity({ start: '192.168.8.100', end: '192.168.8.200', excludeIPs }), 99n)
  assert.is(capacity({ cidr: '0.1.0.0/22' }), 1022n)
  assert.is(capacity({ cidr: '0.0.1.1/24', start: '0.0.1.100' }), 155n)
  assert.is(capacity({ cidr: '0.1.0.0/24', start: '0.1.0.100', end: '0.1.0.200', excludeIPs }), 99n)
  assert.is(capacity({ version: '6', cidr: 'fd00::/64' }), 2n ** 64n - 1n)
})

const share = (a: Range, b: Range): boolean => {
  const [x, y] = [a, b].map((range) => api.parseRange({ version: '4', cidr: C, ...range }).value)
  assert.ok(x && y)
  const result = api.rangesShareAddress(x, y)
  assert.is(api.rangesShareAddress(y, x), result, 'symmetric')
  return result
}
const span = (from: number, to: number, ...excluded: number[]): Range => ({
  start: `192.168.8.${from}`,
  end: `192.168.8.${to}`,
  excludeIPs: excluded.map((n) => `192.168.8.${n}`),
})

test('V-6: intersection', () => {
  assert.not.ok(share({}, { cidr: '192.168.9.0/24' }))
  assert.ok(share({}, { cidr: '192.168.8.77/24' }), 'host bits in the CIDR')
  assert.not.ok(share(span(10, 50), span(51, 100)))
  assert.ok(share(span(10, 50), span(50, 100)))
  assert.not.ok(share(span(10, 50, 49, 50), span(49, 100)))
  assert.not.ok(share(span(10, 50), span(49, 100, 49, 50)))
  assert.not.ok(share(span(10, 50, 49), span(49, 100, 50)), 'covered by both together')
  assert.ok(share(span(10, 50, 49), span(49, 100)))
  assert.ok(share(span(49, 100), span(50, 50)))
  assert.not.ok(share({}, { version: '6', cidr: 'fd00::/64' }))
})

test('§7.1: nested /64s and a /8 end at once', () => {
  const big = api.parseRange({ version: '6', cidr: 'fd00::/16' }).value
  const small = api.parseRange({ version: '6', cidr: 'fd00:1::/64', excludeIPs: ['fd00:1::5'] }).value
  assert.ok(big && small)
  const started = performance.now()
  for (let i = 0; i < 1000; i++) assert.ok(api.rangesShareAddress(big, small))
  assert.ok(performance.now() - started < 20_000)
})

const subnet = (name: string, range: Range, network = 'net'): api.ParsedSubnet => {
  const { value } = api.parseSubnet({
    metadata: { name },
    spec: { network, range: { version: '4', cidr: C, ...range } },
  })
  assert.ok(value)
  return value
}

test('§4.2.2 rules 14 to 16: conflicts', () => {
  const kind = (a: api.ParsedSubnet, b: api.ParsedSubnet): string | undefined => {
    assert.is(api.subnetConflict(b, a)?.kind, api.subnetConflict(a, b)?.kind, 'symmetric')
    return api.subnetConflict(a, b)?.kind
  }
  const half = (n: number): Range => ({ cidr: `192.168.8.${n}/25` })
  assert.is(kind(subnet('a', {}), subnet('b', half(0))), 'different-cidr')
  assert.is(kind(subnet('a', half(0)), subnet('b', half(128))), undefined)
  assert.is(kind(subnet('a', span(1, 9)), subnet('b', span(10, 19), 'other')), 'different-network')
  assert.is(kind(subnet('a', span(1, 9)), subnet('b', span(10, 19))), undefined)
  assert.is(kind(subnet('a', span(1, 30)), subnet('b', span(10, 19))), 'same-addresses')
  // §7.1: an excluded or gateway boundary hid this overlap.
  assert.is(
    kind(subnet('a', span(1, 30)), subnet('b', { ...span(10, 40, 10), gateway: '192.168.8.40' })),
    'same-addresses',
  )
  // Two halves may share their gateway.
  assert.is(
    kind(
      subnet('a', { ...span(1, 9), gateway: '192.168.8.9' }),
      subnet('b', { ...span(9, 19), gateway: '192.168.8.9' }),
    ),
    undefined,
  )
  // §7.1: spelling does not hide the same CIDR.
  const v6 = (cidr: string): Range => ({ version: '6', cidr })
  assert.is(kind(subnet('a', v6('FD00::/64')), subnet('b', v6('fd00:0::/64'), 'other')), 'different-network')
  assert.match(
    api.subnetConflict(subnet('a', span(1, 30)), subnet('b', span(10, 19)))?.message ?? '',
    /a and b both hold 192.168.8.10-192.168.8.19/,
  )
})

test('findSubnetConflicts finds what comparing all pairs finds', () => {
  const one = fc.record({
    n: fc.integer({ min: 0, max: 7 }),
    length: fc.integer({ min: 24, max: 29 }),
    from: fc.integer({ min: 1, max: 6 }),
    six: fc.boolean(),
  })
  fc.assert(
    fc.property(fc.array(one, { maxLength: 12 }), (list) => {
      const subnets = list.map(({ n, length, from, six }, i) => {
        const text = six ? `fd00::${(n * 32).toString(16)}` : `10.0.0.${n * 32}`
        const parsed = api.parseRange({ version: six ? '6' : '4', cidr: `${text}/${six ? length + 96 : length}` }).value
        assert.ok(parsed)
        const start = offsetAddress(parsed.prefix.address, from) ?? parseAddress(text)
        const narrowed = { ...parsed, range: parsed.range && { start, end: parsed.range.end } }
        return {
          ...narrowed,
          name: `s${i}`,
          network: 'net',
          netID: null,
          private: false,
          autoNatOutgoing: true,
          lastAllocated: null,
          terminating: false,
        }
      })
      const pairs = new Set<string>()
      for (const [i, a] of subnets.entries()) {
        for (const b of subnets.slice(i + 1))
          if (api.subnetConflict(a, b) !== null) pairs.add([a.name, b.name].sort().join())
      }
      const found = api.findSubnetConflicts(subnets).map((conflict) => [conflict.a, conflict.b].sort().join())
      assert.equal(found.sort(), [...pairs].sort())
    }),
    { numRuns: 300 },
  )
})

test.run()
