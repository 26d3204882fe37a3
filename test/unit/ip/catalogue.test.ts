// manager.md §5.9, H-1 to H-6: the original's tests of its address helpers, numbered alike, against ours. Where the original
// answers "none" or -2 for what is no address, here there is no number for it: the text is refused at the edge.
import { test } from 'uvu'
import * as assert from 'uvu/assert'
import * as ip from '../../../lib/ip/index.ts'

const { parseAddress, formatAddress } = ip
const step = (text: string, by: number): string | null => {
  const address = ip.offsetAddress(parseAddress(text), by)
  return address === null ? null : formatAddress(address)
}

test('H-1 next and previous', () => {
  for (const [from, to] of [
    ['192.168.0.1', '192.168.0.2'],
    ['192.168.0.255', '192.168.1.0'],
    ['0.1.0.5', '0.1.0.6'],
    ['ab12::123', 'ab12::124'],
    ['ab12::ffff', 'ab12::1:0'],
    ['::123', '::124'],
  ] as const) {
    assert.is(step(from, 1), to)
    assert.is(step(to, -1), from)
  }
  assert.is(step('255.255.255.255', 1), null)
  assert.is(ip.tryParseAddress('192.168.0'), null)
})

test('H-2 comparison', () => {
  const sign = (a: string, b: string): number => Math.sign(ip.compareAddresses(parseAddress(a), parseAddress(b)))
  assert.equal([sign('10.0.0.1', '10.0.0.2'), sign('10.0.0.2', '10.0.0.2'), sign('10.0.0.3', '10.0.0.2')], [-1, 0, 1])
  assert.equal([sign('fe80::1', 'fe80::2'), sign('fe80::2', 'fe80:0::2'), sign('fe80::3', 'fe80::2')], [-1, 0, 1])
  for (const text of ['', '10.0.0', 'fe80:::1']) assert.is(ip.tryParseAddress(text), null)
})

test('H-3 capacity', () => {
  const size = (start: string, end: string): bigint =>
    ip.rangeSize({ start: parseAddress(start), end: parseAddress(end) })
  assert.is(size('192.168.0.1', '192.168.0.2'), 2n)
  assert.is(size('192.168.0.1', '192.168.0.1'), 1n)
  assert.is(size('ab12::123', 'ab12::210'), 238n)
  assert.is(size('2001:db8:acad:3::ff', '2001:db8:acad:3:ffff:ffff:ffff:fffe'), 2n ** 64n - 2n ** 8n)
})

test('H-4, H-5 the network of an address, and the address of a CIDR text', () => {
  assert.is(ip.formatPrefix(ip.prefixOf(parseAddress('192.168.0.100'), 24)), '192.168.0.0/24')
  assert.is(ip.formatPrefix(ip.prefixOf(parseAddress('ab12::123'), 120)), 'ab12::100/120')
  const { address, length } = ip.parseInterfaceAddress('192.168.0.100/24')
  assert.equal([formatAddress(address), length], ['192.168.0.100', 24])
})

test('H-6, H-7 validity of a text, and of which family it is', () => {
  assert.is(ip.tryParseAddress('192.168.0.1'), 0xc0a80001)
  for (const text of ['192.168.0.256', '1.2.3', 'x', '']) {
    assert.is(ip.tryParseAddress(text), null)
    assert.throws(
      () => parseAddress(text),
      (error: unknown) => error instanceof ip.AddressError,
    )
  }
  assert.is(ip.tryParseIPv4('fe80::1'), null)
  assert.is(ip.tryParseIPv6('10.0.0.1'), null)
})

test.run()
