// Rules of pods (api.md §4.3) and what is written on them (§4.4).
import { test } from 'uvu'
import * as assert from 'uvu/assert'
import { resolveWishes, wishesOf, type Pod } from '../../../lib/api/index.ts'
import { ownConfiguration } from '../../../lib/manager/decide/configuration.ts'
import type { PatchOperation } from '../../../lib/webhook/decision.ts'
import { mutatePod } from '../../../lib/webhook/rules/mutate.ts'
import { namedObjects, validatePod, type PodRuleOptions } from '../../../lib/webhook/rules/pod.ts'
import { accepts, holder, N, network, pod, refuses, subnet, World } from './world.ts'

const options: PodRuleOptions = {
  networkType: 'Underlay',
  ipFamily: 'IPv4Only',
  ipRetain: true,
  statefulKinds: ['StatefulSet'],
  virtualMachines: true,
}
const some = { total: 9, used: 1, available: 8 }
const none = { total: 9, used: 9, available: 0 }
const networkList = [
  network('under', { type: 'Underlay', nodeSelector: { rack: 'a' } }),
  network('over', { type: 'Overlay', netID: 4 }, { statistics: some, ipv6Statistics: none, dualStackStatistics: none }),
]
const subnetList = [
  subnet('under4', 'under', { cidr: '10.1.0.0/24', gateway: '10.1.0.1' }),
  subnet('over4', 'over', { cidr: '10.0.0.0/24', excludeIPs: ['10.0.0.9'] }, {}, some),
  subnet('full4', 'over', { cidr: '10.2.0.0/24' }, {}, none),
  subnet('over6', 'over', { version: '6', cidr: 'fd00::/120' }),
]
const world = (parts: Partial<World> = {}): World => new World({ networkList, subnetList, ...parts })
const validate = (one: Pod, parts: Partial<World> = {}): ReturnType<typeof validatePod> =>
  validatePod(one, 'default', world(parts), options)
const field = (key: string, value: string): string => `metadata.annotations[${N}${key}] is ${JSON.stringify(value)}`

test('good pods are accepted', async () => {
  for (const [texts, spec, owner] of [
    [{}],
    [{ 'specified-network': 'nowhere' }, { hostNetwork: true }],
    [{ 'network-type': 'overlay' }],
    [{ 'specified-subnet': 'over4' }],
    [{ 'specified-subnet': 'over4/over6', 'ip-family': 'DualStack' }],
    [{ 'specified-network': 'over', 'ip-pool': '10.0.0.5,10.0.0.6' }, {}, 'StatefulSet'],
    [{ 'specified-network': 'over', 'ip-pool': '10.0.0.5/fd00::5,10.0.0.6/fd00::6', 'ip-family': 'dualstack' }],
    [{ 'mac-pool': '02:12:34:00:00:01,02-12-34-00-00-02' }],
  ] as readonly [Record<string, string>, object?, string?][]) {
    accepts(await validate(pod(texts, spec, owner ?? null)), JSON.stringify(texts))
  }
})

