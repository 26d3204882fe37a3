// Rules of Subnets and remote objects (api.md §4.2.2, §4.2.4, §4.2.5): each accepts and refuses.
import { test } from 'uvu'
import type { RemoteCluster, RemoteSubnet, Subnet } from '../../../lib/api/index.ts'
import { checkRemoteCluster, createRemoteSubnet } from '../../../lib/webhook/rules/remote.ts'
import { createSubnet, deleteSubnet, updateSubnet } from '../../../lib/webhook/rules/subnet.ts'
import { accepts, holder, network, refuses, subnet, World } from './world.ts'

const options = { multiCluster: true, capacityLimit: 0 }
const networkList = [
  network('over', { type: 'Overlay', netID: 4 }),
  network('vlan', { type: 'Underlay', nodeSelector: { a: 'b' }, netID: 100 }),
  network('plain', { type: 'Underlay', nodeSelector: { a: 'c' } }),
  network('bgp', { type: 'Underlay', mode: 'BGP', netID: 1, nodeSelector: { a: 'd' }, config: { bgpPeers: [{ asn: 1, address: '192.0.2.1' }] } }), // prettier-ignore
  network('global', { type: 'GlobalBGP' }),
  network('odd', { type: 'Sideways' }),
  { ...network('going', { type: 'Overlay', netID: 4 }), metadata: { name: 'going', deletionTimestamp: '2026-01-01T00:00:00Z' } }, // prettier-ignore
]
const world = (parts: Partial<World> = {}): World => new World({ networkList, ...parts })
const C = { cidr: '10.0.0.0/24' }
const G = { ...C, gateway: '10.0.0.1' }
const create = (one: Subnet, parts: Partial<World> = {}, more: object = {}): ReturnType<typeof createSubnet> =>
  createSubnet(one, world(parts), { ...options, ...more })

test('good Subnets are accepted, of any size', async () => {
  accepts(await create(subnet('s', 'over', C)))
  accepts(await create(subnet('s', 'over', C, { config: { autoNatOutgoing: true } })))
  accepts(await create(subnet('s', 'vlan', G)))
  accepts(await create(subnet('s', 'vlan', G, { netID: 100 })))
  accepts(await create(subnet('s', 'plain', G, { netID: 7 })))
  accepts(await create(subnet('s', 'bgp', C)))
  accepts(await create(subnet('s', 'global', C)))
  accepts(await create(subnet('s', 'over', { version: '6', cidr: 'fd00::/64' })))
  accepts(await create(subnet('s', 'over', { cidr: '10.0.0.0/15', start: '10.0.0.1', end: '10.1.0.0' }), {}, { capacityLimit: 65536 })) // prettier-ignore
})

test('a Subnet must fit its Network', async () => {
  for (const [one, ...parts] of [
    [subnet('s', '', C), 'spec.network is missing', 'the name of a Network'],
    [subnet('s', 'nowhere', C), 'spec.network is "nowhere"', 'no such Network', 'create it first'],
    [subnet('s', 'going', C), 'spec.network is "going"', 'being deleted', 'name another Network'],
    [subnet('s', 'odd', C), 'spec.network is "odd"', 'Sideways', 'mend the Network'],
    [subnet('s', 'plain', G), 'spec.netID is missing', 'a VLAN id'],
    [subnet('s', 'vlan', G, { netID: 7 }), 'spec.netID is 7', 'expected 100 or nothing'],
    [subnet('s', 'vlan', G, { config: { autoNatOutgoing: false } }), 'spec.config.autoNatOutgoing is false', 'expected nothing'], // prettier-ignore
    [subnet('s', 'vlan', C), 'spec.range.gateway is missing', 'a gateway address'],
    [subnet('s', 'bgp', C, { netID: 1 }), 'spec.netID is 1', 'expected nothing, in BGP Network bgp'],
    [subnet('s', 'global', C, { netID: 1 }), 'spec.netID is 1', 'expected nothing'],
    [subnet('s', 'bgp', C, { config: { autoNatOutgoing: true } }), 'autoNatOutgoing is true', 'expected nothing'],
    [subnet('s', 'over', C, { netID: 1 }), 'spec.netID is 1', 'expected nothing, in VXLAN Network over'],
    [subnet('s'.repeat(64), 'over', C), 'metadata.name is', 'at most 63'],
  ] as const) {
    refuses(await create(one), ...parts)
  }
})

