// Rules of Networks (api.md §4.2.1): each accepts and refuses, and a refusal names the field, the value and the way out.
import { test } from 'uvu'
import { createNetwork, deleteNetwork, updateNetwork } from '../../../lib/webhook/rules/network.ts'
import { accepts, holder, network, refuses, subnet, World } from './world.ts'

const peer = { asn: 65001, address: '192.0.2.1' }
const under = { type: 'Underlay', mode: 'VLAN', nodeSelector: { rack: 'a' } }
const bgp = { type: 'Underlay', mode: 'BGP', netID: 65000, nodeSelector: { rack: 'a' }, config: { bgpPeers: [peer] } }
const over = { type: 'Overlay', netID: 4 }
const nodes = [
  { name: 'n1', labels: { rack: 'a' }, terminating: false },
  { name: 'n2', labels: { rack: 'b' }, terminating: false },
]
const create = (spec: object, world = new World()): ReturnType<typeof createNetwork> =>
  createNetwork(network('new', spec), world)

test('good Networks of every type and mode are accepted', async () => {
  for (const spec of [under, { ...under, type: '' }, bgp, over, { type: 'GlobalBGP' }, { ...over, mode: 'VXLAN' }]) {
    accepts(await create(spec, new World({ nodeList: nodes })), JSON.stringify(spec))
  }
})

test('a single Network must be right in itself', async () => {
  for (const [spec, ...parts] of [
    [{ type: 'Underlay' }, 'spec.nodeSelector is missing', 'labels of the nodes'],
    [{ ...over, nodeSelector: { a: 'b' } }, 'spec.nodeSelector is {"a":"b"}', 'expected nothing, in type Overlay'],
    [{ type: 'Overlay' }, 'spec.netID is missing', 'a VNI from 1 to 16777215'],
    [{ ...over, netID: -4 }, 'spec.netID is -4', 'a VNI from 1'],
    [{ type: 'GlobalBGP', nodeSelector: { a: 'b' } }, 'spec.nodeSelector is', 'in type GlobalBGP'],
    [{ type: 'GlobalBGP', netID: 4 }, 'spec.netID is 4', 'expected nothing'],
    [{ type: 'Sideways' }, 'spec.type is "Sideways"', 'Underlay, Overlay, GlobalBGP'],
    [{ ...over, mode: 'BGP' }, 'spec.mode is "BGP"', 'expected VXLAN, in type Overlay'],
    [{ ...over, mode: 'VLAN' }, 'spec.mode is "VLAN"', 'expected VXLAN'],
    [{ ...under, mode: 'VXLAN' }, 'spec.mode is "VXLAN"', 'expected VLAN or BGP'],
    [{ ...under, mode: 'GlobalBGP' }, 'spec.mode is "GlobalBGP"', 'expected VLAN or BGP'],
    [{ ...under, mode: 'Pigeon' }, 'spec.mode is "Pigeon"', 'VLAN, VXLAN, BGP, GlobalBGP'],
    [{ ...under, netID: 4095 }, 'spec.netID is 4095', 'a VLAN id from 0 to 4094'],
    [{ ...bgp, netID: undefined }, 'spec.netID is missing', 'an AS number'],
    [{ ...bgp, config: null }, 'spec.config.bgpPeers is missing', 'at least one peer'],
    [{ ...bgp, config: { bgpPeers: [] } }, 'spec.config.bgpPeers is missing', 'at least one peer'],
    [
      { ...bgp, config: { bgpPeers: [{ ...peer, address: 'x' }] } },
      'bgpPeers[0].address is "x"',
      'IPv4 or IPv6 address',
    ],
    [{ ...bgp, config: { bgpPeers: [{ ...peer, asn: 0 }] } }, 'bgpPeers[0].asn is 0', 'from 1 to 4294967295'],
    [{ ...bgp, config: { bgpPeers: [peer, { ...peer, address: '192.0.2.2' }] } }, 'bgpPeers is', 'at most one peer'],
  ] as const) {
    refuses(await create(spec), ...parts)
  }
  refuses(await createNetwork(network('n'.repeat(64), over), new World()), 'metadata.name is "nnn', 'at most 63')
})

test('one Overlay, one GlobalBGP', async () => {
  const world = new World({ networkList: [network('o', over), network('g', { type: 'GlobalBGP' })] })
  refuses(await create(over, world), 'spec.type is "Overlay"', 'Network "o"', 'add a Subnet to that Network')
  refuses(await create({ type: 'GlobalBGP' }, world), 'spec.type is "GlobalBGP"', 'Network "g"', 'delete it first')
})

