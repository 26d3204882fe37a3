// Messages of BGP: known bytes, and what is written is read again.
import fc from 'fast-check'
import { test } from 'uvu'
import * as assert from 'uvu/assert'
import { hostPrefix, parseAddress, parsePrefix } from '../../../lib/ip/index.ts'
import {
  CEASE,
  communicationOf,
  describeNotification,
  encodeAnnouncements,
  encodeCommunication,
  encodeEndOfRib,
  encodeNotification,
  encodeOpen,
  encodeRouteRefresh,
  encodeWithdrawals,
  ERROR_CODE,
  formatAsPath,
  Framer,
  IPV4_UNICAST,
  IPV6_UNICAST,
  KEEPALIVE_BYTES,
  MAX_EXTENDED_MESSAGE_BYTES,
  MAX_MESSAGE_BYTES,
  mergeAs4Path,
  NO_CAPABILITIES,
  pathLength,
  type PathAttributes,
  type UpdateContext,
} from '../../../lib/bgp/index.ts'
import * as any from './arbitraries.ts'
import { decodeAll, decodeUpdates, modern } from './support.ts'

const marker = 'ff'.repeat(16)
const hex = (bytes: Uint8Array): string => Buffer.from(bytes).toString('hex')

test('known bytes: KEEPALIVE, ROUTE-REFRESH, End-of-RIB', () => {
  assert.is(hex(KEEPALIVE_BYTES), `${marker}001304`)
  assert.is(hex(encodeRouteRefresh(IPV6_UNICAST, 'request')), `${marker}00170500020001`)
  assert.is(hex(encodeRouteRefresh(IPV4_UNICAST, 'end')), `${marker}00170500010201`)
  assert.is(hex(encodeEndOfRib(4)), `${marker}00170200000000`)
  // The attribute's length in two octets, as this encoder always has it for routes.
  assert.is(hex(encodeEndOfRib(6)), `${marker}001e0200000007900f0003000201`)
})

test('known bytes: OPEN of AS 4200000000', () => {
  const open = {
    as: 4200000000,
    holdTime: 90,
    identifier: parseAddress('10.0.0.1') as number,
    capabilities: { ...NO_CAPABILITIES, families: [IPV4_UNICAST], routeRefresh: true, fourOctetAs: 4200000000 },
  }
  assert.is(hex(encodeOpen(open)), `${marker}002d01045ba0005a0a00000110020e01040001000102004104fa56ea00`)
  assert.is(
    hex(encodeOpen({ ...open, as: 65000, capabilities: NO_CAPABILITIES })),
    `${marker}001d0104fde8005a0a00000100`,
  )
})

test('known bytes: an IPv4 route and its withdrawal', () => {
  const attributes: PathAttributes = {
    origin: 0,
    asPath: [{ type: 'sequence', asns: [64512] }],
    communities: [0xffffff01],
  }
  const context = { fourOctetAs: true, maxBytes: MAX_MESSAGE_BYTES }
  const hop = { nextHop: parseAddress('192.0.2.1') }
  const [message, ...more] = encodeAnnouncements(4, hop, attributes, [parsePrefix('10.1.2.0/23')], context)
  assert.is(more.length, 0)
  assert.is(
    hex(message ?? Buffer.alloc(0)),
    `${marker}003602` +
      '0000' +
      '001b' +
      '40010100' +
      '40020602010000fc00' +
      '400304c0000201' +
      'c00804ffffff01' +
      '170a0102',
  )
  assert.is(
    hex(encodeWithdrawals(4, [parsePrefix('10.1.2.0/23')], 4096)[0] ?? Buffer.alloc(0)),
    `${marker}001b020004170a01020000`,
  )
})

test('property: OPEN', () => {
  fc.assert(
    fc.property(any.open, (open) => {
      assert.equal(decodeAll(encodeOpen(open)), [{ type: 'open', ...open }])
    }),
    { numRuns: 400 },
  )
})

test('OPEN with capabilities beyond 255 bytes takes the long form (RFC 9072)', () => {
  const unknown = Array.from({ length: 12 }, (_, i) => ({ code: 200 + i, value: new Uint8Array(100).fill(i) }))
  const open = { as: 1, holdTime: 0, identifier: 1, capabilities: { ...NO_CAPABILITIES, unknown } }
  const bytes = encodeOpen(open)
  assert.is(hex(bytes.subarray(28, 30)), 'ffff')
  assert.equal(decodeAll(bytes), [{ type: 'open', ...open }])
})

