// Desired state kept up to date by deltas equals desired state computed at once; an event costs what it concerns.
import fc from 'fast-check'
import { test } from 'uvu'
import * as assert from 'uvu/assert'
import {
  DesiredModel,
  DesiredStore,
  KernelState,
  type DataplaneRecord,
  type InputDelta,
} from '../../../lib/dataplane/index.ts'
import {
  arbitraryCluster,
  appendixA,
  CONFIG,
  factsOf,
  ModelKernel,
  NODE_ADDRESSES,
  pod,
  subnet,
  vtep,
} from './support.ts'
import { parseAddress } from '../../../lib/ip/index.ts'

const kernel = new ModelKernel()

function modelOf(...deltas: InputDelta[]): DesiredModel {
  const model = new DesiredModel(CONFIG, new KernelState())
  for (const delta of deltas) {
    const { factsStale } = model.update(delta)
    if (factsStale) model.setFacts(factsOf(model.input, kernel))
  }
  return model
}

/** Key, record and contributor of everything wanted; table numbers by name, since they depend on history. */
function picture(model: DesiredModel): string[] {
  const names = new Map<string, string>()
  for (const family of [4, 6] as const) {
    for (const [key, table] of model.tables[family]) names.set(`${family} ${table}`, `T(${key})`)
  }
  const rename = (record: DataplaneRecord): unknown => {
    if (record.kind !== 'route' && record.kind !== 'rule') return record
    return { ...record, table: names.get(`${record.family} ${record.table}`) ?? record.table }
  }
  return [...model.store.entries()]
    .map(([, { record, contributor }]) =>
      JSON.stringify([contributor, rename(record)], (_key, value: unknown) =>
        typeof value === 'bigint' ? `${value}n` : value,
      ),
    )
    .sort()
}

test('incremental equals full, for any sequence of clusters', () => {
  fc.assert(
    fc.property(fc.array(arbitraryCluster, { minLength: 1, maxLength: 4 }), (clusters) => {
      const incremental = modelOf(...clusters)
      const full = modelOf(clusters.at(-1) as InputDelta)
      assert.equal(picture(incremental), picture(full))
      assert.equal(incremental.store.conflicts(), full.store.conflicts())
      assert.equal(incremental.problems(), full.problems())
    }),
    { numRuns: 80 },
  )
})

test('a pod event changes only keys of that pod', () => {
  const model = modelOf({ ...appendixA(), nodeAddresses: NODE_ADDRESSES })
  const { changes, factsStale } = model.update({ pods: { set: [pod('c', '100.64.0.12', 'VXLAN', 'hybrc')] } })
  assert.is(factsStale, false)
  assert.equal(changes.map(({ key }) => key).sort(), [
    'element local_pod4 100.64.0.12',
    'proxy 100.64.0.12 dev eth0.vxlan4',
    'route 100.64.0.12/32 table 39999',
  ])
  assert.equal(
    model.update({ pods: { set: [pod('c', '100.64.0.12', 'VXLAN', 'hybrc')] } }).changes,
    [],
    'no change, no work',
  )
  assert.is(model.update({ pods: { delete: ['default/c'] } }).changes.length, 3)
})

test('a tunnel endpoint with a new address keeps its key and changes its destination (defect 4)', () => {
  const model = modelOf({ ...appendixA(), nodeAddresses: NODE_ADDRESSES })
  const { changes } = model.update({ vteps: { set: [{ ...vtep(2), address: parseAddress('192.168.57.12') }] } })
  const unicast = changes.find(({ key }) => key === 'fdb 52:54:00:00:00:12 dev eth0.vxlan4')
  assert.ok(unicast?.old?.kind === 'fdb' && unicast.now?.kind === 'fdb')
})

test('a bad subnet costs only itself (defect 27)', () => {
  const outside = subnet('bad', '10.50.0.0/24', 'VLAN', { gateway: parseAddress('10.51.0.1') })
  const { subnets, ...rest } = appendixA()
  const model = modelOf({
    ...rest,
    nodeAddresses: NODE_ADDRESSES,
    subnets: { set: [...(subnets?.set ?? []), outside] },
  })
  assert.equal(model.problems(), [{ object: 'subnet bad', message: 'gateway 10.51.0.1 is not inside 10.50.0.0/24' }])
  assert.ok(model.store.get('rule4 from 10.10.0.0/24 fwmark 0x0/0x4040 lookup 10001'))
})

test('a node that leaves an underlay network loses its rule (defect 12)', () => {
  const { subnets, ...rest } = appendixA()
  const left = (subnets?.set ?? []).map((one) => (one.mode === 'VLAN' ? { ...one, member: false } : one))
  const model = modelOf({ ...rest, nodeAddresses: NODE_ADDRESSES, subnets: { set: left } })
  assert.not.ok([...model.store.entries()].some(([key]) => key.includes('from 10.10.0.0/24')))
  assert.ok(model.store.get('route 10.10.0.0/24 table 10000'), 'the overlay still reaches it')
})

test('without an overlay network nothing of it is wanted, but base rules are (defect 33)', () => {
  const model = modelOf({ ...appendixA(), nodeAddresses: NODE_ADDRESSES })
  model.update({ overlay: null })
  model.setFacts(factsOf(model.input, kernel))
  const keys = [...model.store.entries()].map(([key]) => key)
  assert.not.ok(keys.some((key) => key.includes('eth0.vxlan4')))
  assert.ok(keys.includes('rule4 from all fwmark 0x20/0x20 lookup 40001'))
})

test('DesiredStore: of two contributors the first by name wins, in whatever order they come', () => {
  const record = (dst: string): DataplaneRecord => ({
    kind: 'fdb',
    link: 'v',
    mac: 1,
    dst: parseAddress(dst),
    fanOut: false,
  })
  const key = 'fdb 00:00:00:00:00:01 dev v'
  for (const order of [
    ['a', 'b'],
    ['b', 'a'],
  ]) {
    const store = new DesiredStore()
    for (const name of order) store.set(name, [record(name === 'a' ? '10.0.0.1' : '10.0.0.2')])
    assert.is(store.get(key)?.contributor, 'a')
    assert.equal(store.conflicts(), [key])
    assert.is(store.set('a', []).length, 1)
    assert.is(store.get(key)?.contributor, 'b')
    assert.equal(store.conflicts(), [])
    store.set('b', [])
    assert.is(store.get(key), undefined)
    assert.is([...store.keysOnLink('v')].length, 0)
  }
})

test.run()
