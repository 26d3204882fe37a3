// Diff and plan against a model kernel: from any state one plan leads to the wanted one, step by step through states that
// route nothing wrongly, and nothing foreign is touched.
import fc from 'fast-check'
import { test } from 'uvu'
import * as assert from 'uvu/assert'
import {
  DesiredModel,
  diffAll,
  FROM_SUBNET,
  Ownership,
  plan,
  type DataplaneRecord,
  type DiffInput,
  type InputDelta,
  type Operation,
} from '../../../lib/dataplane/index.ts'
import { parseAddress, parsePrefix } from '../../../lib/ip/index.ts'
import {
  arbitraryCluster,
  appendixA,
  CONFIG,
  factsOf,
  link,
  ModelKernel,
  NODE_ADDRESSES,
  route,
  rule,
} from './support.ts'

fc.configureGlobal({ includeErrorInReport: true })

class World {
  readonly kernel = new ModelKernel()
  readonly model = new DesiredModel(CONFIG, this.kernel)
  readonly operations: Operation[] = []

  constructor() {
    // The pods' veth; records on it would wait without.
    this.kernel.setLink(link(50, 'hybraaaaaaaaaaa', { kind: 'veth' }))
  }

  want(delta: InputDelta): void {
    this.model.update(delta)
    this.model.setFacts(factsOf(this.model.input, this.kernel))
  }

  diffInput(): DiffInput {
    const { store, input, facts, tables } = this.model
    assert.ok(facts)
    const isPodAddress = (address: number | bigint): boolean => this.model.podOf(address) !== undefined
    const ownership = new Ownership({ input, facts, config: CONFIG, state: this.kernel, tables, isPodAddress })
    return { store, state: this.kernel, ownership }
  }

  /** One plan, checking every step. Operations a kernel refuses are passed over, as apply does. */
  converge(): Operation[] {
    const stages = plan(diffAll(this.diffInput()).operations)
    const operations = stages.flatMap((stage) => stage.operations)
    const remade = operations.some(({ record, action }) => record.kind === 'link' && action !== 'delete')
    const unfilled = new Set<number>()
    for (const operation of operations) {
      const { record, action } = operation
      if (record.kind === 'rule' && action === 'add' && unfilled.has(record.table)) continue
      if (record.kind === 'rule' && action === 'add' && record.order === FROM_SUBNET)
        this.#checkFilled(record, operations)
      try {
        this.kernel.carryOut(operation)
      } catch (error) {
        assert.ok(error instanceof Error)
        if (record.kind === 'route') unfilled.add(record.table)
        else throw error
      }
      if (record.kind === 'route' && action === 'delete' && !remade && !unfilled.has(record.table))
        this.#checkNotEmptied(record)
    }
    this.operations.push(...operations)
    return operations
  }

  /** A rule that appears selects a table that holds all it should. */
  #checkFilled(record: Extract<DataplaneRecord, { kind: 'rule' }>, operations: readonly Operation[]): void {
    for (const [key, { record: wanted }] of this.model.store.entries()) {
      if (wanted.kind !== 'route' || wanted.table !== record.table || wanted.family !== record.family) continue
      const waits = !operations.some((operation) => operation.key === key) && this.kernel.route(key) === undefined
      assert.ok(waits || this.kernel.route(key), `${key} stands before its rule`)
    }
  }

  /** A table that loses a route is selected by no rule any more, or still holds what it should. */
  #checkNotEmptied(record: Extract<DataplaneRecord, { kind: 'route' }>): void {
    const selected = this.kernel.rules(record.family).some(({ table, src }) => table === record.table && src !== null)
    if (!selected) return
    const wanted = [...this.model.store.entries()].some(
      ([, { record: other }]) =>
        other.kind === 'route' && other.table === record.table && other.family === record.family,
    )
    const left = this.kernel.routesOf(record.family, record.table).length
    assert.ok(!wanted || left > 0, `table ${record.table} is not emptied under its rule`)
  }
}