test('property: NOTIFICATION and ROUTE-REFRESH', () => {
  fc.assert(
    fc.property(any.notification, (notification) => {
      assert.equal(decodeAll(encodeNotification(notification)), [{ type: 'notification', ...notification }])
    }),
  )
  for (const kind of ['request', 'begin', 'end'] as const) {
    const [message] = decodeAll(encodeRouteRefresh(IPV6_UNICAST, kind))
    assert.equal(message, { type: 'route-refresh', family: IPV6_UNICAST, kind })
  }
})

test('shutdown communication (RFC 9003): cut between characters, control characters replaced', () => {
  const cease = (data: Uint8Array) => ({ code: ERROR_CODE.cease, subcode: CEASE.administrativeShutdown, data })
  assert.is(communicationOf(cease(encodeCommunication('node is drained'))), 'node is drained')
  const long = communicationOf(cease(encodeCommunication('ä'.repeat(200))))
  assert.is(long, 'ä'.repeat(127))
  assert.is(communicationOf(cease(encodeCommunication('a\x1b[31mb\u009b'))), 'a\ufffd[31mb\ufffd')
  assert.is(communicationOf(cease(Uint8Array.of(200, 65))), null, 'longer than the message')
  assert.is(communicationOf(cease(new Uint8Array(0))), null)
  assert.is(
    describeNotification({ code: 6, subcode: 9, data: Uint8Array.of(6, 2, ...encodeCommunication('bye')) }),
    'hard reset: cease: administrative shutdown: "bye"',
  )
})

interface Case {
  readonly context: UpdateContext
  readonly attributes: PathAttributes
  readonly maxBytes: number
}

const cases: fc.Arbitrary<Case> = fc
  .tuple(any.context, fc.constantFrom(MAX_MESSAGE_BYTES, MAX_EXTENDED_MESSAGE_BYTES))
  .chain(([some, maxBytes]) =>
    any.attributes(some.external).map((attributes) => ({
      context: { ...some, families: modern.families, extendedNextHop: true },
      attributes,
      maxBytes,
    })),
  )

/** Through two octets an aggregator or path comes out whole when the companion attribute carries it; both do here. */
test('property: announcements', () => {
  const routes = fc.oneof(
    fc.tuple(fc.constant(4 as const), any.ipv4Hop, fc.array(any.ipv4Prefix, { minLength: 1, maxLength: 2000 })),
    fc.tuple(fc.constant(4 as const), any.ipv6Hop, fc.array(any.ipv4Prefix, { minLength: 1, maxLength: 200 })),
    fc.tuple(fc.constant(6 as const), any.ipv6Hop, fc.array(any.ipv6Prefix, { minLength: 1, maxLength: 600 })),
  )
  fc.assert(
    fc.property(
      cases,
      routes,
      fc.option(any.ipv6Hop),
      ({ context, attributes, maxBytes }, [family, nextHop, prefixes], beside) => {
        const hop = typeof nextHop === 'bigint' && beside !== null ? { nextHop, linkLocal: beside } : { nextHop }
        const bytes = encodeAnnouncements(family, hop, attributes, prefixes, {
          fourOctetAs: context.fourOctetAs,
          maxBytes,
        })
        const updates = decodeUpdates(bytes, context, maxBytes)
        assert.equal(
          updates.flatMap((update) => update.announced.flatMap((each) => each.prefixes)),
          prefixes,
        )
        for (const update of updates) {
          assert.equal(update.problems, [])
          assert.equal(update.withdrawn, [])
          assert.equal(update.attributes, attributes)
          assert.equal(
            update.announced.map(({ prefixes: _routes, ...rest }) => rest),
            [{ family, ...hop }],
          )
        }
        // None but the last has room for one more prefix.
        for (const message of bytes.slice(0, -1)) assert.ok(message.length > maxBytes - 18)
        for (const message of bytes) assert.ok(message.length <= maxBytes)
      },
    ),
    { numRuns: 150 },
  )
})

