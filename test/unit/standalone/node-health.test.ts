// What is made of nodes that are not well: conditions, taints, and when pods have to go.
import fc from 'fast-check'
import { test } from 'uvu'
import * as assert from 'uvu/assert'
import {
  evictionTime,
  type HealthNode,
  silentConditions,
  wantedTaints,
} from '../../../lib/standalone/controllers/node-health.ts'
import type { Condition } from '../../../lib/standalone/controllers/types.ts'
import type { Taint, Toleration } from '../../../lib/standalone/taints.ts'

const now = '2026-01-02T03:04:05Z'
const ready = (status: Condition['status']): Condition => ({ type: 'Ready', status, lastTransitionTime: 'before' })
const node = (conditions: Condition[], spec: HealthNode['spec'] = {}): HealthNode => ({
  metadata: { name: 'n' },
  spec,
  status: { conditions },
})
const short = (taints: readonly Taint[] | null): string[] | null =>
  taints?.map(({ key, effect }) => `${key.replace('node.kubernetes.io/', '')}:${effect}`) ?? null

test('a silent node: what its kubelet vouched for is Unknown, what others said stays', () => {
  const other: Condition = { type: 'NetworkUnavailable', status: 'False' }
  const conditions = silentConditions(node([ready('True'), other]), now) ?? []
  assert.equal(
    conditions.map(({ type, status, reason }) => [type, status, reason]),
    [
      ['NetworkUnavailable', 'False', undefined],
      ['Ready', 'Unknown', 'NodeStatusUnknown'],
      ['MemoryPressure', 'Unknown', 'NodeStatusNeverUpdated'],
      ['DiskPressure', 'Unknown', 'NodeStatusNeverUpdated'],
      ['PIDPressure', 'Unknown', 'NodeStatusNeverUpdated'],
    ],
  )
  assert.is(conditions[1]?.lastTransitionTime, now)
  assert.is(silentConditions(node([...conditions]), 'later'), null, 'once is enough')
})

test('taints follow the conditions, and those of others stay', () => {
  const mine: Taint = { key: 'dedicated', value: 'x', effect: 'NoSchedule' }
  assert.is(wantedTaints(node([ready('True')]), true, now), null)
  assert.is(wantedTaints(node([ready('True')], { taints: [mine] }), true, now), null)
  assert.equal(short(wantedTaints(node([ready('False')], { taints: [mine] }), true, now)), [
    'dedicated:NoSchedule',
    'not-ready:NoSchedule',
    'not-ready:NoExecute',
  ])
  const unreachable = wantedTaints(node([ready('Unknown')]), true, now) ?? []
  assert.equal(short(unreachable), ['unreachable:NoSchedule', 'unreachable:NoExecute'])
  assert.is(unreachable[1]?.timeAdded, now)
  assert.is(wantedTaints(node([ready('Unknown')], { taints: unreachable }), true, 'later'), null, 'the time stays')
  assert.equal(short(wantedTaints(node([ready('True')], { taints: unreachable }), true, now)), [])
  assert.equal(short(wantedTaints(node([]), true, now)), ['unreachable:NoSchedule', 'unreachable:NoExecute'])
})

test('a node that went from silent to unwell has the one taint instead of the other', () => {
  const taints = wantedTaints(node([ready('Unknown')]), true, now) ?? []
  assert.equal(short(wantedTaints(node([ready('False')], { taints }), true, now)), [
    'not-ready:NoSchedule',
    'not-ready:NoExecute',
  ])
})

test('nothing is evicted while no node is ready', () => {
  const taints = wantedTaints(node([ready('Unknown')]), true, now) ?? []
  assert.equal(short(wantedTaints(node([ready('Unknown')], { taints }), false, now)), ['unreachable:NoSchedule'])
})

test('a cordon is a taint', () => {
  const taints = wantedTaints(node([ready('True')], { unschedulable: true }), true, now) ?? []
  assert.equal(short(taints), ['unschedulable:NoSchedule'])
  assert.equal(short(wantedTaints(node([ready('True')], { taints }), true, now)), [])
})

test('taints settle: what is wanted, once there, is wanted no more', () => {
  const status = fc.constantFrom<Condition['status']>('True', 'False', 'Unknown')
  const key = fc.constantFrom('node.kubernetes.io/not-ready', 'node.kubernetes.io/unreachable', 'other')
  const effect = fc.constantFrom('NoSchedule', 'NoExecute', 'PreferNoSchedule')
  fc.assert(
    fc.property(
      status,
      fc.uniqueArray(fc.record({ key, effect }), { selector: ({ key, effect }) => key + effect }),
      fc.boolean(),
      fc.boolean(),
      (status, taints, unschedulable, evicting) => {
        const before = node([ready(status)], { taints, unschedulable })
        const wanted = wantedTaints(before, evicting, now) ?? taints
        assert.is(wantedTaints(node([ready(status)], { taints: wanted, unschedulable }), evicting, now), null)
        const foreign = taints.filter(({ key, effect }) => key === 'other' || effect === 'PreferNoSchedule')
        for (const taint of foreign) assert.ok(wanted.includes(taint))
      },
    ),
  )
})

test('a pod leaves at once, after its time, or never', () => {
  const key = 'node.kubernetes.io/unreachable'
  const taint: Taint = { key, effect: 'NoExecute', timeAdded: now }
  const at = Date.parse(now)
  const tolerating = (...tolerations: Toleration[]): number | null => evictionTime(tolerations, [taint])
  assert.is(tolerating(), 0)
  assert.is(tolerating({ key, operator: 'Exists', effect: 'NoSchedule' }), 0)
  assert.is(tolerating({ key, operator: 'Exists' }), null)
  assert.is(tolerating({ key, operator: 'Exists', effect: 'NoExecute', tolerationSeconds: 300 }), at + 300_000)
  assert.is(tolerating({ operator: 'Exists', tolerationSeconds: 60 }, { key, operator: 'Exists' }), at + 60_000)
  assert.is(tolerating({ key, operator: 'Exists', tolerationSeconds: -5 }), at)
  assert.is(evictionTime([], [{ key, effect: 'NoSchedule' }]), null)
  const other: Taint = { key: 'other', effect: 'NoExecute', timeAdded: now }
  assert.is(evictionTime([{ key, operator: 'Exists' }], [taint, other]), 0, 'each taint has to be tolerated')
})

test.run()