/** Things of others, some of them close to what is ours. */
function addForeign(kernel: ModelKernel): void {
  kernel.setLink(
    link(60, 'flannel.1', {
      kind: 'vxlan',
      vxlan: { vni: 1, parent: 2, local: null, group: null, port: 8472, learning: false },
    }),
  )
  kernel.setRoute(route({ table: 100, dst: parsePrefix('10.99.0.0/16'), oif: 2 }))
  kernel.setRoute(route({ table: 12000, dst: parsePrefix('10.98.0.0/16'), oif: 2 }))
  kernel.setRoute(route({ table: 39999, dst: parsePrefix('10.97.0.1/32'), oif: 50 }))
  kernel.setRoute(route({ table: 40000, dst: parsePrefix('10.96.0.0/16'), oif: 2 }))
  kernel.setRule(rule({ priority: 50, table: 12000, src: parsePrefix('10.98.0.0/16') }))
  kernel.setRule(rule({ priority: 51, table: 100, fwmark: 1, fwmask: 1 }))
  kernel.setProxy(2, parseAddress('192.168.56.200'))
  kernel.setProxy(50, parseAddress('fe80::1'))
  kernel.setFdb({ kind: 'bridge', index: 60, dst: parseAddress('192.168.56.99'), mac: 7, state: 0x80, flags: 2 })
}

/** What addForeign() made and is not there as it was. */
function missingForeign(kernel: ModelKernel): string[] {
  const checks: Record<string, boolean> = {
    'device flannel.1': kernel.links.get(60)?.name === 'flannel.1',
    'route in table 100': kernel.route('route 10.99.0.0/16 table 100')?.oif === 2,
    'route in a table of our range with a foreign rule': kernel.route('route 10.98.0.0/16 table 12000')?.oif === 2,
    'route of the original in 39999': kernel.route('route 10.97.0.1/32 table 39999')?.oif === 50,
    'foreign route in 40000': kernel.route('route 10.96.0.0/16 table 40000')?.oif === 2,
    'rule to 12000': kernel.rules(4).some(({ priority, table }) => priority === 50 && table === 12000),
    'rule to 100': kernel.rules(4).some(({ priority, table }) => priority === 51 && table === 100),
    'proxy on eth0': kernel.hasProxy(2, parseAddress('192.168.56.200')),
    'proxy on a veth': kernel.hasProxy(50, parseAddress('fe80::1')),
    'fdb entry of flannel.1': [...kernel.fdb(60)].length === 1,
  }
  return Object.keys(checks).filter((name) => checks[name] !== true)
}

test('nothing to do when everything is as wanted', () => {
  fc.assert(
    fc.property(arbitraryCluster, (cluster) => {
      const world = new World()
      world.want(cluster)
      world.converge()
      const again = diffAll(world.diffInput()).operations.filter(({ key }) => !isRefused(key, world))
      assert.equal(
        again.map(({ key, why }) => `${key}: ${why}`),
        [],
      )
    }),
    { numRuns: 60 },
  )
})

/** Routes whose gateway the kernel would refuse stay missing, and so do the rules of their tables. */
function isRefused(key: string, world: World): boolean {
  const record = world.model.store.get(key)?.record
  if (record?.kind === 'route') return record.gateway !== null
  return (
    record?.kind === 'rule' &&
    [...world.model.store.entries()].some(
      ([other, { record: r }]) =>
        r.kind === 'route' && r.table === record.table && r.gateway !== null && world.kernel.route(other) === undefined,
    )
  )
}

test('from any cluster to any other in one plan, with no wrong state between', () => {
  fc.assert(
    fc.property(fc.array(arbitraryCluster, { minLength: 2, maxLength: 3 }), (clusters) => {
      const world = new World()
      addForeign(world.kernel)
      for (const cluster of clusters) {
        world.want(cluster)
        world.converge()
        const again = diffAll(world.diffInput()).operations.filter(({ key }) => !isRefused(key, world))
        assert.equal(
          again.map(({ key, why }) => `${key}: ${why}`),
          [],
        )
        assert.equal(missingForeign(world.kernel), [])
      }
    }),
    { numRuns: 60 },
  )
})

test('whatever is taken away or added comes back to the wanted state', () => {
  fc.assert(
    fc.property(fc.array(fc.nat(1000), { minLength: 1, maxLength: 6 }), (picks) => {
      const world = new World()
      world.want({ ...appendixA(), nodeAddresses: NODE_ADDRESSES })
      world.kernel.setLink(link(51, 'hybrbbbbbbbbbbb', { kind: 'veth' }))
      world.converge()
      for (const pick of picks) damage(world.kernel, pick)
      world.converge()
      assert.equal(
        diffAll(world.diffInput()).operations.map(({ key, why }) => `${key}: ${why}`),
        [],
      )
    }),
    { numRuns: 80 },
  )
})

