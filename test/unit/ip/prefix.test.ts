// Prefixes, ranges and MACs: against the oracle, and against brute force over small universes.
import fc from 'fast-check'
import { Address4, Address6 } from 'ip-address'
import { test } from 'uvu'
import * as assert from 'uvu/assert'
import * as ip from '../../../lib/ip/index.ts'

const address = fc.oneof(fc.integer({ min: 0, max: 0xffffffff }), fc.bigInt({ min: 0n, max: ip.MAX_IPV6 }))
const lengthFor = (a: ip.IPAddress) => fc.integer({ min: 0, max: typeof a === 'number' ? 32 : 128 })
const prefix = address.chain((a) => lengthFor(a).map((length) => ip.prefixOf(a, length)))

/** First and last address by the oracle. */
function oracleBounds(text: string): [bigint, bigint] {
  const oracle = text.includes(':') ? new Address6(text) : new Address4(text)
  return [oracle.startAddress().bigInt(), oracle.endAddress().bigInt()]
}

test('first and last address agree with the oracle at every length', () => {
  fc.assert(
    fc.property(prefix, (p) => {
      const [first, last] = oracleBounds(ip.formatPrefix(p))
      assert.is(BigInt(ip.firstAddress(p)), first)
      assert.is(BigInt(ip.lastAddress(p)), last)
      assert.is(typeof ip.lastAddress(p), typeof p.address)
    }),
    { numRuns: 500 },
  )
  for (let length = 0; length <= 32; length++) {
    const [first, last] = oracleBounds(`203.0.113.99/${length}`)
    const p = ip.prefixOf(ip.parseAddress('203.0.113.99'), length)
    assert.equal([BigInt(p.address), BigInt(ip.lastAddress(p))], [first, last])
    assert.is(ip.maskLength(ip.maskBits(4, length)), length)
  }
  for (let length = 0; length <= 128; length++) assert.is(ip.maskLength(ip.maskBits(6, length)), length)
  assert.is(ip.maskLength(ip.parseAddress('255.0.255.0')), null)
})

test('text round trips, and host bits are an error', () => {
  fc.assert(
    fc.property(
      address.chain((a) => fc.tuple(fc.constant(a), lengthFor(a))),
      ([a, length]) => {
        const text = ip.formatInterfaceAddress({ address: a, length })
        assert.equal(ip.parseInterfaceAddress(text), { address: a, length, prefix: ip.prefixOf(a, length) })
        const p = ip.prefixOf(a, length)
        assert.equal(ip.parsePrefix(ip.formatPrefix(p)), p)
        if (p.address !== a) assert.throws(() => ip.parsePrefix(text), /bits beyond/)
      },
    ),
  )
})

test('contains and overlaps agree with the bounds', () => {
  // Nearby addresses, so that both answers occur.
  const near = address.chain((a) =>
    fc.tuple(fc.constant(a), fc.integer({ min: -600, max: 600 }), lengthFor(a), lengthFor(a)),
  )
  fc.assert(
    fc.property(near, ([a, delta, m, n]) => {
      const b = ip.offsetAddress(a, delta) ?? a
      const p = ip.prefixOf(a, m)
      const q = ip.prefixOf(b, n)
      const inside = ip.firstAddress(p) <= b && b <= ip.lastAddress(p)
      assert.is(ip.contains(p, b), inside)
      const apart = ip.lastAddress(p) < ip.firstAddress(q) || ip.lastAddress(q) < ip.firstAddress(p)
      assert.is(ip.overlaps(p, q), !apart)
      assert.is(ip.containsPrefix(p, q), ip.contains(p, q.address) && ip.contains(p, ip.lastAddress(q)))
      assert.is(ip.prefixKey(p) === ip.prefixKey(q), ip.equalPrefixes(p, q))
    }),
    { numRuns: 500 },
  )
  assert.not.ok(ip.contains(ip.DEFAULT_PREFIX[4], 1n), 'a family holds nothing of the other')
  assert.not.ok(ip.overlaps(ip.DEFAULT_PREFIX[4], ip.DEFAULT_PREFIX[6]))
})

test('tricky prefix texts', () => {
  const bad = ['10.0.0.0', '10.0.0.0/', '10.0.0.0/33', '10.0.0.0/08', '10.0.0.0/+8', '10.0.0.0/-1', '10.0.0.0/8/8']
  bad.push('/8', '::/129', '::', 'fe80::%eth0/64', '10.0.0.0/255.0.0.0', '10.0.0.0 /8', '10.0.0.0/8 ', '10.0.0/24')
  for (const text of bad) {
    assert.throws(
      () => ip.parsePrefix(text),
      (error: unknown) => error instanceof ip.AddressError && error.text === text,
    )
    assert.is(ip.tryParsePrefix(text), null)
    assert.is(ip.tryParseInterfaceAddress(text), null)
  }
  assert.equal(ip.parsePrefix('0.0.0.0/0'), { address: 0, length: 0 })
  assert.equal(ip.parsePrefix('::/0'), { address: 0n, length: 0 })
  assert.is(ip.formatPrefix(ip.parsePrefix('::ffff:10.0.0.0/104')), '::ffff:10.0.0.0/104')
  assert.throws(() => ip.prefixOf(1, 33), /prefix length 33 .*0 to 32/)
})

