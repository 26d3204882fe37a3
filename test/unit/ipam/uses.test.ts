// What pods say they run with is nobody else's: against an oracle over any history, and the corners one by one.
import fc from 'fast-check'
import { test } from 'uvu'
import * as assert from 'uvu/assert'
import { Allocator, IpamError, type InstanceView, type PodRef } from '../../../lib/ipam/index.ts'
import { formatAddress, parseAddress, parsePrefix, type IPAddress } from '../../../lib/ip/index.ts'
import { present } from '../../support/present.ts'

const base = parseAddress('10.0.0.0') as number
const subnet = { name: 's', network: 'net', cidr: parsePrefix('10.0.0.0/29'), reserved: [], excluded: [] }
const podOf = (name: string): PodRef => ({ namespace: 'blue', name, uid: `uid-${name}` })

function fresh(): Allocator {
  const allocator = new Allocator()
  allocator.setNetwork({ name: 'net' })
  allocator.setSubnet(subnet)
  return allocator
}

function view(at: number, pod: string, uid: string, fields: Partial<InstanceView> = {}): InstanceView {
  return {
    namespace: 'blue',
    uid,
    version: 1,
    network: 'net',
    subnet: 's',
    address: base + at,
    mac: 0x021234000000 + at,
    pod,
    podUID: `uid-${pod}`,
    reserved: false,
    terminating: false,
    ...fields,
  }
}

const take = (allocator: Allocator, name: string): IPAddress =>
  present(allocator.allocate({ network: 'net', pod: podOf(name), family: 'IPv4Only', mac: 5 })[0]).address
const assign = (allocator: Allocator, name: string, at: number, force = false): IPAddress =>
  present(
    allocator.assign({
      network: 'net',
      pod: podOf(name),
      family: 'IPv4Only',
      addresses: [{ address: base + at }],
      force,
      mac: 6,
    })[0],
  ).address
const holders = (allocator: Allocator): string[] =>
  [...allocator.records()].map((r) => `${formatAddress(r.address)} ${r.pod} ${r.phase}`).sort()

test('an address a pod runs with is taken by nobody but that pod, and counts as used', () => {
  const allocator = fresh()
  assert.is(allocator.reportUse(base + 1, podOf('p'))?.phase, 'reported')
  assert.is(allocator.subnetUsage('s')?.used, 1)
  assert.is(take(allocator, 'q'), base + 2)
  assert.throws(() => assign(allocator, 'q', 1, true), /held by blue\/p \(reported\)/)
  assert.is(assign(allocator, 'p', 1), base + 1)
  const [record] = allocator.ofPod('blue', 'p')
  assert.is(record?.phase, 'claimed')
  assert.is(record?.mac, 6, 'the MAC its object is written with is taken from now on')
  assert.is(allocator.macInUse(6), true)
})

test('when its object goes the address stays with the pod that runs with it, and its MAC with it', () => {
  const allocator = fresh()
  allocator.observe(view(1, 'p', 'one'))
  assert.is(allocator.reportUse(base + 1, podOf('p')), null, 'an object holds it')
  assert.is(allocator.gone('s', base + 1, { namespace: 'blue', uid: 'one' }), true)
  assert.equal(holders(allocator), ['10.0.0.1 p reported'])
  assert.is(present(allocator.ofPod('blue', 'p')[0]).mac, 0x021234000001)
  // Written, refused, and so reported again.
  assign(allocator, 'p', 1)
  allocator.abandon(present(allocator.ofPod('blue', 'p')[0]))
  assert.equal(holders(allocator), ['10.0.0.1 p reported'])
  assert.is(present(allocator.ofPod('blue', 'p')[0]).mac, 0x021234000001)
  assert.is(allocator.withdrawUse(base + 1, podOf('p'))?.address, base + 1)
  assert.equal(holders(allocator), [])
  assert.is(allocator.subnetUsage('s')?.used, 0)
})

test('any object is worth more than a report, which is not forgotten for it', () => {
  const allocator = fresh()
  allocator.reportUse(base + 1, podOf('p'))
  assert.equal(allocator.observe(view(1, 'q', 'other', { namespace: 'green' })), { kind: 'known' })
  assert.equal(holders(allocator), ['10.0.0.1 q live'])
  allocator.gone('s', base + 1, { namespace: 'green', uid: 'other' })
  assert.equal(holders(allocator), ['10.0.0.1 p reported'])
  assert.is(present(allocator.ofPod('blue', 'p')[0]).mac, 0, 'the MAC of another is not its own')
  allocator.observe(view(1, 'p', 'own', { terminating: true }))
  assert.equal(holders(allocator), ['10.0.0.1 p releasing'])
})

