// The two statements of the packed layout, and the codec over it.
import { readFileSync } from 'node:fs'
import fc from 'fast-check'
import { test } from 'uvu'
import * as assert from 'uvu/assert'
import { addon } from '../../../lib/netlink/addon.ts'
import { packAddr, unpackAddr } from '../../../lib/netlink/addr.ts'
import * as layout from '../../../lib/netlink/layout.ts'
import { packFdb, packNeigh, unpackNeigh } from '../../../lib/netlink/neigh.ts'
import { NEW_ROUTE, packRoute, routeSlots, unpackRoute } from '../../../lib/netlink/route.ts'
import { packRule, unpackRule } from '../../../lib/netlink/rule.ts'
import type { Addr, Neigh, NextHop, Route, Rule } from '../../../lib/netlink/types.ts'
import { WordWriter } from '../../../lib/netlink/words.ts'
import { prefixOf, type IPAddress } from '../../../lib/ip/index.ts'

const u8 = fc.integer({ min: 0, max: 255 })
const u32 = fc.integer({ min: 0, max: 0xffff_ffff })
const index = fc.integer({ min: 1, max: 0x7fff_ffff })
const mac = fc.integer({ min: 0, max: 0xffff_ffff_ffff })
const inet = u32
const inet6 = fc.bigInt({ min: 0n, max: (1n << 128n) - 1n })
const ofFamily = (family: 4 | 6): fc.Arbitrary<IPAddress> => (family === 4 ? inet : inet6)
const prefix = (family: 4 | 6, least = 0) =>
  fc
    .tuple(ofFamily(family), fc.integer({ min: least, max: family === 4 ? 32 : 128 }))
    .map(([address, length]) => prefixOf(address, length))
/** fc.record makes objects without a prototype now and then; dumps do not. */
const plain = <T>(fields: { [K in keyof T]: fc.Arbitrary<T[K]> }): fc.Arbitrary<T> =>
  fc.record(fields, { noNullPrototype: true })
const optional = <T>(value: fc.Arbitrary<T>): fc.Arbitrary<T | null> => fc.option(value, { nil: null })
const anyFamily = <T>(make: (family: 4 | 6) => fc.Arbitrary<T>): fc.Arbitrary<T> => fc.oneof(make(4), make(6))

/** Records at places that are not the first, so that an index forgotten somewhere shows. */
function writer(): WordWriter {
  const out = new WordWriter(2)
  out.reserve(6)
  return out
}

test('layout.ts and layout.h state the same numbers', () => {
  const stated: Record<string, number> = {}
  for (const [name, numbers] of Object.entries(layout)) {
    if (typeof numbers !== 'object') continue
    for (const [field, value] of Object.entries(numbers)) stated[`${name.replace('Layout', '')}.${field}`] = value
  }
  assert.equal(stated, addon().layout)
  const header = readFileSync(new URL('../../../native/layout.h', import.meta.url), 'utf8')
  assert.is(Number(/kStreamHeaderWords = (\d+)/.exec(header)?.[1]), layout.STREAM_HEADER)
  assert.is(Number(/kPresence = (\d+)/.exec(header)?.[1]), layout.PRESENCE)
})

test('every record is of even length and its addresses start at even words', () => {
  for (const numbers of [layout.RouteLayout, layout.RuleLayout, layout.NeighLayout, layout.AddrLayout]) {
    assert.is(numbers.Words % 2, 0)
    for (const name of ['Dst', 'Src', 'Gateway', 'PrefSrc', 'Local', 'Address']) {
      assert.is(((numbers as Record<string, number>)[name] ?? 0) % 2, 0, name)
    }
  }
})

test('routes survive packing', () => {
  const route = anyFamily((family): fc.Arbitrary<Route> => {
    const gateway = optional(fc.oneof(ofFamily(family), ofFamily(family), inet6))
    const hop: fc.Arbitrary<NextHop> = plain({ oif: index, gateway, weight: fc.integer({ min: 1, max: 256 }) })
    return plain({
      table: u32,
      dst: prefix(family),
      type: u8,
      protocol: u8,
      scope: family === 4 ? u8 : fc.constant(0),
      oif: fc.oneof(fc.constant(0), index),
      gateway,
      prefSrc: optional(ofFamily(family)),
      metric: u32,
      flags: u8,
      nexthopId: fc.constant(0),
      nexthops: fc.array(hop, { maxLength: 4 }),
    }).map((each) => (each.nexthops.length > 0 ? { ...each, oif: 0, gateway: null } : each))
  })
  fc.assert(
    fc.property(fc.array(route, { maxLength: 5 }), (routes) => {
      const out = writer()
      const starts = routes.map((each) => {
        const start = out.size
        packRoute(out, each, NEW_ROUTE)
        return start
      })
      assert.equal(
        starts.map((at) => unpackRoute(out, at)),
        routes,
      )
      routes.forEach((each, i) => assert.is(routeSlots(out.words, starts[i] ?? 0), 1 + each.nexthops.length))
    }),
  )
})

