// Who holds an address, and who may let go of it: the table of phases, owner-checked release, quarantine, duplicates.
import { test } from 'uvu'
import * as assert from 'uvu/assert'
import { Allocator, nextPhase, type InstanceView, type Phase, type PhaseEvent } from '../../../lib/ipam/index.ts'
import { parseAddress, parsePrefix } from '../../../lib/ip/index.ts'
import { present } from '../../support/present.ts'

const at = parseAddress('10.0.0.1')

function fresh(): Allocator {
  const allocator = new Allocator()
  allocator.setNetwork({ name: 'net' })
  allocator.setSubnet({ name: 's', network: 'net', cidr: parsePrefix('10.0.0.0/30'), reserved: [], excluded: [] })
  return allocator
}

function view(fields: Partial<InstanceView> = {}): InstanceView {
  return {
    namespace: 'blue',
    uid: 'one',
    version: 10,
    network: 'net',
    subnet: 's',
    address: at,
    mac: 0x021234000001,
    pod: 'p',
    podUID: 'life-1',
    reserved: false,
    terminating: false,
    ...fields,
  }
}

const claim = (allocator: Allocator, name = 'p', uid = 'life-1') =>
  present(allocator.allocate({ network: 'net', pod: { namespace: 'blue', name, uid }, family: 'IPv4Only', mac: 5 })[0])

test('the table: deletion is never taken back, and a claim is only abandoned before its object is known', () => {
  const phases: (Phase | 'free')[] = ['free', 'claimed', 'live', 'reserved', 'releasing', 'quarantined']
  const leads = (event: PhaseEvent) => Object.fromEntries(phases.map((phase) => [phase, nextPhase(phase, event)]))
  assert.equal(leads('claim'), {
    free: 'claimed',
    claimed: null,
    live: null,
    reserved: null,
    releasing: null,
    quarantined: null,
  })
  assert.equal(leads('abandon'), {
    free: null,
    claimed: 'free',
    live: null,
    reserved: null,
    releasing: null,
    quarantined: null,
  })
  for (const event of ['confirm', 'retain', 'bind', 'abandon'] as const) {
    assert.is(nextPhase('releasing', event), null)
    assert.is(nextPhase('quarantined', event), null)
  }
  assert.is(nextPhase('claimed', 'book'), null, 'nothing to release before the object exists')
})

test('D4: a release frees only what its very object held', () => {
  const allocator = fresh()
  claim(allocator)
  allocator.observe(view())
  assert.is(allocator.gone('s', at, { namespace: 'blue', uid: 'zero' }), false, 'an earlier object of the same name')
  assert.is(allocator.gone('s', at, { namespace: 'green', uid: 'one' }), false, 'another namespace')
  assert.is(allocator.gone('nowhere', at, { namespace: 'blue', uid: 'one' }), false, 'another subnet')
  assert.is(allocator.record('s', at)?.phase, 'live')
  assert.is(allocator.gone('s', at, { namespace: 'blue', uid: 'one' }), true)
  assert.is(allocator.record('s', at), null)
  claim(allocator, 'q', 'life-q')
  assert.is(allocator.gone('s', parseAddress('10.0.0.2'), { namespace: 'blue', uid: 'one' }), false, 'late again')
  assert.is(allocator.subnetUsage('s')?.used, 1)
})

test('an unconfirmed claim cannot be released by an object it never had', () => {
  const allocator = fresh()
  claim(allocator)
  assert.is(allocator.gone('s', at, { namespace: 'blue', uid: '' }), false)
  assert.is(allocator.gone('s', at, { namespace: 'blue', uid: 'one' }), false)
  assert.is(allocator.record('s', at)?.phase, 'claimed')
})

test('a booked release counts as free but is not handed out before the object is gone', () => {
  const allocator = fresh()
  claim(allocator)
  allocator.observe(view())
  claim(allocator, 'q')
  allocator.observe(view({ terminating: true, version: 11 }))
  assert.is(allocator.subnetUsage('s')?.available, 0, 'a terminating object still counts')
  assert.is(allocator.book('s', at, { namespace: 'blue', uid: 'one' }), true)
  assert.is(allocator.subnetUsage('s')?.available, 1)
  assert.throws(() => claim(allocator, 'r'), /no IPv4 subnet with a free address/)
  allocator.observe(view({ version: 12 }))
  assert.is(allocator.record('s', at)?.phase, 'quarantined', 'a view without the deletion is old')
  allocator.gone('s', at, { namespace: 'blue', uid: 'one' })
  assert.is(claim(allocator, 'r').address, at)
})

