// Allocator: cost of one allocation at different fills and subnet sizes, and of a rebuild from 100,000 records.
//
//   node --import tsx benchmarks/ipam/run.ts
//
// Reach (docs/design.md §7): the same at 99.99 % fill as when empty; 100k addresses rebuilt in < 1 s; a /64 as a /24.
import { Allocator, type InstanceView } from '../../lib/ipam/index.ts'
import { parsePrefix, type IPAddress } from '../../lib/ip/index.ts'

const FAMILY = { 4: 'IPv4Only', 6: 'IPv6Only' } as const

function subnetOf(cidr: string): { allocator: Allocator; base: IPAddress; family: 4 | 6 } {
  const prefix = parsePrefix(cidr)
  const allocator = new Allocator()
  allocator.setNetwork({ name: 'net' })
  allocator.setSubnet({ name: 's', network: 'net', cidr: prefix, reserved: [], excluded: [] })
  return { allocator, base: prefix.address, family: typeof prefix.address === 'number' ? 4 : 6 }
}

function at(base: IPAddress, offset: number): IPAddress {
  return typeof base === 'number' ? base + offset : base + BigInt(offset)
}

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

/** Allocates and gives back, `rounds` times, in a subnet that holds `held` addresses; median nanoseconds of an allocation. */
function allocation(cidr: string, held: number, rounds: number): number {
  const { allocator, base, family } = subnetOf(cidr)
  for (let offset = 1; offset <= held; offset++) allocator.observe(view(base, offset))
  const spent: number[] = []
  for (let round = 0; round < rounds; round++) {
    const pod = { namespace: 'default', name: `new-${round}`, uid: `new-${round}` }
    const start = process.hrtime.bigint()
    const [claim] = allocator.allocate({ network: 'net', pod, family: FAMILY[family], mac: round + 1 })
    spent.push(Number(process.hrtime.bigint() - start))
    if (claim !== undefined) allocator.abandon(claim.record)
  }
  return median(spent)
}

const median = (values: readonly number[]): number => [...values].sort((a, b) => a - b)[values.length >> 1] ?? 0
const repeat = (run: () => number): number => median(Array.from({ length: 5 }, run))

const rows: Record<string, string> = {}
for (const [what, cidr, held] of [
  ['/24, empty', '10.0.0.0/24', 0],
  ['/16, empty', '10.0.0.0/16', 0],
  ['/16, 99.99 % full', '10.0.0.0/16', 65527],
  ['/12, 100,000 held', '10.0.0.0/12', 100_000],
  ['IPv6 /120, empty', 'fd00::/120', 0],
  ['IPv6 /64, empty', 'fd00::/64', 0],
  ['IPv6 /64, 100,000 held', 'fd00::/64', 100_000],
] as const) {
  rows[`allocate, ${what}`] = `${(repeat(() => allocation(cidr, held, 20_000)) / 1000).toFixed(2)} µs`
}
for (const cidr of ['10.0.0.0/12', 'fd00::/64']) {
  const views = Array.from({ length: 100_000 }, (_, index) => view(parsePrefix(cidr).address, index + 1))
  const milliseconds = repeat(() => {
    const { allocator } = subnetOf(cidr)
    // Processor time: other programs of a busy machine do not count.
    const start = process.cpuUsage()
    for (const one of views) allocator.observe(one)
    const { user, system } = process.cpuUsage(start)
    return (user + system) / 1000
  })
  rows[`rebuild 100,000 records, ${cidr}`] = `${milliseconds.toFixed(0)} ms`
}
console.table(rows)
