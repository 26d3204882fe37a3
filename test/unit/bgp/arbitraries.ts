// What BGP speakers may say, for property tests.
import fc from 'fast-check'
import { prefixOf, type Prefix } from '../../../lib/ip/index.ts'
import {
  familyCode,
  IPV4_UNICAST,
  IPV6_UNICAST,
  NO_CAPABILITIES,
  type AsPath,
  type Capabilities,
  type PathAttributes,
  type UpdateContext,
} from '../../../lib/bgp/index.ts'

/** Records as ordinary objects: assert.equal compares prototypes. */
function record<T>(model: { [K in keyof T]: fc.Arbitrary<T[K]> }): fc.Arbitrary<T> {
  return fc.record(model, { noNullPrototype: true })
}

const u16 = fc.integer({ min: 0, max: 0xffff })
const u32 = fc.integer({ min: 0, max: 0xffffffff })
const asn = fc.oneof(fc.integer({ min: 1, max: 0xffff }), fc.integer({ min: 1, max: 0xffffffff }))

export const ipv4Prefix: fc.Arbitrary<Prefix> = fc
  .tuple(u32, fc.integer({ min: 0, max: 32 }))
  .map(([address, length]) => prefixOf(address, length))
export const ipv6Prefix: fc.Arbitrary<Prefix> = fc
  .tuple(fc.bigInt({ min: 0n, max: (1n << 128n) - 1n }), fc.integer({ min: 0, max: 128 }))
  .map(([address, length]) => prefixOf(address, length))

/** A router's: 10.0.0.0/8 and fd00::/8. */
export const ipv4Hop = fc.integer({ min: 0x0a000001, max: 0x0affffff })
export const ipv6Hop = fc.bigInt({ min: 0xfdn << 120n, max: (0xfen << 120n) - 1n })

/** No two neighbouring sequences: merging paths of two octets joins those. */
export const asPath: fc.Arbitrary<AsPath> = fc
  .array(record({ type: fc.constantFrom('set', 'sequence'), asns: fc.array(asn, { minLength: 1, maxLength: 8 }) }), {
    maxLength: 4,
  })
  .map((path) => path.filter(({ type }, i) => type === 'set' || path[i - 1]?.type !== 'sequence'))

const bytes = (least: number, most: number) => fc.uint8Array({ minLength: least, maxLength: most })

/** What an announced route has at least, and anything else. Attributes of internal sessions only when `external` is false. */
export function attributes(external: boolean): fc.Arbitrary<PathAttributes> {
  const open = {
    origin: fc.constantFrom(0, 1, 2),
    asPath,
    med: u32,
    atomicAggregate: fc.constant(true),
    aggregator: record({ as: asn, address: u32 }),
    communities: fc.array(u32, { minLength: 1, maxLength: 80 }),
    largeCommunities: fc.array(fc.tuple(u32, u32, u32), { minLength: 1, maxLength: 30 }),
    others: fc
      .uniqueArray(record({ code: fc.integer({ min: 100, max: 255 }), value: bytes(0, 300) }), {
        selector: ({ code }) => code,
        minLength: 1,
        maxLength: 3,
      })
      .map((all) => all.sort((a, b) => a.code - b.code).map((each) => ({ ...each, flags: 0xe0 }))),
  }
  const internal = { localPref: u32, originatorId: u32, clusterList: fc.array(u32, { minLength: 1, maxLength: 5 }) }
  return fc.record(external ? open : { ...open, ...internal }, {
    requiredKeys: ['origin', 'asPath'],
    noNullPrototype: true,
  })
}

const family = fc.constantFrom(IPV4_UNICAST, IPV6_UNICAST, familyCode(1, 128), familyCode(25, 70))

export const capabilities: fc.Arbitrary<Capabilities> = record({
  families: fc.uniqueArray(family),
  routeRefresh: fc.boolean(),
  enhancedRouteRefresh: fc.boolean(),
  extendedMessage: fc.boolean(),
  extendedNextHop: fc.array(record({ family, nextHopAfi: fc.constantFrom(1, 2) }), { maxLength: 3 }),
  fourOctetAs: fc.option(asn),
  gracefulRestart: fc.option(
    record({
      restarting: fc.boolean(),
      notification: fc.boolean(),
      restartTime: fc.integer({ min: 0, max: 4095 }),
      families: fc.array(record({ family, forwarding: fc.boolean() }), { maxLength: 4 }),
    }),
  ),
  longLived: fc.option(
    fc.array(record({ family, forwarding: fc.boolean(), staleTime: fc.integer({ min: 0, max: 0xffffff }) }), {
      maxLength: 4,
    }),
  ),
  hostname: fc.option(
    record({ host: fc.stringMatching(/^[a-z0-9.]{0,30}$/), domain: fc.stringMatching(/^[a-z.]{0,30}$/) }),
  ),
  unknown: fc.array(record({ code: fc.integer({ min: 128, max: 255 }), value: bytes(0, 40) }), { maxLength: 4 }),
}).map((some) => ({ ...NO_CAPABILITIES, ...some }))

export const open = record({
  as: asn,
  holdTime: fc.oneof(fc.constant(0), fc.integer({ min: 3, max: 65535 })),
  identifier: fc.integer({ min: 1, max: 0xffffffff }),
  capabilities,
})
  // A speaker whose AS has four octets says so.
  .map((some) => ({
    ...some,
    capabilities: {
      ...some.capabilities,
      fourOctetAs: some.as > 0xffff || some.capabilities.fourOctetAs !== null ? some.as : null,
    },
  }))

export const notification = record({ code: fc.nat(255), subcode: fc.nat(255), data: bytes(0, 64) })

export const context: fc.Arbitrary<UpdateContext> = record({
  fourOctetAs: fc.boolean(),
  external: fc.boolean(),
  families: fc.subarray([IPV4_UNICAST, IPV6_UNICAST]).map((some) => new Set(some)),
  extendedNextHop: fc.boolean(),
})

export { u16, u32 }