test('the range rules, a to l', async () => {
  for (const [range, ...parts] of [
    [{ version: '5' }, 'spec.range.version is "5"', 'unsupported IP Version', 'expected "4"'],
    [{ start: 'x' }, 'spec.range.start is "x"', 'invalid range start', 'expected an address in 10.0.0.0/24'],
    [{ end: 'x' }, 'spec.range.end is "x"', 'invalid range end', 'expected an address in'],
    [{ cidr: 'x' }, 'spec.range.cidr is "x"', 'invalid range CIDR', 'a network such as'],
    [{ cidr: '10.0.0.5/24' }, 'spec.range.cidr is "10.0.0.5/24"', 'not standard', 'expected 10.0.0.0/24'],
    [{ cidr: '10.0.0.0/32' }, 'spec.range.cidr is "10.0.0.0/32"', 'single address', 'at most /30'],
    [{ cidr: '10.0.0.0/31' }, 'spec.range.cidr is "10.0.0.0/31"', 'at most /30'],
    [{ start: '10.0.1.1' }, 'spec.range.start is "10.0.1.1"', 'not in CIDR', 'expected an address in 10.0.0.0/24'],
    [{ end: '10.0.1.1' }, 'spec.range.end is "10.0.1.1"', 'not in CIDR', 'expected'],
    [{ start: '10.0.0.9', end: '10.0.0.3' }, 'spec.range.start is "10.0.0.9"', 'expected at most the end'],
    [{ gateway: 'x' }, 'spec.range.gateway is "x"', 'invalid range gateway', 'expected an address'],
    [{ gateway: 'fd00::1' }, 'spec.range.gateway is "fd00::1"', 'mismatch', 'expected an address'],
    [{ gateway: '10.0.1.1' }, 'spec.range.gateway is "10.0.1.1"', 'not in CIDR', 'expected an address'],
    [{ version: '6' }, 'spec.range.version is "6"', 'mismatch', 'expected "4"'],
    [{ reservedIPs: ['10.0.0.2', 'x'] }, 'spec.range.reservedIPs[1] is "x"', 'invalid reserved ip', 'expected'],
    [{ reservedIPs: ['10.0.1.2'] }, 'spec.range.reservedIPs[0] is "10.0.1.2"', 'not in CIDR', 'expected'],
    [{ excludeIPs: ['x'] }, 'spec.range.excludeIPs[0] is "x"', 'invalid excluded ip', 'expected'],
    [{ excludeIPs: ['10.0.1.2'] }, 'spec.range.excludeIPs[0] is "10.0.1.2"', 'not in CIDR', 'expected'],
  ] as const) {
    refuses(await create(subnet('s', 'over', { ...C, ...range })), ...parts)
  }
})

test('size and neighbours', async () => {
  const limit = create(subnet('s', 'over', { cidr: '10.0.0.0/15' }), {}, { capacityLimit: 65536 })
  refuses(await limit, 'spec.range is "10.0.0.0/15"', 'more than 65536', 'split it')
  const beside = (one: Subnet): Partial<World> => ({ subnetList: [one] })
  const half = subnet('a', 'over', { ...C, end: '10.0.0.127' })
  accepts(await create(subnet('s', 'over', { ...C, start: '10.0.0.128' }), beside(half)))
  accepts(await create(half, beside(half)), 'itself')
  refuses(await create(subnet('s', 'over', C), beside(half)), 'spec.range is "10.0.0.0/24"', 'subnets s and a both hold', 'choose start, end') // prettier-ignore
  refuses(await create(subnet('s', 'over', { cidr: '10.0.0.0/23' }), beside(half)), 'different CIDRs', 'use the same CIDR') // prettier-ignore
  refuses(await create(subnet('s', 'bgp', C), beside(half)), 'different networks', 'put it into Network "over"')
  const remote = [{ metadata: { name: 'peer.s' }, spec: { range: { version: '4', ...C }, networkType: 'Overlay' } }]
  refuses(await create(subnet('s', 'over', C), { remote }), 'RemoteSubnet "peer.s"', 'no connected cluster uses')
  accepts(await create(subnet('s', 'over', C), { remote }, { multiCluster: false }))
})

