// Text to number and back, against the npm package ip-address as an independent oracle.
import fc from 'fast-check'
import { Address4, Address6 } from 'ip-address'
import { test } from 'uvu'
import * as assert from 'uvu/assert'
import {
  addressKey,
  AddressError,
  compareAddresses,
  familyOf,
  formatAddress,
  fromBytes,
  ipv6FromGroups,
  ipv6Groups,
  isGlobalUnicast,
  isIPv4Mapped,
  isLinkLocal,
  isLoopback,
  isMulticast,
  isUnspecified,
  MAX_IPV6,
  offsetAddress,
  parseAddress,
  readAddress,
  toBytes,
  tryParseAddress,
  tryParseIPv4,
  tryParseIPv6,
  unmap,
  writeAddress,
} from '../../../lib/ip/index.ts'

const ipv4 = fc.integer({ min: 0, max: 0xffffffff })
// Uniform bits almost never hold zero groups, so mix in sparse ones: the compression rule is what goes wrong.
const group = fc.oneof(fc.constant(0), fc.constant(0), fc.integer({ min: 0, max: 0xffff }))
const ipv6 = fc.oneof(
  fc.bigInt({ min: 0n, max: MAX_IPV6 }),
  fc.array(group, { minLength: 8, maxLength: 8 }).map(ipv6FromGroups),
  ipv4.map((low) => (0xffffn << 32n) | BigInt(low)),
)

test('IPv4 text agrees with the oracle both ways', () => {
  fc.assert(
    fc.property(ipv4, (value) => {
      const oracle = Address4.fromBigInt(BigInt(value))
      assert.is(formatAddress(value), oracle.correctForm())
      assert.is(parseAddress(oracle.correctForm()), value)
    }),
  )
})

test('IPv6 text agrees with the oracle both ways, in every spelling', () => {
  fc.assert(
    fc.property(ipv6, (value) => {
      const oracle = Address6.fromBigInt(value)
      // The oracle prints mapped addresses in hex; RFC 5952 §5 recommends dotted, tested below.
      if (!isIPv4Mapped(value)) assert.is(formatAddress(value), oracle.correctForm())
      assert.is(new Address6(formatAddress(value)).bigInt(), value)
      assert.is(parseAddress(oracle.canonicalForm()), value)
      assert.is(parseAddress(oracle.correctForm().toUpperCase()), value)
      assert.is(parseAddress(oracle.to4in6()), value)
    }),
  )
})

test('arbitrary text near an address is accepted exactly when the oracle accepts it', () => {
  const piece = fc.constantFrom(
    ':',
    '::',
    '.',
    '0',
    '1',
    'a',
    'F',
    'ffff',
    '10.0.0.1',
    '255',
    '256',
    '00',
    'g',
    '12345',
  )
  fc.assert(
    fc.property(fc.array(piece, { minLength: 1, maxLength: 17 }), (pieces) => {
      const text = pieces.join('')
      const expected = text.includes(':') ? Address6.isValid(text) : Address4.isValid(text)
      assert.is(tryParseAddress(text) !== null, expected, text)
    }),
    { numRuns: 3000 },
  )
})

test('bytes round trip and match the oracle', () => {
  fc.assert(
    fc.property(fc.oneof(ipv4, ipv6), (value) => {
      assert.is(fromBytes(toBytes(value)), value)
      const oracle = typeof value === 'number' ? new Address4(formatAddress(value)) : new Address6(formatAddress(value))
      const hex = oracle
        .bigInt()
        .toString(16)
        .padStart(typeof value === 'number' ? 8 : 32, '0')
      assert.is(Buffer.from(toBytes(value)).toString('hex'), hex)
      const buffer = new Uint8Array(40)
      const size = writeAddress(buffer, 3, value)
      assert.is(readAddress(buffer, 3, familyOf(value)), value)
      assert.is(size, typeof value === 'number' ? 4 : 16)
    }),
  )
  assert.throws(() => fromBytes(new Uint8Array(5)), /4 or 16 bytes, not 5/)
})

test('keys are unique and the order is by family, then number', () => {
  fc.assert(
    fc.property(fc.oneof(ipv4, ipv6), fc.oneof(ipv4, ipv6), (a, b) => {
      assert.is(addressKey(a) === addressKey(b), a === b)
      assert.is(Math.sign(compareAddresses(a, b)), -Math.sign(compareAddresses(b, a)) || 0)
      if (typeof a === 'number' && typeof b === 'bigint') assert.is(compareAddresses(a, b), -1)
    }),
  )
  // The same bits in both families are two addresses.
  assert.is.not(addressKey(1), addressKey(1n))
})

test('IPv6 groups round trip', () => {
  fc.assert(fc.property(ipv6, (value) => assert.is(ipv6FromGroups(ipv6Groups(value)), value)))
  assert.equal(ipv6Groups(0xfe80n << 112n), [0xfe80, 0, 0, 0, 0, 0, 0, 0])
  assert.throws(() => ipv6FromGroups([1, 2]), /8 groups, not 2/)
})

test('offset steps within the family and never leaves it', () => {
  assert.is(offsetAddress(parseAddress('0.0.0.1'), 1), parseAddress('0.0.0.2'))
  assert.is(offsetAddress(parseAddress('::123'), 1), parseAddress('::124'))
  assert.is(offsetAddress(0, -1), null)
  assert.is(offsetAddress(0xffffffff, 1), null)
  assert.is(offsetAddress(0n, -1), null)
  assert.is(offsetAddress(MAX_IPV6, 1), null)
  assert.is(offsetAddress(MAX_IPV6, -(2n ** 64n)), MAX_IPV6 - 2n ** 64n)
})

