// What is done for a pod, by what it holds and wants: the decision table of manager.md §2.8 and the crash matrix of §6.6.
import { test } from 'uvu'
import * as assert from 'uvu/assert'
import type { AddressRecord } from '../../../lib/ipam/index.ts'
import { parseAddress } from '../../../lib/ip/index.ts'
import { planAgain, planPod, retainedOf, type PodFacts, type Wanted } from '../../../lib/manager/decide/pod-plan.ts'

function record(address: string, fields: Partial<AddressRecord> = {}): AddressRecord {
  return {
    subnet: address.includes(':') ? 'six' : 'four',
    network: 'net',
    address: parseAddress(address),
    phase: 'live',
    namespace: 'default',
    pod: 'p-0',
    podUID: 'now',
    mac: 0x021234000001,
    kept: fields.phase === 'reserved',
    uid: `object-${address}`,
    version: 1,
    ...fields,
  }
}

function facts(records: readonly AddressRecord[], fields: Partial<PodFacts> = {}): PodFacts {
  return {
    uid: 'now',
    holdings: records.map((one) => ({ record: one, inUse: false })),
    running: false,
    stateful: false,
    retain: false,
    machine: null,
    pool: null,
    ...fields,
  }
}

const v4: Wanted = { network: 'net', subnets: [], family: 'IPv4Only' }
const dual: Wanted = { network: 'net', subnets: ['s4', 's6'], family: 'DualStack' }
const kept = { phase: 'reserved', podUID: '' } as const

test('nothing held: allocate as wanted', () => {
  assert.equal(planPod(facts([]), dual), {
    kind: 'allocate',
    network: 'net',
    family: 'DualStack',
    subnets: ['s4', 's6'],
    mac: null,
  })
})

test('what an earlier pod of the name holds is no business of a plain pod', () => {
  assert.is(planPod(facts([record('10.0.0.1', { podUID: 'before' })]), v4).kind, 'allocate')
})

test('D6: half of a dual-stack pod is completed: the missing family, its subnet, the same MAC and network', () => {
  const plan = planPod(facts([record('10.0.0.1', { network: 'where-it-is' })]), dual)
  assert.equal(plan, {
    kind: 'allocate',
    network: 'where-it-is',
    family: 'IPv6Only',
    subnets: ['s6'],
    mac: 0x021234000001,
  })
})

test('what runs is left alone, whatever the configuration says now', () => {
  assert.is(planPod(facts([record('10.0.0.1')], { running: true }), dual).kind, 'served')
  const inUse = facts([record('10.0.0.1')])
  assert.is(
    planPod({ ...inUse, holdings: inUse.holdings.map((one) => ({ ...one, inUse: true })) }, dual).kind,
    'served',
  )
})

test('claims whose object is not known are written again', () => {
  const claim = record('10.0.0.1', { phase: 'claimed', uid: '' })
  assert.equal(planPod(facts([claim]), v4), { kind: 'write', records: [claim] })
  assert.is(planPod(facts([claim, record('fd00::1')]), dual).kind, 'write')
})

test('D11: more than one of a family, a family not wanted, another network: the strays go, existing objects before claims stay', () => {
  const claim = record('10.0.0.1', { phase: 'claimed', uid: '' })
  const live = record('10.0.0.2')
  assert.equal(planPod(facts([claim, live]), v4), { kind: 'drop', records: [claim] })
  const second = record('10.0.0.3')
  assert.equal(planPod(facts([second, live]), v4), { kind: 'drop', records: [second] })
  const six = record('fd00::1')
  assert.equal(planPod(facts([live, six]), v4), { kind: 'drop', records: [six] })
  const elsewhere = record('fd00::1', { network: 'other' })
  assert.equal(planPod(facts([live, elsewhere]), dual), { kind: 'drop', records: [elsewhere] })
})

test('what is being released is not held', () => {
  for (const phase of ['releasing', 'quarantined'] as const) {
    assert.is(planPod(facts([record('10.0.0.1', { phase })]), v4).kind, 'allocate')
  }
})

test('a stateful pod gets back all that is kept, IPv4 first, with its MAC', () => {
  const records = [record('fd00::1', kept), record('10.0.0.1', kept)]
  assert.equal(planPod(facts(records, { stateful: true, retain: true }), dual), {
    kind: 'assign',
    network: 'net',
    family: 'DualStack',
    addresses: [
      { address: parseAddress('10.0.0.1'), subnet: 'four' },
      { address: parseAddress('fd00::1'), subnet: 'six' },
    ],
    force: false,
    mac: 0x021234000001,
    drop: [],
  })
  // A crash after the first of two re-binds: both again.
  const half = [record('10.0.0.1'), record('fd00::1', kept)]
  const plan = planPod(facts(half, { stateful: true, retain: true }), dual)
  assert.is(plan.kind === 'assign' && plan.addresses.length, 2)
  assert.is(planPod(facts([record('10.0.0.1')], { stateful: true, retain: true }), v4).kind, 'served')
})