/** One change by somebody else. */
function damage(kernel: ModelKernel, pick: number): void {
  const routes = [...kernel.routes()].filter(({ table }) => table !== 254)
  const rules = kernel.rules(4).filter(({ table }) => table > 255)
  const chosen = <T>(list: readonly T[]): T | undefined => list[Math.floor(pick / 8) % Math.max(1, list.length)]
  const vxlan = kernel.link('eth0.vxlan4')
  switch (pick % 8) {
    case 0: {
      const one = chosen(routes)
      if (one !== undefined) kernel.deleteRoute(one)
      return
    }
    case 1: {
      const one = chosen(rules)
      if (one !== undefined) kernel.deleteRule(one)
      return
    }
    case 2:
      if (vxlan !== undefined) kernel.deleteLink(vxlan.index)
      return
    case 3:
      if (vxlan !== undefined) kernel.setLink({ ...vxlan, flags: 0 })
      return
    case 4:
      if (vxlan !== undefined) for (const addr of [...kernel.addressesOf(vxlan.index)]) kernel.deleteAddress(addr)
      return
    case 5:
      kernel.setRoute(route({ table: 10000, dst: parsePrefix('10.77.0.0/16'), oif: 2 }))
      return
    case 6:
      kernel.setRule(
        rule({ priority: 90 + (pick % 7), table: 10005, src: parsePrefix('10.66.0.0/16'), fwmask: 0x4040 }),
      )
      return
    case 7:
      if (vxlan === undefined) return
      kernel.setProxy(vxlan.index, parseAddress('100.64.0.200'))
      kernel.setFdb({
        kind: 'bridge',
        index: vxlan.index,
        dst: parseAddress('192.168.56.66'),
        mac: 66,
        state: 0x80,
        flags: 2,
      })
  }
}

test('removing a cluster removes all that was ours', () => {
  const world = new World()
  addForeign(world.kernel)
  world.want({ ...appendixA(), nodeAddresses: NODE_ADDRESSES })
  world.converge()
  world.want({ overlay: null, replace: true, subnets: { set: [] }, pods: { set: [] }, vteps: { set: [] } })
  world.converge()
  assert.is(world.kernel.link('eth0.vxlan4'), undefined)
  assert.equal(world.kernel.routesOf(4, 10000), [])
  assert.equal(
    world.kernel.rules(4).map(({ table }) => table),
    [255, 39999, 40000, 40001, 12000, 100, 254],
  )
})

test('order of a plan: devices, addresses, routes, rules, neighbours; then out', () => {
  const world = new World()
  world.want({ ...appendixA(), nodeAddresses: NODE_ADDRESSES })
  const stages = plan(diffAll(world.diffInput()).operations)
  assert.equal(
    stages.map(({ name }) => name),
    ['settings', 'devices', 'device settings', 'addresses', 'routes', 'rules', 'neighbours'],
  )
  const rules = stages
    .find(({ name }) => name === 'rules')
    ?.operations.filter(({ record }) => record.kind === 'rule' && record.family === 4)
  assert.equal(
    rules?.map(({ priority }) => priority),
    [1, 2, 3, 5, 4],
    'base rules, then from the highest preference down',
  )
})

test('a foreign device with the same VNI and port is reported, not fought (defect 33)', () => {
  const world = new World()
  const vxlan = { vni: 4, parent: 2, local: null, group: null, port: 8472, learning: false }
  world.kernel.setLink(link(60, 'other', { kind: 'vxlan', vxlan }))
  world.want({ ...appendixA(), nodeAddresses: NODE_ADDRESSES })
  const { operations, waiting } = diffAll(world.diffInput())
  assert.not.ok(operations.some(({ key }) => key === 'link other' || key === 'link eth0.vxlan4'))
  assert.is(waiting.find(({ key }) => key === 'link eth0.vxlan4')?.for, 'device other to give up VNI 4 and port 8472')
  assert.is(
    waiting.find(({ key }) => key === 'rule4 from 100.64.0.0/16 fwmark 0x0/0x4040 lookup 10000')?.for,
    'link eth0.vxlan4',
  )
})

test('an old device of ours with the same VNI makes room', () => {
  const world = new World()
  const vxlan = { vni: 4, parent: 2, local: null, group: null, port: 8472, learning: true }
  world.kernel.setLink(link(60, 'eth9.vxlan4', { kind: 'vxlan', vxlan }))
  world.want({ ...appendixA(), nodeAddresses: NODE_ADDRESSES })
  world.converge()
  assert.is(world.kernel.link('eth9.vxlan4'), undefined)
  assert.ok(world.kernel.link('eth0.vxlan4'))
})

test.run()