test('a view older than what was applied changes nothing', () => {
  const allocator = fresh()
  allocator.observe(view({ version: 20, reserved: true, podUID: '' }))
  assert.equal(allocator.observe(view({ version: 19 })), { kind: 'stale' })
  assert.is(allocator.record('s', at)?.phase, 'reserved')
  assert.equal(allocator.observe(view({ version: 21 })), { kind: 'known' })
  assert.is(allocator.record('s', at)?.phase, 'live')
})

test('a same-named object made anew replaces the one that is gone', () => {
  const allocator = fresh()
  allocator.observe(view())
  allocator.observe(view({ uid: 'two', version: 30, pod: 'q' }))
  assert.is(allocator.record('s', at)?.uid, 'two')
  assert.equal(allocator.ofPod('blue', 'p'), [])
  assert.equal(allocator.observe(view({ version: 15 })), { kind: 'stale' })
  assert.is(allocator.gone('s', at, { namespace: 'blue', uid: 'one' }), false)
})

test('D9: a second object for one address waits; when the holder goes the address stays held', () => {
  const allocator = fresh()
  allocator.observe(view())
  const second = view({ namespace: 'green', uid: 'two' })
  const seen = allocator.observe(second)
  assert.is(seen.kind, 'duplicate')
  assert.is(seen.kind === 'duplicate' && seen.holder.namespace, 'blue')
  assert.is(allocator.subnetUsage('s')?.used, 1)
  assert.is(allocator.ofPod('green', 'p').length, 1)
  allocator.gone('s', at, { namespace: 'blue', uid: 'one' })
  assert.is(allocator.record('s', at)?.namespace, 'green')
  assert.is(allocator.subnetUsage('s')?.used, 1)
  allocator.gone('s', at, { namespace: 'green', uid: 'two' })
  assert.is(allocator.subnetUsage('s')?.used, 0)
  assert.equal([...allocator.records()], [])
  assert.is(allocator.macInUse(0x021234000001), false)
})

test('a waiting object that goes first leaves the holder alone', () => {
  const allocator = fresh()
  allocator.observe(view())
  allocator.observe(view({ namespace: 'green', uid: 'two' }))
  assert.is(allocator.gone('s', at, { namespace: 'green', uid: 'two' }), true)
  assert.is(allocator.record('s', at)?.namespace, 'blue')
  assert.equal(allocator.ofPod('green', 'p'), [])
})

test('a foreign object under the name of a claim takes the address when the claim is given up', () => {
  const allocator = fresh()
  const made = claim(allocator)
  assert.is(allocator.observe(view({ pod: 'stranger', uid: 'x' })).kind, 'duplicate')
  allocator.restore(made)
  assert.is(allocator.record('s', at)?.pod, 'stranger')
  assert.is(claim(allocator).address, parseAddress('10.0.0.2'))
})

test('D3: undoing a re-bind gives the holder back, unless its object went meanwhile', () => {
  const allocator = fresh()
  allocator.observe(view({ reserved: true, podUID: '' }))
  const rebind = () =>
    present(
      allocator.assign({
        network: 'net',
        pod: { namespace: 'blue', name: 'p', uid: 'life-2' },
        family: 'IPv4Only',
        addresses: [{ address: at, subnet: 's' }],
        force: false,
        mac: 0,
      })[0],
    )
  const first = rebind()
  assert.is(allocator.record('s', at)?.podUID, 'life-2')
  allocator.restore(first)
  assert.equal([allocator.record('s', at)?.phase, allocator.record('s', at)?.podUID], ['reserved', ''])
  const second = rebind()
  allocator.observe(view({ terminating: true, version: 11, podUID: '', reserved: true }))
  allocator.restore(second)
  assert.is(allocator.record('s', at)?.phase, 'releasing')
})