test('rules survive packing', () => {
  const rule = anyFamily((family): fc.Arbitrary<Rule> =>
    plain({
      family: fc.constant(family),
      priority: u32,
      src: optional(prefix(family, 1)),
      dst: optional(prefix(family, 1)),
      fwmark: u32,
      fwmask: u32,
      table: u32,
      action: u8,
      protocol: u8,
      foreignSelector: fc.constant(false),
    }).map((each) => (each.fwmask === 0 ? { ...each, fwmark: 0 } : each)),
  )
  fc.assert(
    fc.property(rule, (each) => {
      const out = writer()
      packRule(out, each)
      assert.equal(unpackRule(out, 6), each)
    }),
  )
})

test('neighbours, proxies and FDB entries survive packing', () => {
  const state = fc.integer({ min: 0, max: 0xffff })
  const neigh = anyFamily((family): fc.Arbitrary<Neigh> =>
    plain({
      kind: fc.constant(family === 4 ? ('inet' as const) : ('inet6' as const)),
      index,
      dst: ofFamily(family),
      mac: optional(mac),
      state,
      flags: u8.map((flags) => flags & ~0x08),
    }),
  )
  const fdb: fc.Arbitrary<Neigh> = plain({
    kind: fc.constant('bridge' as const),
    index,
    dst: optional(fc.oneof(inet, inet6)),
    mac,
    state,
    flags: u8,
  })
  fc.assert(
    fc.property(fc.oneof(neigh, fdb), (each) => {
      const out = writer()
      if (each.kind === 'bridge') packFdb(out, each)
      else packNeigh(out, each)
      assert.equal(unpackNeigh(out, 6), each)
    }),
  )
})

test('addresses survive packing, but for the flags only the kernel sets', () => {
  const addr = anyFamily((family): fc.Arbitrary<Addr> =>
    plain({
      index,
      address: ofFamily(family),
      prefixLength: fc.integer({ min: 0, max: family === 4 ? 32 : 128 }),
      flags: u32.map((flags) => (flags & 0xf16) >>> 0),
      scope: u8,
      broadcast: family === 4 ? optional(inet) : fc.constant(null),
    }),
  )
  fc.assert(
    fc.property(addr, (each) => {
      const out = writer()
      packAddr(out, { ...each, flags: (each.flags | 0x81) >>> 0 })
      assert.equal(unpackAddr(out, 6), each)
    }),
  )
})

test('numbers the kernel could not take are refused by name', () => {
  const dst = prefixOf(0, 0)
  const cases: [() => void, RegExp][] = [
    [() => packRoute(writer(), { dst, table: 2 ** 32 }, NEW_ROUTE), /table is 4294967296, expected/],
    [() => packRoute(writer(), { dst, oif: 1.5 }, NEW_ROUTE), /oif is 1\.5, expected a device index/],
    [() => packRoute(writer(), { dst, type: 256 }, NEW_ROUTE), /type is 256, expected an integer from 0 to 255/],
    [
      () => packRoute(writer(), { dst: { address: 0, length: 33 } }, NEW_ROUTE),
      /dst\.length is 33, expected at most 32/,
    ],
    [
      () => packRoute(writer(), { dst, nexthops: [{ oif: 1, gateway: null, weight: 0 }] }, NEW_ROUTE),
      /nexthops\[0\]\.weight is 0, expected 1 to 256/,
    ],
    [() => packRule(writer(), { family: 4, src: prefixOf(0n, 64) }), /src is not an IPv4 prefix/],
    [() => packRule(writer(), { family: 6, priority: NaN }), /priority is NaN/],
    [() => packNeigh(writer(), { index: 0, dst: 1 }), /index is 0, expected a device index/],
    [() => packNeigh(writer(), { index: 1, dst: null }), /dst is null, expected the address/],
    [() => packFdb(writer(), { index: 1, mac: -1 }), /mac is -1, expected a 48-bit number/],
    [() => packAddr(writer(), { index: 1, address: 1, prefixLength: 40 }), /prefixLength is 40, expected 0 to 32/],
  ]
  for (const [call, expected] of cases) assert.throws(call, expected)
})

test.run()
