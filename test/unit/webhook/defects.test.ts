// The defects of the original's admission (api.md §7.1), each with a test that fails on its behaviour. Where two requests at once
// or the API server are needed, the test of that name is in test/node/webhook.
import { test } from 'uvu'
import * as assert from 'uvu/assert'
import type { Pod } from '../../../lib/api/index.ts'
import { mutatePod } from '../../../lib/webhook/rules/mutate.ts'
import { createNetwork, deleteNetwork, updateNetwork } from '../../../lib/webhook/rules/network.ts'
import { validatePod, type PodRuleOptions } from '../../../lib/webhook/rules/pod.ts'
import { checkRemoteCluster, createRemoteSubnet } from '../../../lib/webhook/rules/remote.ts'
import { createSubnet, deleteSubnet, updateSubnet } from '../../../lib/webhook/rules/subnet.ts'
import { accepts, holder, N, network, pod, refuses, subnet, World } from './world.ts'

const options: PodRuleOptions = {
  networkType: 'Overlay',
  ipFamily: 'IPv4Only',
  ipRetain: true,
  statefulKinds: ['StatefulSet'],
  virtualMachines: true,
}
const some = { total: 9, used: 1, available: 8 }
const none = { total: 9, used: 9, available: 0 }
const over = network('over', { type: 'Overlay', netID: 4 }, { statistics: some, ipv6Statistics: some, dualStackStatistics: some }) // prettier-ignore
const bgp = {
  type: 'Underlay',
  mode: 'BGP',
  netID: 65000,
  nodeSelector: { rack: 'a' },
  config: { bgpPeers: [{ asn: 65001, address: '192.0.2.1' }] },
}
const world = (parts: Partial<World> = {}): World =>
  new World({
    networkList: [over],
    subnetList: [subnet('over4', 'over', { cidr: '10.0.0.0/24' }, {}, some)],
    ...parts,
  })
const validate = (one: Pod, parts: Partial<World> = {}): ReturnType<typeof validatePod> =>
  validatePod(one, 'default', world(parts), options)
const rules = { multiCluster: true, capacityLimit: 0 }
const createBeside = (range: object, other: object): ReturnType<typeof createSubnet> =>
  createSubnet(subnet('new', 'over', range), world({ subnetList: [subnet('old', 'over', other)] }), rules)

test('7.1 H pool syntax: an ip-pool with several dual-stack entries is taken, each entry is looked at by itself', async () => {
  const both = { subnetList: [subnet('o4', 'over', { cidr: '10.0.0.0/24' }), subnet('o6', 'over', { version: '6', cidr: 'fd00::/120' })] } // prettier-ignore
  const pool = (text: string): Pod => pod({ 'specified-network': 'over', 'ip-family': 'DualStack', 'ip-pool': text }, {}, 'StatefulSet') // prettier-ignore
  accepts(await validate(pool('10.0.0.5/fd00::5,10.0.0.6/fd00::6,10.0.0.7/fd00::7'), both))
  refuses(await validate(pool('10.0.0.5/fd00::5,fd00::6/10.0.0.6'), both), 'entry 1')
  refuses(await validate(pool('10.0.0.5/fd00::5,10.0.0.6/fd00:1::6'), both), 'fd00:1::6 is not an address to assign')
  refuses(await validate(pool('10.0.0.5/fd00::5,10.0.0.5/fd00::6'), both), 'repeats')
})

test('7.1 H BGP UPDATE: no config, AS 0 and overlapping selectors are refused, and nothing throws', async () => {
  const nodeList = [{ name: 'n1', labels: { rack: 'b' }, terminating: false }]
  const other = network('other', { type: 'Underlay', nodeSelector: { rack: 'b' } })
  const update = (spec: object): ReturnType<typeof updateNetwork> =>
    updateNetwork(network('b', bgp), network('b', spec), new World({ nodeList, networkList: [other] }))
  refuses(await update({ ...bgp, config: undefined }), 'spec.config.bgpPeers is missing', 'at least one peer')
  refuses(await update({ ...bgp, config: { bgpPeers: [{ asn: 0, address: '192.0.2.1' }] } }), 'asn is 0')
  refuses(await update({ ...bgp, nodeSelector: { rack: 'b' } }), 'node "n1", which belongs to', '"other"')
  accepts(await update({ ...bgp, nodeSelector: { rack: 'c' } }))
})