test('a holder keeps its address when the range is cut under it', () => {
  const allocator = fresh()
  allocator.observe(view())
  allocator.setSubnet({
    name: 's',
    network: 'net',
    cidr: parsePrefix('10.0.0.0/30'),
    start: parseAddress('10.0.0.2'),
    reserved: [],
    excluded: [],
  })
  assert.equal(allocator.subnetUsage('s'), { total: 1, used: 0, available: 1 })
  const [kept] = allocator.assign({
    network: 'net',
    pod: { namespace: 'blue', name: 'p', uid: 'life-2' },
    family: 'IPv4Only',
    addresses: [{ address: at }],
    force: false,
    mac: 0,
  })
  assert.is(kept?.address, at)
})

test('the late end of an earlier object does not end the new claim of its pod', () => {
  const allocator = fresh()
  allocator.observe(view({ terminating: true }))
  allocator.book('s', at, view())
  assert.ok(allocator.gone('s', at, view()))
  const [claimed] = allocator.assign({
    network: 'net',
    pod: { namespace: 'blue', name: 'p', uid: 'life-2' },
    family: 'IPv4Only',
    addresses: [{ address: at }],
    force: true,
    mac: 5,
  })
  assert.is(allocator.gone('s', at, view()), false, 'told again that it is gone')
  allocator.observe(view({ terminating: true, version: 11 }))
  assert.is(allocator.record('s', at)?.podUID, 'life-2')
  allocator.gone('s', at, view())
  assert.is(allocator.record('s', at)?.phase, 'claimed')
  assert.is(allocator.abandon(present(claimed).record), true)
  assert.is(allocator.record('s', at), null)
})

test('a claim whose name is still taken gives way to the object that is going', () => {
  const allocator = fresh()
  const claimed = claim(allocator)
  allocator.observe(view({ uid: 'before', terminating: true }))
  allocator.abandon(claimed.record)
  assert.is(allocator.record('s', at)?.phase, 'releasing')
  assert.ok(allocator.gone('s', at, { namespace: 'blue', uid: 'before' }))
  assert.is(allocator.record('s', at), null)
})

test('an undone binding does not overwrite what was seen of the object meanwhile', () => {
  const allocator = fresh()
  allocator.observe(view({ reserved: true, podUID: '' }))
  const rebind = () =>
    present(
      allocator.assign({
        network: 'net',
        pod: { namespace: 'blue', name: 'p', uid: 'life-2' },
        family: 'IPv4Only',
        addresses: [{ address: at }],
        force: false,
        mac: 0,
      })[0],
    )
  allocator.restore(rebind())
  assert.is(allocator.record('s', at)?.phase, 'reserved')
  const again = rebind()
  allocator.observe(view({ podUID: 'life-2', version: 11 }))
  allocator.restore(again)
  assert.is(allocator.record('s', at)?.phase, 'live', 'the write had arrived')
  assert.is(allocator.record('s', at)?.podUID, 'life-2')
})

for (const [what, edited] of [
  ['moved to another CIDR', { cidr: parsePrefix('10.1.0.0/30') }],
  ['cut short', { start: parseAddress('10.0.0.2') }],
] as const) {
  test(`what is held outside a subnet that was ${what} is not handed out by the one that serves there now`, () => {
    const allocator = fresh()
    const before = { name: 's', network: 'net', cidr: parsePrefix('10.0.0.0/30'), reserved: [], excluded: [] }
    allocator.observe(view())
    allocator.setSubnet({ ...before, ...edited })
    allocator.setSubnet({ ...before, name: 't', end: at })
    assert.is(allocator.subnetUsage('s')?.used, 0)
    const request = { network: 'net', pod: { namespace: 'green', name: 'q', uid: 'q' }, mac: 6 } as const
    assert.throws(
      () => allocator.allocate({ ...request, family: 'IPv4Only', subnets: ['t'] }),
      /"t" has no free address/,
    )
    allocator.deleteSubnet('t')
    allocator.setSubnet(before)
    assert.is(allocator.subnetUsage('s')?.used, 1, 'counted again where it serves')
  })
}

test.run()