test('UPDATE: identity stays; ranges move as long as nobody is left outside', async () => {
  const before = subnet('over4', 'over', { ...C, end: '10.0.0.100' })
  const update = (range: object, spec: object = {}, parts: Partial<World> = {}): ReturnType<typeof updateSubnet> =>
    updateSubnet(before, subnet('over4', 'over', { ...C, end: '10.0.0.100', ...range }, spec), world(parts), options)
  accepts(await update({ reservedIPs: ['10.0.0.9'] }, { config: { private: true, autoNatOutgoing: false } }))
  accepts(await update({ end: '10.0.0.200' }), 'grow')
  accepts(await updateSubnet(subnet('x', 'gone', { cidr: 'x' }), subnet('x', 'gone', { cidr: 'x' }), world(), options), 'unchanged') // prettier-ignore
  const moved = updateSubnet(before, subnet('over4', 'bgp', C), world(), options)
  refuses(await moved, 'spec.network is "bgp"', 'from "over"', 'create another Subnet')
  refuses(await update({}, { netID: 5 }), 'spec.netID is 5', 'from nothing', 'create another Subnet')
  refuses(await update({ cidr: '10.0.0.0/23' }), 'spec.range.cidr is "10.0.0.0/23"', 'from "10.0.0.0/24"', 'create')
  refuses(await update({ gateway: '10.0.0.1' }), 'spec.range.gateway is "10.0.0.1"', 'from nothing', 'create')
  refuses(await update({ version: '6' }), 'spec.range.version is "6"')
  refuses(await update({ excludeIPs: ['x'] }), 'spec.range.excludeIPs[0] is "x"')
  const vlan = (range: object, spec: object = {}): Subnet => subnet('v', 'vlan', { ...G, ...range }, spec)
  const nat = updateSubnet(vlan({}), vlan({}, { config: { autoNatOutgoing: true } }), world(), options)
  refuses(await nat, 'spec.config.autoNatOutgoing is true', 'expected nothing')
  const lost = updateSubnet(before, subnet('over4', 'nowhere2', C), world(), options)
  refuses(await lost, 'spec.network is "nowhere2"')
  const held = { holders: [holder('10.0.0.50', 'web-0')] }
  accepts(await update({ end: '10.0.0.60' }, {}, held), 'shrink beside it')
  refuses(await update({ end: '10.0.0.40' }, {}, held), 'spec.range is', 'default/web-0 (10.0.0.50)', 'keep these')
  refuses(await update({ excludeIPs: ['10.0.0.50'] }, {}, held), 'spec.range is', 'default/web-0', 'excludeIPs')
  accepts(
    await update({ end: '10.0.0.40' }, {}, { holders: [holder('10.0.0.50', 'web-0', {}, true)] }),
    'being released',
  )
  const other = { subnetList: [subnet('b', 'over', { ...C, start: '10.0.0.150' })] }
  refuses(await update({ end: '10.0.0.200' }, {}, other), 'spec.range', 'both hold', 'choose start, end')
})

test('DELETE: a Subnet in use is refused with its pods', async () => {
  const one = subnet('over4', 'over', C)
  accepts(await deleteSubnet(one, world()))
  const holders = Array.from({ length: 12 }, (_, i) =>
    holder(`10.0.0.${i + 2}`, `web-${i}`, i === 1 ? { node: '' } : {}),
  )
  refuses(await deleteSubnet(one, world({ holders })), 'metadata.name is "over4"', '12 addresses', 'default/web-0 (10.0.0.2)', 'web-1 (10.0.0.3, reserved)', 'and 2 more', 'delete these pods') // prettier-ignore
})

const cluster = (spec: object, name = 'peer'): RemoteCluster => ({
  metadata: { name },
  spec: { apiEndpoint: 'https://10.0.0.1:6443', caData: 'x', certData: 'x', keyData: 'x', ...spec },
})

test('RemoteClusters', () => {
  for (const apiEndpoint of ['https://10.0.0.1:6443', 'https://api:6443', 'https://[fd00::1]:6443', 'https://a.b']) {
    accepts(checkRemoteCluster(null, cluster({ apiEndpoint })), apiEndpoint)
  }
  accepts(checkRemoteCluster(cluster({ apiEndpoint: '' }), cluster({ apiEndpoint: '' })), 'unchanged')
  for (const apiEndpoint of ['', 'http://10.0.0.1:6443', '10.0.0.1', 'https://', 'https://a:0', 'https://a:99999']) {
    refuses(checkRemoteCluster(null, cluster({ apiEndpoint })), 'spec.apiEndpoint is', 'such as https://')
    refuses(checkRemoteCluster(cluster({}), cluster({ apiEndpoint })), 'spec.apiEndpoint is')
  }
  for (const field of ['caData', 'certData', 'keyData']) {
    refuses(checkRemoteCluster(null, cluster({ [field]: '' })), `spec.${field} is missing`, 'PEM in base64')
  }
  refuses(checkRemoteCluster(null, cluster({}, 'a.b')), 'metadata.name is "a.b"', 'without dots')
  refuses(checkRemoteCluster(null, cluster({}, 'a'.repeat(64))), 'metadata.name is', 'at most 63')
})

test('RemoteSubnets', async () => {
  const remote = (name: string, cidr: string): RemoteSubnet => ({
    metadata: { name },
    spec: { range: { version: '4', cidr }, networkType: 'Overlay', clusterName: 'peer' },
  })
  const there = world({ subnetList: [subnet('s', 'over', C)], remote: [remote('peer.t', '10.1.0.0/24')] })
  accepts(await createRemoteSubnet(remote('peer.x', '10.2.0.0/24'), there))
  refuses(await createRemoteSubnet(remote('peer.x', '10.0.0.0/25'), there), 'spec.range is "10.0.0.0/25"', 'Subnet "s"', 'apart') // prettier-ignore
  refuses(await createRemoteSubnet(remote('peer.x', '10.1.0.0/25'), there), 'RemoteSubnet "peer.t"', 'apart')
  refuses(await createRemoteSubnet(remote('peer.x', 'x'), there), 'spec.range.cidr is "x"', 'a network such as')
})

test.run()
