import { test } from 'uvu'
import * as assert from 'uvu/assert'
import { chooseParents, type HostPicture, type InterfacePreferences } from '../../../lib/daemon/interfaces.ts'
import { parseInterfaceAddress, parsePrefix } from '../../../lib/ip/index.ts'
import type { Addr, Link, Route } from '../../../lib/netlink/types.ts'

function link(index: number, name: string): Link {
  return {
    index,
    name,
    kind: null,
    flags: 1,
    mtu: 1500,
    mac: 0x5254_0000_0000 + index,
    parent: 0,
    parentNetnsId: -1,
    master: 0,
    group: 0,
    vxlan: null,
    vlanId: null,
  }
}

function addr(index: number, text: string): Addr {
  const { address, length } = parseInterfaceAddress(text)
  return { index, address, prefixLength: length, flags: 0, scope: 0, broadcast: null }
}

function route(dst: string, fields: Partial<Route>): Route {
  return {
    table: 254,
    dst: parsePrefix(dst),
    type: 1,
    protocol: 3,
    scope: 0,
    oif: 0,
    gateway: null,
    prefSrc: null,
    metric: 0,
    flags: 0,
    nexthopId: 0,
    nexthops: [],
    ...fields,
  }
}

const host: HostPicture = {
  links: [link(1, 'lo'), link(2, 'eth0'), link(3, 'eth1'), link(4, 'bond0'), link(5, 'vethabc'), link(6, 'hybr0123')],
  addresses: [addr(2, '192.168.56.11/24'), addr(3, '10.0.0.1/8'), addr(4, 'fd00::1/64')],
  routes: [
    route('0.0.0.0/0', { oif: 3, metric: 200 }),
    route('0.0.0.0/0', { oif: 2, metric: 100 }),
    route('::/0', { oif: 4 }),
  ],
}
const none: InterfacePreferences = { vlan: [], vxlan: [], bgp: [] }
const vxlanOf = (picture: HostPicture, ...vxlan: string[]): string =>
  chooseParents(picture, { vlan: ['lo'], vxlan, bgp: ['lo'] }).vxlan.name

test('with no preference the IPv4 default route of the lowest metric decides', () => {
  const parents = chooseParents(host, none)
  assert.equal([parents.vlan.name, parents.vxlan.name, parents.bgp.name], ['eth0', 'eth0', 'eth0'])
})

test('without an IPv4 default route the IPv6 one decides', () => {
  assert.is(chooseParents({ ...host, routes: host.routes.slice(2) }, none).vxlan.name, 'bond0')
})

test('a multipath default route gives its first live next hop', () => {
  const hops = [
    { oif: 0, gateway: 1, weight: 1 },
    { oif: 3, gateway: 2, weight: 1 },
  ]
  assert.is(chooseParents({ ...host, routes: [route('0.0.0.0/0', { nexthops: hops })] }, none).bgp.name, 'eth1')
})

test('default routes of other tables and types do not count', () => {
  const routes = [route('0.0.0.0/0', { oif: 4, table: 100 }), route('0.0.0.0/0', { oif: 4, type: 7 }), ...host.routes]
  assert.is(chooseParents({ ...host, routes }, none).vxlan.name, 'eth0')
})

test('the first preferred interface that exists wins, by name, glob or address', () => {
  assert.is(vxlanOf(host, 'eth9', ' eth1 ', 'eth0'), 'eth1')
  assert.is(vxlanOf(host, 'bond*'), 'bond0')
  assert.is(vxlanOf(host, 'eth?'), 'eth0')
  assert.is(vxlanOf(host, 'cidr:10.0.0.0/8'), 'eth1')
  assert.is(vxlanOf(host, 'cidr:fd00::/64'), 'bond0')
})

test('globs never pick a container link, and a dot is a dot', () => {
  assert.throws(() => vxlanOf(host, 'veth*'), /no VXLAN interface/)
  assert.throws(
    () => vxlanOf({ ...host, links: [link(1, 'lo'), link(2, 'ethX100')] }, 'eth?.100*'),
    /no VXLAN interface/,
  )
})

test('named interfaces need no default route', () => {
  const parents = chooseParents({ ...host, routes: [] }, { vlan: ['eth0'], vxlan: ['eth0'], bgp: ['eth1'] })
  assert.is(parents.bgp.name, 'eth1')
})

test('what cannot be chosen says what was asked for and what there is', () => {
  assert.throws(() => vxlanOf(host, 'wlan0', 'ib0'), /none of 'wlan0,ib0' exists; this host has lo, eth0, eth1/)
  assert.throws(
    () => chooseParents({ ...host, routes: [] }, none),
    /no default route; name one with --prefer-vlan-interfaces/,
  )
})

test.run()