test('what a pod asks for must exist and agree', async () => {
  for (const [texts, ...parts] of [
    [{ 'specified-network': 'gone' }, field('specified-network', 'gone'), 'does not exist', 'name an existing Network'],
    [{ 'specified-subnet': 'gone' }, field('specified-subnet', 'gone'), 'does not exist', 'name one Subnet'],
    [{ 'specified-subnet': 'a/b/c' }, field('specified-subnet', 'a/b/c'), 'at most 2', 'V4NAME/V6NAME'],
    [{ 'specified-subnet': 'over6/over4' }, field('specified-subnet', 'over6/over4'), 'IPv4 subnet first', 'V4NAME'],
    [{ 'specified-subnet': 'under4/over6' }, field('specified-subnet', 'under4/over6'), 'different networks', 'of one'],
    [{ 'specified-network': 'under', 'specified-subnet': 'over4' }, field('specified-subnet', 'over4'), 'not in "under"', 'of one Network'], // prettier-ignore
    [{ 'specified-network': 'over', 'network-type': 'Underlay' }, field('network-type', 'Underlay'), 'of type Overlay', 'leave the annotation out'], // prettier-ignore
    [{ 'network-type': 'Sideways' }, field('network-type', 'Sideways'), 'none of Underlay', 'use Underlay, Overlay'],
    [{ 'ip-family': 'IPv5' }, field('ip-family', 'IPv5'), 'none of IPv4', 'use IPv4, IPv6 or DualStack'],
    [
      { 'specified-subnet': 'over6' },
      field('specified-subnet', 'over6'),
      'ip-family is IPv4Only',
      'name an IPv4 subnet',
    ],
    [{ 'specified-subnet': 'over4', 'ip-family': 'DualStack' }, field('specified-subnet', 'over4'), 'an IPv4 subnet', 'an IPv4 and an IPv6 subnet'], // prettier-ignore
    [{ 'network-type': 'GlobalBGP' }, field('network-type', 'GlobalBGP'), 'no Network of type GlobalBGP', 'create one'],
    [{ 'network-type': 'Overlay', 'ip-family': 'IPv6' }, field('network-type', 'Overlay'), 'no IPv6Only address left', 'add a Subnet'], // prettier-ignore
    [
      { 'specified-network': 'over', 'ip-family': 'DualStack' },
      field('specified-network', 'over'),
      'no DualStack',
      'add',
    ],
    [{ 'specified-subnet': 'full4' }, field('specified-subnet', 'full4'), 'no address left', 'name another Subnet'],
  ] as readonly [Record<string, string>, ...string[]][]) {
    refuses(await validate(pod(texts)), ...parts)
  }
})

test('pools: every entry by itself, within the network', async () => {
  const over = { 'specified-network': 'over' }
  for (const [texts, ...parts] of [
    [{ 'ip-pool': '10.0.0.5' }, field('ip-pool', '10.0.0.5'), 'within a network', 'specified-network'],
    [{ ...over, 'ip-pool': '10.0.0.5,,10.0.0.6' }, 'entry 1', 'empty', 'one entry per pod'],
    [{ ...over, 'ip-pool': '10.0.0.5,x' }, field('ip-pool', '10.0.0.5,x'), 'entry 1: "x"', 'one entry per pod'],
    [{ ...over, 'ip-pool': '10.0.0.5,10.0.0.5' }, 'entry 1', 'repeats', 'one entry per pod'],
    [{ ...over, 'ip-pool': 'fd00::5/10.0.0.5' }, 'neither one address nor IPv4/IPv6', 'one entry per pod'],
    [{ ...over, 'ip-pool': 'fd00::5' }, 'does not fit the ip-family IPv4Only', 'one IPv4 address'],
    [{ ...over, 'ip-pool': '10.1.0.5' }, '10.1.0.5 is not an address to assign of network over', 'not excluded'],
    [{ ...over, 'ip-pool': '10.0.0.9' }, '10.0.0.9 is not an address', 'not excluded'],
    [{ 'specified-subnet': 'over4', 'ip-pool': '10.2.0.5' }, 'of subnet over4', 'use addresses of its Subnets'],
    [{ 'specified-network': 'under', 'ip-pool': '10.1.0.1' }, '10.1.0.1 is not an address', 'no gateway'],
    [{ 'mac-pool': '02:12:34:00:00:01,' }, 'mac-pool] is', 'entry 1 of the mac pool is empty', 'one unicast MAC'],
    [{ 'mac-pool': 'x' }, field('mac-pool', 'x'), 'entry 0', 'for example 02:12:34'],
    [{ 'mac-pool': '01:00:5e:00:00:01' }, 'mac-pool] is', 'multicast', 'one unicast MAC'],
  ] as readonly [Record<string, string>, ...string[]][]) {
    refuses(await validate(pod(texts)), ...parts)
  }
})

