// The allocator by itself: one allocation and one release at different sizes and fills, and a rebuild from 100,000 records.
// Medians over many; rebuilds in processor time.
import { Allocator, type InstanceView } from '../../lib/ipam/index.ts'
import { parsePrefix, type IPAddress } from '../../lib/ip/index.ts'
import type { Figure, Section } from '../scale/figures.ts'
import { median } from '../support/statistics.ts'

const FAMILY = { 4: 'IPv4Only', 6: 'IPv6Only' } as const
const ROUNDS = 20_000
const REBUILD = 100_000

function subnetOf(cidr: string): { allocator: Allocator; base: IPAddress; family: 4 | 6 } {
  const prefix = parsePrefix(cidr)
  const allocator = new Allocator()
  allocator.setNetwork({ name: 'net' })
  allocator.setSubnet({ name: 's', network: 'net', cidr: prefix, reserved: [], excluded: [] })
  return { allocator, base: prefix.address, family: typeof prefix.address === 'number' ? 4 : 6 }
}

const at = (base: IPAddress, offset: number): IPAddress =>
  typeof base === 'number' ? base + offset : base + BigInt(offset)

function view(base: IPAddress, offset: number): InstanceView {
  return {
    namespace: 'default',
    uid: `object-${offset}`,
    version: offset,
    network: 'net',
    subnet: 's',
    address: at(base, offset),
    mac: 0x021234000000 + offset,
    pod: `pod-${offset}`,
    podUID: `uid-${offset}`,
    reserved: false,
    terminating: false,
  }
}

/** Allocates and releases in a subnet that holds `held` addresses; median nanoseconds of each. */
function rounds(cidr: string, held: number): { allocate: number; release: number } {
  const { allocator, base, family } = subnetOf(cidr)
  for (let offset = 1; offset <= held; offset++) allocator.observe(view(base, offset))
  const allocate: number[] = []
  const release: number[] = []
  for (let round = 0; round < ROUNDS; round++) {
    const pod = { namespace: 'default', name: `new-${round}`, uid: `new-${round}` }
    const start = process.hrtime.bigint()
    const [claim] = allocator.allocate({ network: 'net', pod, family: FAMILY[family], mac: round + 1 })
    const between = process.hrtime.bigint()
    if (claim === undefined) throw new Error(`${cidr} with ${held} held gives no address`)
    allocator.abandon(claim.record)
    const end = process.hrtime.bigint()
    allocate.push(Number(between - start))
    release.push(Number(end - between))
  }
  return { allocate: median(allocate), release: median(release) }
}

/** Processor time of a rebuild, milliseconds, and memory of the records, bytes each. */
function rebuild(cidr: string, count: number): { milliseconds: number; bytes: number } {
  const { address } = parsePrefix(cidr)
  const views = Array.from({ length: count }, (_, index) => view(address, index + 1))
  const times: number[] = []
  let bytes = NaN
  for (let run = 0; run < 3; run++) {
    globalThis.gc?.()
    const before = process.memoryUsage().heapUsed
    const start = process.cpuUsage()
    const { allocator } = subnetOf(cidr)
    for (const one of views) allocator.observe(one)
    const { user, system } = process.cpuUsage(start)
    times.push((user + system) / 1000)
    globalThis.gc?.()
    // Of the first: later, what the one before it leaves goes at some time or other.
    if (run === 0) bytes = (process.memoryUsage().heapUsed - before) / count
    if (allocator.record('s', at(address, 1)) === null) throw new Error('the rebuild lost an address')
  }
  return { milliseconds: median(times), bytes }
}

/** As published and measured of the original (Go): a /16 at most, materialised. */
const ORIGINAL: readonly Figure[] = [
  { what: 'original: load an empty /16', value: 55, unit: 'ms' },
  { what: 'original: allocate, /16 empty', value: 0.96, unit: 'µs' },
  { what: 'original: allocate, one of 65,534 free', value: 307, unit: 'µs' },
]

export function allocator(): Section[] {
  const figures: Figure[] = []
  const reach = 100
  for (const [what, cidr, held] of [
    ['1,022 addresses, empty', '10.0.0.0/22', 0],
    ['1,022 addresses, one free', '10.0.0.0/22', 1021],
    ['65,534 addresses, empty', '10.0.0.0/16', 0],
    ['65,534 addresses, 99.99 % full', '10.0.0.0/16', 65_527],
    ['65,534 addresses, one free', '10.0.0.0/16', 65_533],
    ['1,048,574 addresses, empty', '10.0.0.0/12', 0],
    ['1,048,574 addresses, 99.99 % full', '10.0.0.0/12', 1_048_470],
    ['IPv6 /64, empty', 'fd00::/64', 0],
    ['IPv6 /64, 100,000 held', 'fd00::/64', 100_000],
  ] as const) {
    const { allocate, release } = rounds(cidr, held)
    figures.push({ what: `allocate, ${what}`, value: allocate / 1000, unit: 'µs', reach })
    figures.push({ what: `release, ${what}`, value: release / 1000, unit: 'µs' })
  }
  for (const cidr of ['10.0.0.0/12', 'fd00::/64']) {
    const { milliseconds, bytes } = rebuild(cidr, REBUILD)
    figures.push({ what: `rebuild of 100,000 records, ${cidr}`, value: milliseconds, unit: 'ms', reach: 1000 })
    if (globalThis.gc !== undefined) figures.push({ what: `memory of a record, ${cidr}`, value: bytes, unit: 'B' })
  }
  return [{ title: 'Allocator', figures: [...figures, ...ORIGINAL] }]
}
