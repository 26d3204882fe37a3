// The allocator against an oracle that walks every address and recounts everything after every step (manager.md §6.7: one
// holder per address, exact counters, deterministic order). Ranges are small; the CIDR decides which index is under test.
import fc from 'fast-check'
import { test } from 'uvu'
import * as assert from 'uvu/assert'
import { Allocator, IpamError, type InstanceView, type SubnetConfig } from '../../../lib/ipam/index.ts'
import { parseAddress, parsePrefix, type IPAddress } from '../../../lib/ip/index.ts'
import { present } from '../../support/present.ts'

/** One object of the imagined API. */
interface Instance {
  namespace: string
  uid: string
  pod: string
  address: IPAddress
  phase: 'claimed' | 'live' | 'reserved' | 'releasing' | 'quarantined'
}

interface Shape {
  start: number
  end: number
  gateway: number | null
  reserved: number[]
  excluded: number[]
}

const SPAN = 14
const shape: fc.Arbitrary<Shape> = fc.record({
  start: fc.integer({ min: 1, max: 5 }),
  end: fc.integer({ min: 3, max: SPAN }),
  gateway: fc.option(fc.integer({ min: 1, max: SPAN }), { nil: null }),
  reserved: fc.array(fc.integer({ min: 1, max: SPAN }), { maxLength: 3 }),
  excluded: fc.array(fc.integer({ min: 1, max: SPAN }), { maxLength: 3 }),
})

class Oracle {
  shape: Shape
  cursor = 0
  readonly held = new Map<number, Instance>()

  constructor(initial: Shape) {
    this.shape = initial
  }

  assignable(at: number): boolean {
    const { start, end, gateway, excluded } = this.shape
    return at >= start && at <= end && at !== gateway && !excluded.includes(at)
  }

  candidates(): number[] {
    return Array.from({ length: SPAN }, (_, index) => index + 1).filter(
      (at) => this.assignable(at) && !this.shape.reserved.includes(at),
    )
  }

  reshape(next: Shape): void {
    this.shape = next
    if (this.cursor > 0) this.cursor = this.candidates().findLast((at) => at <= this.cursor) ?? 0
  }

  /** The next candidate, walking one at a time for at most a full turn. */
  pick(): number | null {
    const all = this.candidates()
    const turn = [...all.filter((at) => at > this.cursor), ...all.filter((at) => at <= this.cursor)]
    return turn.find((at) => !this.held.has(at)) ?? null
  }

  usage(): { total: number; used: number; available: number } {
    const all = this.candidates()
    const used = all.filter((at) => this.held.has(at) && this.held.get(at)?.phase !== 'quarantined').length
    return { total: all.length, used, available: all.length - used }
  }
}

type Step =
  | ['allocate', string, string]
  | ['assign', string, string, number, boolean]
  | ['confirm' | 'abandon' | 'reserve' | 'terminate' | 'book' | 'gone' | 'stale', number]
  | ['reshape', Shape]
  | ['recreate']

const namespace = fc.constantFrom('blue', 'green')
const podName = fc.constantFrom('p', 'q', 'r', 's', 't', 'u')
const step: fc.Arbitrary<Step> = fc.oneof(
  { weight: 6, arbitrary: fc.tuple(fc.constant('allocate' as const), namespace, podName) },
  {
    weight: 3,
    arbitrary: fc.tuple(
      fc.constant('assign' as const),
      namespace,
      podName,
      fc.integer({ min: 1, max: SPAN }),
      fc.boolean(),
    ),
  },
  {
    weight: 10,
    arbitrary: fc.tuple(
      fc.constantFrom('confirm', 'abandon', 'reserve', 'terminate', 'book', 'gone', 'stale'),
      fc.integer({ min: 1, max: SPAN }),
    ),
  },
  { weight: 1, arbitrary: fc.tuple(fc.constant('reshape' as const), shape) },
  { weight: 1, arbitrary: fc.constant<['recreate']>(['recreate']) },
)