test('a stateful pod that keeps nothing drops what is kept for it', () => {
  const old = record('10.0.0.1', kept)
  assert.equal(planPod(facts([old], { stateful: true }), v4), { kind: 'drop', records: [old] })
})

test('retained addresses decide network and family, but only those of an earlier life', () => {
  const keep = { stateful: true, retain: true }
  assert.equal(retainedOf(facts([record('10.0.0.1', kept), record('fd00::1', kept)], keep)), {
    network: 'net',
    family: 'DualStack',
    problem: null,
  })
  assert.is(retainedOf(facts([record('10.0.0.1')], keep)), null, 'this life may be half of a dual-stack pod')
  assert.is(retainedOf(facts([record('10.0.0.1', kept)], { ...keep, pool: [1] })), null, 'an ip-pool wins')
  assert.is(retainedOf(facts([record('10.0.0.1', kept)])), null)
  const three = [record('10.0.0.1', kept), record('10.0.0.2', kept), record('fd00::1', kept)]
  // Bound again, and looked at once more: what came back is not what the pod asks for, and stays all the same.
  const back = [record('10.0.0.1', { kept: true }), record('fd00::1', { kept: true })]
  const still = retainedOf(facts(back, keep))
  assert.equal(still, { network: 'net', family: 'DualStack', problem: null })
  const wanted: Wanted = { network: 'net', subnets: [], family: still?.family ?? 'IPv4Only' }
  assert.equal(planPod(facts(back, keep), wanted), { kind: 'served' })
  assert.match(retainedOf(facts(three, keep))?.problem ?? '', /3 addresses are kept/)
})

test('what a pod runs with and has no object of is written again, exactly so', () => {
  const [four, six] = [parseAddress('10.0.0.1'), parseAddress('fd00::1')]
  const lost = { phase: 'reported', uid: '' } as const
  const again = (records: readonly AddressRecord[], addresses: readonly (number | bigint)[]) =>
    planAgain({ uid: 'now', holdings: facts(records).holdings, addresses })
  const both = [record('fd00::1', { ...lost, mac: 0 }), record('10.0.0.1', lost)]
  const assign = {
    kind: 'assign',
    network: 'net',
    family: 'DualStack',
    addresses: [
      { address: four, subnet: 'four' },
      { address: six, subnet: 'six' },
    ],
    force: false,
    mac: 0x021234000001,
    drop: [],
  }
  assert.equal(again(both, [four, six]), assign)
  assert.equal(again(both, []), assign, 'known from before the server went back, not reported yet')
  assert.is(again([record('10.0.0.1')], [four]), null, 'it has its object')
  assert.is(again([], [four]), null, 'an address of somebody else, or of none of ours')
  assert.is(again(both, [parseAddress('10.0.0.9')]), null, 'it runs with another one')
  // One of two is missing: the same MAC.
  const half = again([record('10.0.0.1'), record('fd00::1', { ...lost, mac: 0 })], [four, six])
  assert.is(half?.kind === 'assign' && half.family, 'IPv6Only')
  assert.is(half?.kind === 'assign' && half.mac, 0x021234000001)
  // It lost a duel over the address it still runs with, and has another one of the family by now.
  assert.is(again([record('10.0.0.1', lost), record('10.0.0.2')], [four]), null)
  const claim = record('10.0.0.1', { phase: 'claimed', uid: '' })
  assert.equal(again([claim], [four]), { kind: 'write', records: [claim] })
  for (const phase of ['releasing', 'quarantined'] as const) {
    assert.is(again([record('10.0.0.1', { phase })], [four])?.kind, 'served', 'not another one before it is gone')
  }
  assert.is(again([record('10.0.0.1', { ...lost, podUID: 'before' })], [four]), null, 'an earlier life')
})

test('what an earlier life only is said to run with is not dropped, and comes back to a stateful pod', () => {
  const old = record('10.0.0.1', { phase: 'reported', uid: '', podUID: '' })
  assert.is(planPod(facts([old], { stateful: true }), v4).kind, 'allocate')
  const back = planPod(facts([old], { stateful: true, retain: true }), v4)
  assert.is(back.kind === 'assign' && back.addresses[0]?.address, old.address)
  const pool = planPod(facts([old], { stateful: true, retain: true, pool: [parseAddress('10.0.0.9')] }), v4)
  assert.equal(pool.kind === 'assign' && pool.drop, [])
})

test('an ip-pool takes exactly its addresses and drops the others', () => {
  const pool = [parseAddress('10.0.0.9')]
  const other = record('10.0.0.1', kept)
  const plan = planPod(facts([other], { stateful: true, retain: true, pool }), v4)
  assert.equal(plan, {
    kind: 'assign',
    network: 'net',
    family: 'IPv4Only',
    addresses: [{ address: pool[0] }],
    force: true,
    mac: null,
    drop: [other],
  })
  assert.is(planPod(facts([record('10.0.0.9')], { stateful: true, retain: true, pool }), v4).kind, 'served')
})

test.run()