test('addresses kept for a stateful pod', async () => {
  const kept = { holders: [holder('10.0.0.5', 'web-0')] }
  const set = (texts: Record<string, string>): Pod => pod(texts, {}, 'StatefulSet')
  refuses(await validate(set({ 'specified-network': 'under' }), kept), field('specified-network', 'under'), 'default/web-0 (10.0.0.5)', 'of network over', 'ip-retain to "false"') // prettier-ignore
  refuses(await validate(set({ 'specified-subnet': 'full4' }), kept), field('specified-subnet', 'full4'), 'of subnet over4', 'delete the IPInstances') // prettier-ignore
  accepts(await validate(set({ 'specified-subnet': 'over4' }), kept))
  accepts(await validate(set({ 'specified-network': 'under', 'ip-retain': 'false' }), kept), 'given up')
  accepts(await validate(set({ 'specified-network': 'under', 'ip-pool': '10.1.0.5' }), kept), 'a pool wins')
  accepts(await validate(pod({ 'specified-network': 'under' }), kept), 'another plain pod of the name')
  accepts(await validate(set({ 'specified-network': 'under' }), { holders: [holder('10.0.0.5', 'web-0', {}, true)] }))
  const full = { ...kept, networkList: [network('over', { type: 'Overlay', netID: 4 }, { statistics: none })] }
  accepts(await validate(set({ 'specified-network': 'over' }), full), 'a full network takes back what it gave')
  refuses(await validate(pod({ 'specified-network': 'over' }), full), 'no IPv4Only address left')
})

const mutate = (one: Pod, parts: Partial<World> = {}): ReturnType<typeof mutatePod> =>
  mutatePod(one, 'default', world(parts), options)
const at = (patch: readonly PatchOperation[], path: string): unknown => patch.find((one) => one.path === path)?.value
const plain = (texts: Record<string, string> | null, spec: object = {}): Pod => {
  const made = pod(texts ?? {}, spec)
  return texts === null ? { ...made, metadata: { name: 'web-0', namespace: 'default' } } : made
}

test('mutation: the example of the contract', async () => {
  const { decision, patch } = await mutate(plain(null))
  accepts(decision)
  assert.equal(patch, [
    {
      op: 'add',
      path: '/metadata/annotations',
      value: { [`${N}network-type`]: 'Underlay', [`${N}ip-family`]: 'IPv4Only', [`${N}handled-by-webhook`]: 'true' },
    },
    {
      op: 'add',
      path: '/spec/nodeSelector',
      value: { [`${N}underlay-network-attachment`]: 'true', [`${N}ipv4-address-quota`]: 'nonempty' },
    },
  ])
})

test('mutation: node selectors by type and family', async () => {
  const selector = async (texts: Record<string, string>, owner: string | null, parts: Partial<World> = {}) =>
    at((await mutate(pod(texts, {}, owner), parts)).patch, '/spec/nodeSelector')
  assert.equal(await selector({ 'specified-network': 'under', 'ip-family': 'ipv6' }, null), { rack: 'a', [`${N}ipv6-address-quota`]: 'nonempty' }) // prettier-ignore
  assert.equal(await selector({ 'ip-family': 'DualStack' }, null), { [`${N}underlay-network-attachment`]: 'true', [`${N}dualstack-address-quota`]: 'nonempty' }) // prettier-ignore
  assert.equal(await selector({ 'network-type': 'Overlay' }, null), { [`${N}overlay-network-attachment`]: 'true' })
  assert.equal(await selector({ 'network-type': 'globalbgp' }, null), { [`${N}bgp-network-attachment`]: 'true' })
  const kept = { holders: [holder('10.1.0.5', 'web-0', { network: 'under' })] }
  assert.equal(await selector({}, 'StatefulSet', kept), { rack: 'a' }, 'its address is there: no quota needed')
  const { patch } = await mutate(pod({}, { nodeName: 'n1' }))
  assert.not(
    patch.some((one) => one.path.startsWith('/spec')),
    'a pod on its node already',
  )
})