function run(cidr: string, initial: Shape, steps: readonly Step[]): IPAddress[] {
  const prefix = parsePrefix(cidr)
  const address = (offset: number): IPAddress =>
    typeof prefix.address === 'number' ? prefix.address + offset : prefix.address + BigInt(offset)
  const offset = (at: IPAddress): number => Number(BigInt(at) - BigInt(prefix.address))
  const family = typeof prefix.address === 'number' ? 'IPv4Only' : 'IPv6Only'
  const config = (now: Shape): SubnetConfig => ({
    name: 's',
    network: 'net',
    cidr: prefix,
    start: address(now.start),
    end: address(now.end),
    ...(now.gateway === null ? {} : { gateway: address(now.gateway) }),
    reserved: now.reserved.map(address),
    excluded: now.excluded.map(address),
  })
  const allocator = new Allocator()
  const oracle = new Oracle(initial)
  allocator.setNetwork({ name: 'net' })
  allocator.setSubnet(config(initial))
  let clock = 0
  const given: IPAddress[] = []
  const show = (instance: Instance, fields: Partial<InstanceView> = {}): InstanceView => ({
    namespace: instance.namespace,
    uid: instance.uid,
    version: ++clock,
    network: 'net',
    subnet: 's',
    address: instance.address,
    mac: 0,
    pod: instance.pod,
    podUID: `uid-${instance.pod}`,
    reserved: instance.phase === 'reserved',
    terminating: instance.phase === 'releasing' || instance.phase === 'quarantined',
    ...fields,
  })
  const attempt = (action: () => readonly { readonly address: IPAddress }[]): number | null => {
    try {
      return offset(present(action()[0]).address)
    } catch (error) {
      if (error instanceof IpamError) return null
      throw error
    }
  }
  for (const current of steps) {
    if (current[0] === 'allocate') {
      const [, ns, pod] = current
      const expected = oracle.pick()
      const got = attempt(() =>
        allocator.allocate({ network: 'net', pod: { namespace: ns, name: pod, uid: `uid-${pod}` }, family, mac: 0 }),
      )
      assert.is(got, expected, 'the next free candidate after the cursor')
      if (expected !== null) {
        oracle.cursor = expected
        oracle.held.set(expected, { namespace: ns, uid: '', pod, address: address(expected), phase: 'claimed' })
        given.push(address(expected))
      }
    } else if (current[0] === 'assign') {
      const [, ns, pod, at, force] = current
      const holder = oracle.held.get(at)
      const own = holder?.namespace === ns && holder.pod === pod
      const going = holder?.phase === 'releasing' || holder?.phase === 'quarantined'
      const allowed =
        holder === undefined
          ? oracle.assignable(at) && (force || !oracle.shape.reserved.includes(at))
          : !going && (own || (force && holder.phase === 'reserved' && holder.namespace === ns))
      const got = attempt(() =>
        allocator.assign({
          network: 'net',
          pod: { namespace: ns, name: pod, uid: `uid-${pod}` },
          family,
          addresses: [{ address: address(at) }],
          force,
          mac: 0,
        }),
      )
      assert.is(got, allowed ? at : null, `assign ${at} to ${ns}/${pod}, force ${force}`)
      if (allowed && holder === undefined) {
        oracle.held.set(at, { namespace: ns, uid: '', pod, address: address(at), phase: 'claimed' })
      } else if (allowed && holder !== undefined) {
        holder.pod = pod
        if (holder.phase === 'reserved') holder.phase = 'live'
      }
    } else if (current[0] === 'reshape') {
      oracle.reshape(current[1])
      allocator.setSubnet(config(current[1]))
    } else if (current[0] === 'recreate') {
      allocator.deleteSubnet('s')
      oracle.cursor = 0
      allocator.setSubnet(config(oracle.shape))
    } else {
      const [event, at] = current
      const instance = oracle.held.get(at)
      if (instance === undefined) continue
      const key = { namespace: instance.namespace, uid: instance.uid }
      if (event === 'confirm' && instance.phase === 'claimed') {
        instance.phase = 'live'
        instance.uid = `object-${++clock}`
        allocator.observe(show(instance))
        allocator.observe({ ...show(instance), version: clock })
      } else if (event === 'abandon' && instance.phase === 'claimed') {
        const record = present(allocator.record('s', instance.address))
        const claim = present(allocator.claimOf(record))
        allocator.restore({ ...claim, previous: null })
        oracle.held.delete(at)
      } else if (event === 'reserve' && (instance.phase === 'live' || instance.phase === 'reserved')) {
        instance.phase = 'reserved'
        allocator.observe(show(instance, { podUID: '' }))
      } else if (event === 'terminate' && instance.phase !== 'claimed' && instance.phase !== 'quarantined') {
        instance.phase = 'releasing'
        allocator.observe(show(instance))
      } else if (event === 'book' && instance.phase !== 'claimed') {
        instance.phase = 'quarantined'
        assert.is(allocator.book('s', instance.address, key), true)
      } else if (event === 'gone' && instance.phase !== 'claimed') {
        assert.is(allocator.gone('s', instance.address, key), true)
        oracle.held.delete(at)
        assert.is(allocator.gone('s', instance.address, key), false, 'a second time changes nothing')
      } else if (event === 'stale') {
        // What an earlier life of the object left behind, and somebody else's release.
        const stranger = { namespace: instance.namespace, uid: 'earlier' }
        assert.is(allocator.gone('s', instance.address, stranger), false)
        assert.is(allocator.book('s', instance.address, stranger), false)
        assert.is(allocator.gone('s', instance.address, { namespace: 'red', uid: instance.uid }), false)
        if (instance.uid !== '') allocator.observe({ ...show(instance), version: 0, reserved: true, podUID: '' })
      }
    }
    const usage = present(allocator.subnetUsage('s'))
    const { lastAllocated, ...numbers } = usage
    assert.equal(numbers, oracle.usage(), `numbers after ${current[0]}`)
    assert.is(lastAllocated, oracle.cursor === 0 ? undefined : address(oracle.cursor), `cursor after ${current[0]}`)
    const memory = [...allocator.records()].map((record) => `${offset(record.address)} ${record.pod} ${record.phase}`)
    const truth = [...oracle.held].map(([at, instance]) => `${at} ${instance.pod} ${instance.phase}`)
    assert.equal(memory.sort(), truth.sort(), `holders after ${current[0]}`)
    const network = present(allocator.networkUsage('net'))
    assert.equal(family === 'IPv4Only' ? network.ipv4 : network.ipv6, numbers, 'the network sums its subnets')
  }
  // Nobody reads a record for a pod that does not hold it, nor misses one.
  for (const ns of ['blue', 'green']) {
    for (const pod of ['p', 'q', 'r', 's', 't', 'u']) {
      const own = [...oracle.held].filter(([, instance]) => instance.namespace === ns && instance.pod === pod)
      assert.equal(
        allocator
          .ofPod(ns, pod)
          .map((record) => offset(record.address))
          .sort(),
        own.map(([at]) => at).sort(),
      )
    }
  }
  return given
}