test('7.1 H intersection: a /64 costs what a /24 does, and what cannot be read is refused', async () => {
  const v6 = { version: '6', cidr: 'fd00::/48' }
  refuses(await createBeside({ version: '6', cidr: 'fd00::/64' }, v6), 'different CIDRs')
  accepts(await createBeside({ ...v6, start: 'fd00::8000:0:0:0:1' }, { ...v6, end: 'fd00::8000:0:0:0:0' }))
  refuses(await createBeside({ cidr: '10.0.0.0/8' }, { cidr: '10.0.0.0/8', end: '10.0.0.9' }), 'both hold')
  const remote = { metadata: { name: 'peer.s' }, spec: { range: { version: '4', cidr: 'x' }, networkType: 'Overlay', clusterName: 'peer' } } // prettier-ignore
  refuses(await createRemoteSubnet(remote, world()), 'spec.range.cidr is "x"')
})

test('7.1 H version: it must be that of the CIDR, with a gateway or without, also on UPDATE', async () => {
  const create = createSubnet(subnet('s', 'over', { version: '6', cidr: '10.9.0.0/24' }), world(), rules)
  refuses(await create, 'spec.range.version is "6"', 'expected "4"')
  const [before, after] = [subnet('s', 'over', { cidr: '10.9.0.0/24' }), subnet('s', 'over', { version: '6', cidr: '10.9.0.0/24' })] // prettier-ignore
  refuses(await updateSubnet(before, after, world(), rules), 'spec.range.version is "6"')
})

test('7.1 M overlap: an excluded boundary or a gateway at one hides nothing', async () => {
  const cidr = '10.1.0.0/24'
  const old = { cidr, start: '10.1.0.10', end: '10.1.0.20', excludeIPs: ['10.1.0.10', '10.1.0.20'] }
  refuses(await createBeside({ cidr, start: '10.1.0.5', end: '10.1.0.30' }, old), 'subnets new and old both hold')
  const gateways = { cidr, start: '10.1.0.10', end: '10.1.0.20', gateway: '10.1.0.10' }
  refuses(await createBeside({ ...gateways, start: '10.1.0.11', end: '10.1.0.12' }, gateways), 'both hold')
  accepts(await createBeside({ cidr, start: '10.1.0.10', end: '10.1.0.10' }, old), 'what is excluded there')
})

test('7.1 M text: another spelling of a CIDR or an address is the same', async () => {
  const [upper, lower] = [
    { version: '6', cidr: 'FD00::/64' },
    { version: '6', cidr: 'fd00::/64' },
  ]
  const low = { ...lower, end: 'fd00::ff' }
  accepts(await createBeside({ ...upper, start: 'FD00::100' }, low), 'one CIDR, ranges apart')
  const before = subnet('s', 'over', { ...lower, excludeIPs: ['fd00::1'] })
  const after = subnet('s', 'over', { ...upper, excludeIPs: ['FD00:0::0001'] })
  accepts(await updateSubnet(before, after, world(), rules), 'nothing has changed')
  const held = { holders: [holder('fd00-0-0-0-0-0-0-5', 'web-0', { subnet: 's' })] }
  const excluded = subnet('s', 'over', { ...lower, excludeIPs: ['FD00::0005'] })
  refuses(await updateSubnet(before, excluded, world(held), rules), 'default/web-0 (fd00::5)')
})

test('7.1 M netID: VLAN ids, VNIs and AS numbers have their ranges', async () => {
  const vlan = { type: 'Underlay', nodeSelector: { a: 'b' } }
  for (const [spec, ok] of [
    [{ ...vlan, netID: 0 }, true],
    [{ ...vlan, netID: 4094 }, true],
    [{ ...vlan, netID: 4095 }, false],
    [{ ...vlan, netID: -1 }, false],
    [{ type: 'Overlay', netID: 1 }, true],
    [{ type: 'Overlay', netID: 2 ** 24 - 1 }, true],
    [{ type: 'Overlay', netID: 0 }, false],
    [{ type: 'Overlay', netID: 2 ** 24 }, false],
    [{ ...bgp, netID: 1 }, true],
    [{ ...bgp, netID: 0 }, false],
  ] as const) {
    const decision = await createNetwork(network('x', spec), new World())
    if (ok) accepts(decision, JSON.stringify(spec))
    else refuses(decision, `spec.netID is ${spec.netID}`, 'expected')
  }
})