test('property: withdrawals', () => {
  const routes = fc.oneof(
    fc.tuple(fc.constant(4 as const), fc.array(any.ipv4Prefix, { minLength: 1, maxLength: 3000 })),
    fc.tuple(fc.constant(6 as const), fc.array(any.ipv6Prefix, { minLength: 1, maxLength: 800 })),
  )
  fc.assert(
    fc.property(routes, ([family, prefixes]) => {
      const updates = decodeUpdates(encodeWithdrawals(family, prefixes, 4096), modern, 4096)
      assert.equal(
        updates.flatMap((update) => update.withdrawn.flatMap((each) => each.prefixes)),
        prefixes,
      )
      assert.ok(
        updates.every((update) => update.announced.length + update.problems.length === 0 && update.endOfRib === null),
      )
    }),
    { numRuns: 60 },
  )
})

test('End-of-RIB is told from an empty withdrawal of a family not negotiated', () => {
  const ends = (context: UpdateContext) =>
    [4, 6].map((family) => decodeAll(encodeEndOfRib(family as 4 | 6), context)[0])
  assert.equal(
    ends(modern).map((each) => each?.type === 'update' && each.endOfRib),
    [4, 6],
  )
  const only4 = { ...modern, families: new Set([IPV4_UNICAST]) }
  assert.equal(
    ends(only4).map((each) => each?.type === 'update' && each.endOfRib),
    [4, null],
  )
})

test('attributes that leave no room for a route are refused', () => {
  const attributes: PathAttributes = { origin: 0, asPath: [], communities: Array.from({ length: 1020 }, (_, i) => i) }
  const context = { fourOctetAs: true, maxBytes: MAX_MESSAGE_BYTES }
  const hop = { nextHop: parseAddress('192.0.2.1') }
  assert.throws(() => encodeAnnouncements(4, hop, attributes, [hostPrefix(1)], context), RangeError)
  const extended = { fourOctetAs: true, maxBytes: MAX_EXTENDED_MESSAGE_BYTES }
  assert.is(encodeAnnouncements(4, hop, attributes, [hostPrefix(1)], extended).length, 1)
})

test('property: a path through two-octet speakers keeps its length and its end (RFC 6793 §4.2.3)', () => {
  fc.assert(
    fc.property(any.asPath, any.asPath, (before, as4) => {
      const old = [...before, ...as4].map(({ type, asns }) => ({
        type,
        asns: asns.map((as) => (as > 0xffff ? 23456 : as)),
      }))
      const merged = mergeAs4Path(old, as4)
      assert.is(pathLength(merged), pathLength(old))
      assert.ok(formatAsPath(merged).endsWith(formatAsPath(as4)))
    }),
    { numRuns: 300 },
  )
  assert.is(
    formatAsPath(mergeAs4Path([{ type: 'sequence', asns: [1, 23456, 3] }], [{ type: 'sequence', asns: [70000, 3] }])),
    '1 70000 3',
  )
  const short = [{ type: 'sequence' as const, asns: [1] }]
  assert.is(mergeAs4Path(short, [{ type: 'sequence', asns: [1, 2] }]), short)
})

test('property: messages come out of a stream however it is cut', () => {
  const stream = fc.array(
    fc.oneof(
      any.notification.map(encodeNotification),
      any.open.map(encodeOpen),
      fc.constant(KEEPALIVE_BYTES),
      fc
        .array(any.ipv4Prefix, { minLength: 1, maxLength: 50 })
        .map((some) => encodeWithdrawals(4, some, 4096)[0] ?? KEEPALIVE_BYTES),
    ),
    { minLength: 1, maxLength: 6 },
  )
  fc.assert(
    fc.property(
      stream,
      fc.array(fc.integer({ min: 1, max: 90 }), { minLength: 1, maxLength: 20 }),
      (messages, cuts) => {
        const bytes = Buffer.concat(messages)
        const framer = new Framer()
        const frames: string[] = []
        for (let at = 0, i = 0; at < bytes.length; i++) {
          const size = cuts[i % cuts.length] ?? 1
          framer.push(bytes.subarray(at, at + size))
          at += size
          for (let frame = framer.next(); frame !== null; frame = framer.next()) frames.push(hex(frame.body))
        }
        assert.equal(
          frames,
          messages.map((message) => hex(message.subarray(19))),
        )
        assert.is(framer.waiting, 0)
      },
    ),
    { numRuns: 150 },
  )
})

test.run()