for (const [what, cidr] of [
  ['bitmap, IPv4', '10.0.0.0/28'],
  ['bitmap, IPv6', 'fd00::/124'],
  ['runs, IPv4', '10.0.0.0/8'],
  ['runs, IPv6', 'fd00::/64'],
] as const) {
  test(`any sequence of decisions and events agrees with the oracle (${what})`, () => {
    fc.assert(
      fc.property(shape, fc.array(step, { maxLength: 60 }), (initial, steps) => {
        run(cidr, initial, steps)
      }),
      { numRuns: 250 },
    )
  })
}

test('the same calls give the same addresses, whatever index is below', () => {
  fc.assert(
    fc.property(shape, fc.array(step, { maxLength: 60 }), (initial, steps) => {
      const first = run('10.0.0.0/28', initial, steps)
      assert.equal(run('10.0.0.0/28', initial, steps), first)
      assert.equal(run('10.0.0.0/8', initial, steps), first)
    }),
    { numRuns: 40 },
  )
})

test('rebuilding from the objects in any order gives the same state', () => {
  fc.assert(
    fc.property(
      fc.uniqueArray(fc.integer({ min: 1, max: 200 }), { maxLength: 60 }),
      fc.infiniteStream(fc.nat()),
      (at, order) => {
        const views = at.map((offset): InstanceView => ({
          namespace: 'blue',
          uid: `object-${offset}`,
          version: offset,
          network: 'net',
          subnet: 's',
          address: 0x0a000000 + offset,
          mac: 0,
          pod: `p-${offset}`,
          podUID: `uid-${offset}`,
          reserved: offset % 5 === 0,
          terminating: offset % 7 === 0,
        }))
        const build = (list: readonly InstanceView[], specFirst: boolean): Allocator => {
          const allocator = new Allocator()
          const spec = (): void => {
            allocator.setNetwork({ name: 'net' })
            allocator.setSubnet({
              name: 's',
              network: 'net',
              cidr: parsePrefix('10.0.0.0/24'),
              reserved: [],
              excluded: [parseAddress('10.0.0.3')],
              lastAllocated: parseAddress('10.0.0.77'),
            })
          }
          if (specFirst) spec()
          for (const view of list) allocator.observe(view)
          if (!specFirst) spec()
          return allocator
        }
        const shuffled = views
          .map((view) => ({ view, key: order.next().value as number }))
          .sort((a, b) => a.key - b.key)
          .map(({ view }) => view)
        const one = build(views, true)
        const two = build([...shuffled, ...views.slice(0, 3)], false)
        assert.equal(one.subnetUsage('s'), two.subnetUsage('s'))
        const next = (allocator: Allocator) =>
          allocator.allocate({
            network: 'net',
            pod: { namespace: 'x', name: 'y', uid: 'z' },
            family: 'IPv4Only',
            mac: 0,
          })[0]?.address
        assert.is(next(one), next(two))
      },
    ),
    { numRuns: 100 },
  )
})

test.run()