const accepted: readonly (readonly [text: string, canonical: string])[] = [
  ['0.0.0.0', '0.0.0.0'],
  ['255.255.255.255', '255.255.255.255'],
  ['128.0.0.1', '128.0.0.1'],
  ['::', '::'],
  ['0:0:0:0:0:0:0:0', '::'],
  ['::1', '::1'],
  ['1::', '1::'],
  ['fd00::', 'fd00::'],
  ['2001:DB8::0001', '2001:db8::1'],
  // RFC 5952 §4.2.2: a single zero group stays; §4.2.3: the longest run, the first of equals.
  ['2001:db8:0:1:1:1:1:1', '2001:db8:0:1:1:1:1:1'],
  ['2001:db8::1:1:1:1:1', '2001:db8:0:1:1:1:1:1'],
  ['2001:0:0:1:0:0:0:1', '2001:0:0:1::1'],
  ['2001:db8:0:0:1:0:0:1', '2001:db8::1:0:0:1'],
  ['1:2:3:4:5:6:7::', '1:2:3:4:5:6:7:0'],
  ['::2:3:4:5:6:7:8', '0:2:3:4:5:6:7:8'],
  ['1:0:0:4:5:6:7:8', '1::4:5:6:7:8'],
  // RFC 5952 §5: mapped is dotted, and stays IPv6.
  ['::ffff:10.0.0.1', '::ffff:10.0.0.1'],
  ['::FFFF:a00:1', '::ffff:10.0.0.1'],
  ['::10.0.0.1', '::a00:1'],
  ['64:ff9b::192.0.2.33', '64:ff9b::c000:221'],
  ['1:2:3:4:5:6:1.2.3.4', '1:2:3:4:5:6:102:304'],
]

test('tricky texts that are addresses, and their canonical form', () => {
  for (const [text, canonical] of accepted) {
    const value = parseAddress(text)
    assert.is(formatAddress(value), canonical, text)
    assert.is(familyOf(value), text.includes(':') ? 6 : 4, text)
  }
  assert.is(parseAddress('::ffff:10.0.0.1'), 0xffff0a000001n)
})

const refused: readonly string[] = [
  ...['', ' ', '1', '1.2.3', '1.2.3.', '.1.2.3', '1..2.3', '1.2.3.4.', '1.2.3.4.5', '256.0.0.1', '1.2.3.1000'],
  ...['01.2.3.4', '1.2.3.00', '00.0.0.0', '0x1.2.3.4', '1.2.3.4 ', ' 1.2.3.4', '1.2.3.4/24', '-1.2.3.4', '+1.2.3.4'],
  ...['1.2.3.4\n', '1.2.3.４', '3232235521', '1e1.2.3.4', 'a.b.c.d', '1.2.3.4:80', 'localhost'],
  ...[
    ':',
    ':::',
    '1',
    '1:',
    ':1',
    '1::2::3',
    '1:2:3:4:5:6:7',
    '1:2:3:4:5:6:7:8:9',
    '1:2:3:4:5:6:7:8::',
    '::1:2:3:4:5:6:7:8',
  ],
  ...[
    '1:2:3:4::5:6:7:8',
    '12345::',
    '::g',
    'fe80::1%eth0',
    '[::1]',
    '::1/128',
    '::1 ',
    ' ::1',
    '1:2:3:4:5:6:7:1.2.3.4',
  ],
  ...[
    '::1.2.3',
    '::1.2.3.256',
    '::01.2.3.4',
    '::1.2.3.4:5',
    '1.2.3.4::',
    '::ffff:1.2.3.4/96',
    '::1:',
    '::-1',
    '::0x1',
    '1::2:',
  ],
]

test('tricky texts that are no addresses', () => {
  for (const text of refused) {
    assert.is(tryParseAddress(text), null, JSON.stringify(text))
    assert.throws(
      () => parseAddress(text),
      (error: unknown) =>
        error instanceof AddressError && error.text === text && error.message.includes('IPv4 or IPv6'),
    )
  }
  assert.is(tryParseIPv4('::1'), null)
  assert.is(tryParseIPv6('1.2.3.4'), null)
})

test('kinds of address follow the Go predicates', () => {
  const kinds: readonly (readonly [string, boolean])[] = [
    ['10.0.0.1', true],
    ['192.168.1.1', true],
    ['fd00::1', true],
    ['2001:db8::1', true],
    ['0.0.0.0', false],
    ['::', false],
    ['127.0.0.1', false],
    ['127.255.255.255', false],
    ['128.0.0.0', true],
    ['::1', false],
    ['::2', true],
    ['169.254.1.1', false],
    ['fe80::1', false],
    ['febf::1', false],
    ['fec0::1', true],
    ['224.0.0.1', false],
    ['239.255.255.255', false],
    ['240.0.0.1', true],
    ['ff02::1', false],
    ['255.255.255.255', false],
    ['::ffff:127.0.0.1', false],
    ['::ffff:10.0.0.1', true],
  ]
  for (const [text, expected] of kinds) assert.is(isGlobalUnicast(parseAddress(text)), expected, text)
  assert.ok(isLinkLocal(parseAddress('fe80::ecee:eeff:feee:eeee')))
  assert.ok(isMulticast(parseAddress('ff02::1')) && isMulticast(parseAddress('224.0.0.251')))
  assert.ok(isLoopback(parseAddress('::1')) && isUnspecified(parseAddress('::')))
  assert.is(unmap(parseAddress('::ffff:10.0.0.1')), parseAddress('10.0.0.1'))
  assert.is(unmap(parseAddress('::fffe:10.0.0.1')), parseAddress('::fffe:10.0.0.1'))
})

test.run()