// Set arithmetic, checked address by address in a universe of 40 at each end of a family.
const bases: readonly ip.IPAddress[] = [0, 0xffffffff - 39, 0n, ip.MAX_IPV6 - 39n, 0x7fffffec]
const at = (base: ip.IPAddress, i: number): ip.IPAddress => ip.offsetAddress(base, i) as ip.IPAddress
const span = fc.tuple(fc.integer({ min: 0, max: 39 }), fc.integer({ min: 0, max: 39 }))
const spans = fc.array(span, { maxLength: 8 })
const toRanges = (base: ip.IPAddress, list: readonly [number, number][]): ip.AddressRange[] =>
  list.map(([a, b]) => ({ start: at(base, Math.min(a, b)), end: at(base, Math.max(a, b)) }))
const holds = (ranges: readonly ip.AddressRange[], a: ip.IPAddress): boolean =>
  ranges.some((range) => ip.rangeContains(range, a))

test('merge, subtract and cover hold exactly the right addresses, in the fewest pieces', () => {
  fc.assert(
    fc.property(fc.constantFrom(...bases), spans, spans, (base, first, second) => {
      const a = toRanges(base, first)
      const b = toRanges(base, second)
      const merged = ip.mergeRanges(a)
      const rest = ip.subtractRanges(a, b)
      const cover = merged.flatMap(ip.rangeToPrefixes)
      for (let i = 0; i < 40; i++) {
        const x = at(base, i)
        assert.is(holds(merged, x), holds(a, x))
        assert.is(holds(rest, x), holds(a, x) && !holds(b, x))
        assert.is(cover.filter((p) => ip.contains(p, x)).length, holds(a, x) ? 1 : 0)
      }
      for (const list of [merged, rest]) {
        for (let i = 1; i < list.length; i++) {
          const gap = BigInt((list[i] as ip.AddressRange).start) - BigInt((list[i - 1] as ip.AddressRange).end)
          assert.ok(gap > 1n, 'sorted, apart and not adjacent')
        }
      }
      assert.equal(ip.mergePrefixes([...cover].reverse()), cover)
    }),
    { numRuns: 400 },
  )
})

test('the prefixes of a range are minimal', () => {
  const text = (start: string, end: string): string[] =>
    ip.rangeToPrefixes({ start: ip.parseAddress(start), end: ip.parseAddress(end) }).map(ip.formatPrefix)
  assert.equal(text('0.0.0.0', '255.255.255.255'), ['0.0.0.0/0'])
  assert.equal(text('::', 'ffff:ffff:ffff:ffff:ffff:ffff:ffff:ffff'), ['::/0'])
  assert.equal(text('10.0.0.1', '10.0.0.6'), ['10.0.0.1/32', '10.0.0.2/31', '10.0.0.4/31', '10.0.0.6/32'])
  assert.is(text('0.0.0.1', '255.255.255.254').length, 62)
  assert.is(text('::1', 'ffff:ffff:ffff:ffff:ffff:ffff:ffff:fffe').length, 254)
})

test('sizes and intersections', () => {
  const range = (a: string, b: string): ip.AddressRange => ({ start: ip.parseAddress(a), end: ip.parseAddress(b) })
  assert.is(ip.rangeSize(ip.prefixRange(ip.DEFAULT_PREFIX[6])), 2n ** 128n)
  assert.is(ip.rangeSize(range('10.0.0.1', '10.0.0.1')), 1n)
  assert.equal(
    ip.intersectRanges(range('10.0.0.1', '10.0.0.9'), range('10.0.0.5', '10.0.0.20')),
    range('10.0.0.5', '10.0.0.9'),
  )
  assert.is(ip.intersectRanges(range('10.0.0.1', '10.0.0.4'), range('10.0.0.5', '10.0.0.20')), null)
  assert.is(ip.intersectRanges(range('0.0.0.0', '0.0.0.9'), range('::', '::9')), null)
  assert.is(ip.formatRange(range('10.0.0.1', '10.0.0.4')), '10.0.0.1-10.0.0.4')
  assert.is(ip.formatRange(range('::4', '::4')), '::4')
})

test('MAC addresses', () => {
  fc.assert(
    fc.property(fc.integer({ min: 0, max: 0xffffffffffff }), (mac) => {
      assert.is(ip.parseMac(ip.formatMac(mac)), mac)
      assert.is(ip.parseMac(ip.formatMac(mac).toUpperCase()), mac)
      assert.is(ip.macFromBytes(ip.macToBytes(mac)), mac)
    }),
  )
  assert.is(ip.formatMac(1), '00:00:00:00:00:01')
  assert.is(ip.parseMac('ee:ee:ee:ee:ee:ee'), 0xeeeeeeeeeeee)
  for (const text of [
    '',
    '00:00:00:00:00',
    '00-00-00-00-00-01',
    '0000.0000.0001',
    '0:0:0:0:0:1',
    '00:00:00:00:00:00:00:01',
    '00:00:00:00:00:0g',
    ' 00:00:00:00:00:01',
  ]) {
    assert.is(ip.tryParseMac(text), null, text)
    assert.throws(() => ip.parseMac(text), /is not a MAC address/)
  }
  assert.ok(ip.isMulticastMac(ip.BROADCAST_MAC))
  assert.not.ok(ip.isMulticastMac(0xeeeeeeeeeeee))
  assert.ok(ip.isLocalMac(0xeeeeeeeeeeee))
  assert.not.ok(ip.isLocalMac(0x001122334455))
  // The pod gateway constant of the data plane: EUI-64 of ee:ee:ee:ee:ee:ee.
  assert.is(ip.formatAddress(ip.macToLinkLocal(0xeeeeeeeeeeee)), 'fe80::ecee:eeff:feee:eeee')
  assert.throws(() => ip.macFromBytes(new Uint8Array(8)), /6 bytes, not 8/)
})

test.run()