test('7.1 M rule 7: a stateful pod that gives its address up may move to another Network', async () => {
  const kept = { holders: [holder('10.0.0.5', 'web-0', { network: 'other' })] }
  const set = (texts: Record<string, string>): Pod => pod({ 'specified-network': 'over', ...texts }, {}, 'StatefulSet')
  refuses(await validate(set({}), kept), 'of network other, not of over', 'ip-retain to "false"')
  accepts(await validate(set({ 'ip-retain': 'false' }), kept))
})

test('7.1 M rule 17: addresses that come back need no free one; free ones of private Subnets do not count', async () => {
  const full = network('over', { type: 'Overlay', netID: 4 }, { statistics: none })
  const kept = { networkList: [full], holders: [holder('10.0.0.5', 'web-0')] }
  accepts(await validate(pod({}, {}, 'StatefulSet'), kept))
  refuses(await validate(pod(), { networkList: [full] }), 'no IPv4Only address left', 'add a Subnet')
  const secret = subnet('secret', 'over', { cidr: '10.2.0.0/24' }, { config: { private: true } }, some)
  const open = (status: object): Partial<World> => ({ subnetList: [secret, subnet('o', 'over', { cidr: '10.0.0.0/24' }, {}, status)] }) // prettier-ignore
  refuses(await validate(pod(), open(none)), 'only in private Subnets', 'name one by')
  accepts(await validate(pod(), open(some)))
  accepts(await validate(pod(), open({})), 'a Subnet without numbers yet')
  accepts(await validate(pod({ 'specified-subnet': 'secret' }), open(none)), 'a private one that is named')
})

test('7.1 M subnets and family: their number and kind are checked; a wrong type is a refusal, no error', async () => {
  const six = subnet('over6', 'over', { version: '6', cidr: 'fd00::/120' })
  refuses(await validate(pod({ 'specified-subnet': 'over4', 'ip-family': 'DualStack' })), 'it names an IPv4 subnet, but the ip-family is DualStack') // prettier-ignore
  refuses(await validate(pod({ 'specified-subnet': 'over6' }), { subnetList: [six] }), 'ip-family is IPv4Only')
  refuses(await validate(pod({ 'specified-network': 'over', 'network-type': 'Underlay' })), 'of type Overlay')
})

test('7.1 M mutation: only our keys are touched, whatever else the pod has', async () => {
  const odd = { fieldOfTomorrow: { a: [1] }, nodeSelector: { mine: 'yes' }, containers: [{ name: 'x', alsoNew: true }] }
  const { patch } = await mutatePod(pod({ mine: 'yes' }, odd), 'default', world(), options)
  for (const { op, path } of patch) {
    assert.match(path, /^\/(metadata\/annotations|spec\/nodeSelector)\/networking\.alibaba\.com~1/)
    assert.is(op, 'add')
  }
})

test('7.1 M mutation: an overwritten node selector is told; a pod on its node already gets none', async () => {
  const key = `${N}overlay-network-attachment`
  const { decision } = await mutatePod(pod({}, { nodeSelector: { [key]: 'never' } }), 'default', world(), options)
  assert.match(decision.allowed ? decision.warnings.join() : '', /was "never" and is now "true"/)
  const bound = await mutatePod(pod({}, { nodeName: 'n1' }), 'default', world(), options)
  assert.not(bound.patch.some(({ path }) => path.startsWith('/spec')))
})

test('7.1 M trust: handled-by-webhook and what a user wrote with it is worked out anew', async () => {
  const forged = pod({ 'handled-by-webhook': 'true', 'network-type': 'Overlay', 'ip-family': 'dualstack' })
  const { patch } = await mutatePod(forged, 'default', world(), options)
  const at = (key: string): unknown => patch.find(({ path }) => path.endsWith(`~1${key}`))?.value
  assert.is(at('ip-family'), 'DualStack')
  const gone = await mutatePod(pod({ 'handled-by-webhook': 'true', 'specified-network': 'gone' }), 'default', world(), options) // prettier-ignore
  refuses(gone.decision, 'specified-network] is "gone"', 'does not exist')
})