test('mutation: keys are escaped, what is right stays, what is overwritten is told', async () => {
  const one = pod(
    { 'network-type': 'overlay', other: 'x' },
    { nodeSelector: { [`${N}overlay-network-attachment`]: 'no' } },
  )
  const { decision, patch } = await mutate(one)
  assert.equal(patch.map(({ op, path }) => `${op} ${path}`).sort(), [
    'add /metadata/annotations/networking.alibaba.com~1handled-by-webhook',
    'add /metadata/annotations/networking.alibaba.com~1ip-family',
    'replace /metadata/annotations/networking.alibaba.com~1network-type',
    'replace /spec/nodeSelector/networking.alibaba.com~1overlay-network-attachment',
  ])
  assert.match(decision.allowed ? decision.warnings.join() : '', /was "no" and is now "true"/)
})

test('mutation: the namespace is asked when pod says nothing; retained addresses before both', async () => {
  const namespaces = { default: { network: '', subnet: 'over4/over6', type: '', family: 'dualstack' } }
  const annotations = async (one: Pod, parts: Partial<World>): Promise<Record<string, unknown>> =>
    Object.fromEntries((await mutate(one, parts)).patch.map(({ path, value }) => [path.split('~1')[1] ?? path, value]))
  const inherited = await annotations(pod(), { namespaces })
  assert.is(inherited['specified-network'], 'over')
  assert.is(inherited['specified-subnet'], 'over4/over6')
  assert.is(inherited['ip-family'], 'DualStack')
  const own = await annotations(pod({ 'ip-family': 'IPv4' }), { namespaces })
  assert.is(own['specified-network'], undefined, 'all or nothing')
  const kept = { namespaces, holders: [holder('10.1.0.5', 'web-0', { network: 'under' })] }
  const back = await annotations(pod({ 'specified-network': 'over' }, {}, 'StatefulSet'), kept)
  assert.is(back['specified-network'], 'under')
  assert.is(back['network-type'], 'Underlay')
})

test('mutation: mistakes are refused, also the namespace’s and those of kept addresses', async () => {
  const wrong = { default: { network: 'gone', subnet: '', type: '', family: '' } }
  refuses((await mutate(pod(), { namespaces: wrong })).decision, 'specified-network', 'namespace "default"', 'name an')
  refuses((await mutate(pod({ 'ip-family': 'x' }))).decision, field('ip-family', 'x'), 'use IPv4')
  const two = { holders: [holder('10.0.0.5', 'web-0'), holder('10.0.0.6', 'web-0')] }
  refuses((await mutate(pod({}, {}, 'StatefulSet'), two)).decision, '2 addresses are kept', 'delete the IPInstances')
  try {
    await mutate(pod(), { namespaces: {} })
    assert.unreachable('a namespace that cannot be read')
  } catch (error) {
    assert.match(String(error), /namespace "default" cannot be read/)
  }
})

const launcher = (texts: Record<string, string> = {}, apiVersion = 'kubevirt.io/v1'): Pod => {
  const made = pod(texts)
  const owner = { apiVersion, kind: 'VirtualMachineInstance', name: 'vm1', uid: 'run', controller: true }
  return { ...made, metadata: { ...made.metadata, name: 'virt-launcher-vm1-x', ownerReferences: [owner] } }
}
const machine = { apiVersion: 'kubevirt.io/v1', kind: 'VirtualMachine', name: 'vm1', uid: 'vm', controller: true }
const kept = [holder('10.1.0.5', '', { network: 'under', subnet: 'under4', node: '' })]