test('of two pods that report it the one that stays keeps it; said twice is to be taken back twice', () => {
  const allocator = fresh()
  allocator.reportUse(base + 1, podOf('p'))
  allocator.reportUse(base + 1, podOf('q'))
  allocator.reportUse(base + 1, podOf('q'))
  assert.equal(holders(allocator), ['10.0.0.1 p reported'])
  allocator.withdrawUse(base + 1, podOf('p'))
  assert.equal(holders(allocator), ['10.0.0.1 q reported'])
  assert.is(allocator.withdrawUse(base + 1, podOf('q')), null)
  assert.is(allocator.withdrawUse(base + 1, podOf('p')), null, 'once more changes nothing')
  assert.equal(holders(allocator), ['10.0.0.1 q reported'])
  allocator.withdrawUse(base + 1, podOf('q'))
  assert.equal(holders(allocator), [])
})

test('subnets may come, go and change under what is reported', () => {
  const allocator = new Allocator()
  allocator.setNetwork({ name: 'net' })
  assert.is(allocator.reportUse(base + 1, podOf('p')), null, 'no subnet could give it away')
  allocator.setSubnet(subnet)
  assert.equal(holders(allocator), ['10.0.0.1 p reported'])
  allocator.deleteSubnet('s')
  assert.equal(holders(allocator), [])
  allocator.setSubnet({ ...subnet, name: 't' })
  assert.is(take(allocator, 'q'), base + 2)
  allocator.setSubnet({ ...subnet, name: 't', start: base + 3 })
  assert.is(take(allocator, 'q'), base + 3)
  assert.is(allocator.subnetUsage('t')?.used, 1, 'outside the range it does not count')
  assert.is(assign(allocator, 'p', 1), base + 1, 'though the range was cut under it')
  allocator.withdrawUse(base + 1, podOf('p'))
  assert.ok(holders(allocator).includes('10.0.0.1 p claimed'), 'a claim is not ended by what is said')
})

type Step =
  ['take', string] | ['report' | 'withdraw' | 'seen' | 'gone' | 'abandon' | 'foreign', number, string] | ['subnet']
const step: fc.Arbitrary<Step> = fc.oneof(
  fc.tuple(fc.constant('take' as const), fc.constantFrom('p', 'q', 'r')),
  {
    weight: 6,
    arbitrary: fc.tuple(
      fc.constantFrom('report', 'withdraw', 'seen', 'gone', 'abandon', 'foreign'),
      fc.integer({ min: 1, max: 6 }),
      fc.constantFrom('p', 'q', 'r'),
    ),
  },
  fc.constant<Step>(['subnet']),
)

test('any history: an address is free exactly when no object, claim or report is of it', () => {
  fc.assert(
    fc.property(fc.array(step, { maxLength: 80 }), (steps) => {
      const allocator = fresh()
      const objects = new Map<number, string>()
      const claims = new Map<number, string>()
      const reports = new Map<number, string[]>()
      let uid = 0
      const uids = new Map<number, string>()
      for (const current of steps) {
        const [kind, at = 0, pod = ''] = current as [string, number, string]
        if (current[0] === 'take') {
          try {
            claims.set(Number(take(allocator, current[1])) - base, current[1])
          } catch (error) {
            assert.instance(error, IpamError)
            assert.is(new Set([...objects.keys(), ...claims.keys(), ...reports.keys()]).size, 6, 'not one is free')
          }
        } else if (kind === 'report') {
          allocator.reportUse(base + at, podOf(pod))
          reports.set(at, [...(reports.get(at) ?? []), pod])
        } else if (kind === 'withdraw') {
          allocator.withdrawUse(base + at, podOf(pod))
          const left = [...(reports.get(at) ?? [])]
          if (left.includes(pod)) left.splice(left.indexOf(pod), 1)
          if (left.length > 0) reports.set(at, left)
          else reports.delete(at)
        } else if ((kind === 'seen' && claims.has(at)) || (kind === 'foreign' && !claims.has(at) && !objects.has(at))) {
          const holder = claims.get(at) ?? pod
          uids.set(at, `object-${++uid}`)
          allocator.observe(view(at, holder, `object-${uid}`))
          claims.delete(at)
          objects.set(at, holder)
        } else if (kind === 'gone' && objects.has(at)) {
          allocator.gone('s', base + at, { namespace: 'blue', uid: uids.get(at) ?? '' })
          objects.delete(at)
        } else if (kind === 'abandon' && claims.has(at)) {
          allocator.abandon(present(allocator.record('s', base + at)))
          claims.delete(at)
        } else if (kind === 'subnet') {
          allocator.deleteSubnet('s')
          allocator.setSubnet(subnet)
        }
        const truth = [1, 2, 3, 4, 5, 6].flatMap((index) => {
          const [first] = reports.get(index) ?? []
          const text = objects.has(index)
            ? `${objects.get(index) ?? ''} live`
            : claims.has(index)
              ? `${claims.get(index) ?? ''} claimed`
              : first === undefined
                ? null
                : `${first} reported`
          return text === null ? [] : [`10.0.0.${index} ${text}`]
        })
        assert.equal(holders(allocator), truth, `after ${current.join(' ')}`)
        assert.is(allocator.subnetUsage('s')?.used, truth.length)
        assert.is(allocator.networkUsage('net')?.ipv4.used, truth.length)
      }
    }),
    { numRuns: 300 },
  )
})

test.run()