test('7.1 M levels: a pod that asks for one thing takes nothing from its namespace', async () => {
  const namespaces = { default: { network: 'gone', subnet: '', type: '', family: '' } }
  accepts((await mutatePod(pod({ 'ip-family': 'IPv4' }), 'default', world({ namespaces }), options)).decision)
  refuses((await mutatePod(pod(), 'default', world({ namespaces }), options)).decision, 'namespace "default"')
})

test('7.1 L RemoteCluster: single-label hosts, IPv6 literals and no port are taken, plain http is not', () => {
  const spec = { caData: 'x', certData: 'x', keyData: 'x' }
  const check = (apiEndpoint: string): ReturnType<typeof checkRemoteCluster> =>
    checkRemoteCluster(null, { metadata: { name: 'peer' }, spec: { ...spec, apiEndpoint } })
  for (const good of ['https://api:6443', 'https://[fd00::1]:6443', 'https://api.example']) accepts(check(good), good)
  refuses(check('http://10.0.0.1:6443'), 'spec.apiEndpoint is "http://10.0.0.1:6443"', 'such as https://')
})

test('7.1 L names: what becomes a label value fits one, and a RemoteCluster has no dot', async () => {
  const long = 'n'.repeat(64)
  refuses(await createNetwork(network(long, { type: 'Overlay', netID: 4 }), new World()), 'metadata.name', 'at most 63')
  refuses(await createSubnet(subnet(long, 'over', { cidr: '10.0.0.0/24' }), world(), rules), 'at most 63')
  refuses(checkRemoteCluster(null, { metadata: { name: 'a.b' } }), 'metadata.name is "a.b"', 'without dots')
})

test('7.1 L bounds: a range that holds nothing, and two BGP peers that both route, are refused', async () => {
  const cidr = '10.9.0.0/24'
  const create = (range: object): ReturnType<typeof createSubnet> =>
    createSubnet(subnet('s', 'over', { cidr, ...range }), world(), rules)
  refuses(await create({ start: '10.9.0.255' }), 'spec.range.start is "10.9.0.255"', 'expected')
  const peers = ['192.0.2.1', '192.0.2.2'].map((address) => ({ asn: 65001, address }))
  refuses(await createNetwork(network('b', { ...bgp, config: { bgpPeers: peers } }), new World()), 'at most one peer')
})

test('stranded pods: a Network that is deleted or leaves nodes is refused with them, whatever its Subnets and status say', async () => {
  const held = [holder('10.0.0.5', 'web-0', { node: 'n1' })]
  refuses(await deleteNetwork(over, new World({ holders: held }), false), 'metadata.name is "over"', 'default/web-0 (10.0.0.5)', 'delete') // prettier-ignore
  const nodeList = [{ name: 'n1', labels: { rack: 'a' }, terminating: false }]
  const global = network('global', { type: 'GlobalBGP' })
  const update = (holders: World['holders']): ReturnType<typeof updateNetwork> => {
    const parts = { nodeList, networkList: [global], holders }
    return updateNetwork(network('b', bgp), network('b', { ...bgp, nodeSelector: { rack: 'z' } }), new World(parts))
  }
  // The status does not list the node yet.
  refuses(await update([holder('10.5.0.5', 'web-1', { node: 'n1', network: 'b' })]), 'spec.nodeSelector', 'n1', 'default/web-1 (10.5.0.5)', 'drain') // prettier-ignore
  refuses(await update([holder('10.6.0.5', 'api', { node: 'n1', network: 'global' })]), 'spec.nodeSelector', 'default/api (10.6.0.5)', 'drain') // prettier-ignore
  accepts(await update([holder('10.6.0.5', 'api', { node: 'n2', network: 'global' })]))
  refuses(
    await deleteSubnet(subnet('over4', 'over', { cidr: '10.0.0.0/24' }), world({ holders: held })),
    'default/web-0',
  )
})

test.run()