test('VMIPRetain: pods of a VirtualMachine go where its addresses are, with the gate only', async () => {
  const parts = { machine, machineHolders: { vm1: kept } }
  const annotations = async (one: Pod, more: Partial<World>, gate = true): Promise<string> => {
    const rules = { ...options, virtualMachines: gate, networkType: 'Overlay' as const }
    const { decision, patch } = await mutatePod(one, 'default', world(more), rules)
    accepts(decision)
    const named = at(patch, '/metadata/annotations/networking.alibaba.com~1specified-network') as string | undefined
    return `${named ?? 'none'} ${JSON.stringify(at(patch, '/spec/nodeSelector'))}`
  }
  const overlay = `none {"${N}overlay-network-attachment":"true"}`
  assert.is(await annotations(launcher(), parts), 'under {"rack":"a"}', 'no quota: the address is there')
  assert.is(await annotations(launcher(), parts, false), overlay, 'the gate is off')
  assert.is(await annotations(launcher(), { ...parts, machine: null }), overlay, 'no VirtualMachine, or no KubeVirt')
  assert.is(await annotations(launcher({}, 'example.io/v1'), parts), overlay, "another group's kind (D59)")
  const going = kept.map((one) => ({ ...one, terminating: true }))
  assert.is(await annotations(launcher(), { machine, machineHolders: { vm1: going } }), overlay)
})

test('VMIPRetain: what contradicts the addresses of the VirtualMachine is refused', async () => {
  const parts = { machine, machineHolders: { vm1: kept } }
  refuses(await validate(launcher({ 'specified-network': 'over' }), parts), field('specified-network', 'over'), '10.1.0.5, reserved', 'of network under', 'IPInstances of the VirtualMachine') // prettier-ignore
  refuses(await validate(launcher({ 'specified-subnet': 'over4', 'specified-network': 'over' }), parts), 'of network under') // prettier-ignore
  accepts(await validate(launcher({ 'specified-network': 'under' }), parts))
  accepts(await validate(launcher({ 'specified-network': 'over' }), { ...parts, machine: null }))
  // A full network takes back what it gave.
  const full = {
    machine,
    machineHolders: { vm1: [holder('10.0.0.5', '', { node: '' })] },
    networkList: [network('over', { type: 'Overlay', netID: 4 }, { statistics: none })],
  }
  accepts(await validate(launcher({ 'specified-network': 'over' }), full))
  refuses(await validate(launcher({ 'specified-network': 'over' }), { ...full, machine: null }), 'no IPv4Only address')
})

test('mutation: host-network pods tolerate a node without network, once', async () => {
  const value = { key: 'node.kubernetes.io/network-unavailable', operator: 'Exists', effect: 'NoSchedule' }
  const patch = async (tolerations?: object[]): Promise<readonly PatchOperation[]> =>
    (await mutate(pod({}, { hostNetwork: true, ...(tolerations ? { tolerations } : {}) }))).patch
  assert.equal(await patch(), [{ op: 'add', path: '/spec/tolerations', value: [value] }])
  assert.equal(await patch([{ key: 'x' }]), [{ op: 'add', path: '/spec/tolerations/-', value }])
  assert.equal(await patch([value]), [])
  assert.is((await patch([{ ...value, effect: 'NoExecute' }])).length, 1)
})

test('admission and manager read the same pods alike', async () => {
  const topology = await world().topology()
  const objects = namedObjects(topology)
  const around = {
    ...objects,
    network: (name: string) => {
      const found = objects.network(name)
      return found === null ? null : { name, type: found.type, hasNode: true }
    },
    networkOfType: (type: string) => ({ Underlay: 'under', Overlay: 'over' })[type] ?? null,
    bgpAttached: true,
  }
  let refused = 0
  for (const network of ['', 'under', 'over', 'gone'])
    for (const subnets of ['', 'over4', 'over4/over6', 'under4', 'gone'])
      for (const type of ['', 'Overlay', 'underlay', 'x'])
        for (const family of ['', 'IPv6', 'x']) {
          const wishes = wishesOf(pod({ 'specified-network': network, 'specified-subnet': subnets, 'network-type': type, 'ip-family': family })) // prettier-ignore
          const ours = resolveWishes(wishes, null, null, options, objects)
          const theirs = ownConfiguration(wishes, null, null, options, around)
          assert.is(ours.error, theirs.error, JSON.stringify(wishes))
          if (ours.value === null) refused++
          else assert.is(ours.value.family, theirs.value?.family)
        }
  assert.ok(refused > 20 && refused < 240, String(refused))
})

test.run()