test('a node belongs to one Underlay Network, by status or by selector', async () => {
  for (const other of [
    network('a', { ...under, nodeSelector: { floor: '1' } }, { nodeList: ['n1'] }),
    network('a', under),
  ]) {
    const world = new World({ networkList: [other], nodeList: nodes })
    refuses(await create(under, world), 'spec.nodeSelector is {"rack":"a"}', 'node "n1"', 'choose labels')
    accepts(await create({ ...under, nodeSelector: { rack: 'b' } }, world))
    const gone = nodes.map((node) => ({ ...node, terminating: true }))
    accepts(await create(under, new World({ networkList: [other], nodeList: gone })), 'terminating nodes do not count')
    const moved = updateNetwork(network('new', { ...under, nodeSelector: { rack: 'c' } }), network('new', under), world)
    refuses(await moved, 'spec.nodeSelector', 'node "n1"')
  }
})

test('UPDATE: what stays, and what is checked again', async () => {
  const world = new World({ nodeList: nodes })
  const update = (before: object, after: object): ReturnType<typeof updateNetwork> =>
    updateNetwork(network('new', before), network('new', after), world)
  accepts(await update(bgp, { ...bgp, config: { bgpPeers: [{ ...peer, password: 'x' }] } }))
  accepts(await update({ type: 'Nonsense' }, { type: 'Nonsense' }), 'an unchanged spec, so that finalizers come off')
  accepts(await update({ ...under, mode: '' }, { ...under, mode: 'VLAN' }), 'the same mode')
  refuses(await update(under, over), 'spec.type is "Overlay"', 'from "Underlay"', 'create another Network')
  refuses(await update(under, { ...bgp }), 'spec.mode is "BGP"', 'from "VLAN"', 'create another Network')
  refuses(await update(over, { ...over, netID: 5 }), 'spec.netID is 5', 'from 4', 'create another Network')
  refuses(await update(under, { ...under, netID: 5 }), 'spec.netID is 5', 'from nothing')
  refuses(await update(over, { type: 'Overlay' }), 'spec.netID is missing', 'from 4')
  refuses(await update(under, { ...under, nodeSelector: {} }), 'spec.nodeSelector is missing')
  refuses(await update(over, { ...over, nodeSelector: { a: 'b' } }), 'spec.nodeSelector is {"a":"b"}')
  refuses(await update(bgp, { ...bgp, config: null }), 'spec.config.bgpPeers is missing', 'at least one peer')
  refuses(await update(bgp, { ...bgp, config: { bgpPeers: [{ ...peer, address: 'x' }] } }), 'address is "x"')
  refuses(await update(bgp, { ...bgp, config: { bgpPeers: [{ ...peer, asn: 0 }] } }), 'asn is 0')
})

test('UPDATE: a selector that leaves out nodes with pods is refused with the pods', async () => {
  const status = { nodeList: ['n1', 'n2'] }
  const before = network('u', { ...under, nodeSelector: {} }, status)
  const after = network('u', under, status)
  const labels = { network: 'u', subnet: 's' }
  const held = (node: string, terminating = false): World =>
    new World({ nodeList: nodes, holders: [holder('10.0.0.5', 'web-0', { ...labels, node }, terminating)] })
  refuses(
    await updateNetwork(before, after, held('n2')),
    'spec.nodeSelector',
    'n2',
    'default/web-0 (10.0.0.5)',
    'drain',
  )
  accepts(await updateNetwork(before, after, held('n1')), 'its node stays')
  accepts(await updateNetwork(before, after, held('n2', true)), 'it is being released')
})

test('DELETE: Subnets, RemoteClusters and announced pods hold a Network', async () => {
  const o = network('o', over)
  const subnets = [subnet('s1', 'o', { cidr: '10.0.0.0/24' })]
  const holders = [holder('10.0.0.5', 'web-0', { network: 'o' })]
  const full = new World({ subnetList: subnets, holders })
  refuses(await deleteNetwork(o, full, false), 'metadata.name is "o"', 's1', 'default/web-0', 'delete the pods, then')
  accepts(await deleteNetwork(o, new World({ subnetList: [subnet('s1', 'p', { cidr: '10.0.0.0/24' })] }), false))
  const clusters = [{ metadata: { name: 'peer' } }]
  refuses(await deleteNetwork(o, new World({ clusters }), true), 'metadata.name is "o"', 'peer', 'RemoteClusters first')
  accepts(await deleteNetwork(o, new World({ clusters }), false), 'without the gate')
  const b = network('b', bgp, { nodeList: ['n1'] })
  const global = network('g', { type: 'GlobalBGP' })
  const announced = (node: string): World =>
    new World({ networkList: [b, global], holders: [holder('10.9.0.1', 'api', { network: 'g', node })] })
  refuses(
    await deleteNetwork(b, announced('n1'), false),
    'metadata.name is "b"',
    'default/api (10.9.0.1)',
    'move these',
  )
  accepts(await deleteNetwork(b, announced('n2'), false), 'on nodes of another network')
})

test.run()
