// A node as plain data for the pure tests: eth0 as in Appendix A, a model kernel, and clusters at random.
import fc from 'fast-check'
import {
  applyDelta,
  DEFAULT_CONFIG,
  emptyInput,
  KernelState,
  nodeFacts,
  type ClusterInput,
  type DataplaneConfig,
  type FabricMode,
  type InputDelta,
  type NodeFacts,
  type Operation,
  type PodAddressInput,
  type SubnetInput,
  type VtepInput,
} from '../../../lib/dataplane/index.ts'
import { assume } from '../../../lib/dataplane/requests.ts'
import {
  contains,
  familyOf,
  offsetAddress,
  parseAddress,
  parseMac,
  parsePrefix,
  type IPAddress,
} from '../../../lib/ip/index.ts'
import type { Link, Route, Rule } from '../../../lib/netlink/types.ts'

export const CONFIG: DataplaneConfig = {
  ...DEFAULT_CONFIG,
  vxlanParent: 'eth0',
  vlanParent: 'eth0',
  bgpInterface: 'eth0',
}
export const NODE_ADDRESSES = [parseAddress('192.168.56.11'), parseAddress('fd56::11')]

export function link(index: number, name: string, fields: Partial<Link> = {}): Link {
  return {
    index,
    name,
    kind: null,
    flags: 1,
    mtu: 1500,
    mac: parseMac('52:54:00:00:00:11'),
    parent: 0,
    parentNetnsId: -1,
    master: 0,
    group: 0,
    vxlan: null,
    vlanId: null,
    ...fields,
  }
}

export function route(fields: Partial<Route> & Pick<Route, 'table' | 'dst'>): Route {
  return {
    type: 1,
    protocol: 3,
    scope: 0,
    oif: 0,
    gateway: null,
    prefSrc: null,
    metric: familyOf(fields.dst.address) === 4 ? 0 : 1024,
    flags: 0,
    nexthopId: 0,
    nexthops: [],
    ...fields,
  }
}

export function rule(fields: Partial<Rule> & Pick<Rule, 'priority' | 'table'>): Rule {
  return {
    family: 4,
    src: null,
    dst: null,
    fwmark: 0,
    fwmask: 0,
    action: 1,
    protocol: 0,
    foreignSelector: false,
    ...fields,
  }
}

/** A kernel with lo and eth0, addresses, main table and the system's rules; refuses what a kernel refuses. */
export class ModelKernel extends KernelState {
  #nextIndex = 100

  constructor() {
    super()
    this.setLink(link(1, 'lo', { mac: 0 }))
    this.setLink(link(2, 'eth0'))
    for (const [address, prefixLength] of [
      [NODE_ADDRESSES[0], 24],
      [NODE_ADDRESSES[1], 64],
    ] as [IPAddress, number][]) {
      this.setAddress({ index: 2, address, prefixLength, flags: 0x80, scope: 0, broadcast: null })
    }
    this.setRoute(route({ table: 254, dst: parsePrefix('0.0.0.0/0'), oif: 2, gateway: parseAddress('192.168.56.1') }))
    this.setRoute(route({ table: 254, dst: parsePrefix('192.168.56.0/24'), oif: 2, scope: 253, protocol: 2 }))
    this.setRoute(route({ table: 254, dst: parsePrefix('fd56::/64'), oif: 2, protocol: 2 }))
    this.setRoute(route({ table: 254, dst: parsePrefix('::/0'), oif: 2, gateway: parseAddress('fd56::1') }))
    for (const family of [4, 6] as const) {
      this.setRule(rule({ family, priority: 0, table: 255, protocol: 2 }))
      this.setRule(rule({ family, priority: 32766, table: 254, protocol: 2 }))
    }
  }

  /** @throws Error as the kernel would refuse */
  carryOut(operation: Operation): void {
    const { record, action } = operation
    switch (record.kind) {
      case 'sysctl':
        this.sysctls.set(record.path, record.value)
        return
      case 'link': {
        const known = this.link(record.name)
        if (known !== undefined && action !== 'up') this.deleteLink(known.index)
        if (action === 'delete') return
        const parent = this.link(record.parent)
        if (parent === undefined) throw new Error(`${operation.key}: no parent`)
        if (action === 'up' && known !== undefined) {
          this.setLink({ ...known, flags: known.flags | 1 })
          return
        }
        const index = this.#nextIndex++
        if (record.type === 'vlan') {
          this.setLink(link(index, record.name, { kind: 'vlan', parent: parent.index, vlanId: record.vlanId }))
          return
        }
        for (const other of this.links.values()) {
          if (other.vxlan?.vni === record.vni && other.vxlan.port === record.port) throw new Error('EEXIST: VNI in use')
        }
        if (record.identity === null) throw new Error('EINVAL: no local address')
        const { vni, port, identity } = record
        const vxlan = { vni, port, local: identity.local, parent: parent.index, group: null, learning: true }
        this.setLink(link(index, record.name, { kind: 'vxlan', parent: parent.index, mac: identity.mac, vxlan }))
        return
      }
      case 'route':
        if (action !== 'delete') this.#checkRoute(operation.key, record)
        assume(operation, this)
        return
      case 'address':
      case 'rule':
      case 'proxy':
      case 'fdb':
        assume(operation, this)
    }
  }

  #checkRoute(key: string, record: Extract<Operation['record'], { kind: 'route' }>): void {
    if (record.link === null) return
    const device = this.link(record.link)
    if (device === undefined || (device.flags & 1) === 0) throw new Error(`${key}: ENETDOWN`)
    const { gateway } = record
    if (gateway === null) return
    const reachable = [...this.routesOf(record.family, record.table), ...this.routesOf(record.family, 254)].some(
      (other) =>
        other.gateway === null && other.type === 1 && other.oif === device.index && contains(other.dst, gateway),
    )
    if (!reachable) throw new Error(`${key}: Nexthop has invalid gateway`)
  }
}

export function factsOf(input: ClusterInput, kernel: KernelState = new ModelKernel(), config = CONFIG): NodeFacts {
  const mainRoutes = [...kernel.routesOf(4, 254), ...kernel.routesOf(6, 254)]
  return nodeFacts(
    { links: kernel.links.values(), addresses: kernel.addresses(), mainRoutes, ipv6: true },
    input,
    config,
  )
}

export function inputOf(delta: InputDelta): ClusterInput {
  const input = emptyInput()
  applyDelta(input, { nodeAddresses: NODE_ADDRESSES, ...delta })
  return input
}

export function subnet(name: string, cidr: string, mode: FabricMode, fields: Partial<SubnetInput> = {}): SubnetInput {
  return {
    name,
    network: mode.toLowerCase(),
    prefix: parsePrefix(cidr),
    gateway: null,
    start: null,
    end: null,
    exclude: [],
    mode,
    vlanId: mode === 'VLAN' ? 100 : null,
    autoNatOutgoing: true,
    member: true,
    ...fields,
  }
}

export function pod(
  name: string,
  address: string,
  mode: FabricMode = 'VXLAN',
  hostLink: string | null = null,
): PodAddressInput {
  return {
    key: `default/${name}`,
    address: parseAddress(address),
    mode,
    vlanId: mode === 'VLAN' ? 100 : null,
    hostLink,
  }
}

export function vtep(number: number): VtepInput {
  return {
    name: `node${number}`,
    address: parseAddress(`192.168.56.1${number}`),
    mac: parseMac(`52:54:00:00:00:1${number}`),
    localIPs: [parseAddress(`192.168.56.1${number}`)],
  }
}

/** Appendix A: an overlay and a VLAN network, both families, two nodes, two pods a family. */
export function appendixA(): InputDelta {
  return {
    overlay: { name: 'overlay', vni: 4 },
    subnets: {
      set: [
        subnet('overlay4', '100.64.0.0/16', 'VXLAN'),
        subnet('overlay6', 'fd64::/64', 'VXLAN'),
        subnet('vlan4', '10.10.0.0/24', 'VLAN', {
          gateway: parseAddress('10.10.0.1'),
          exclude: [parseAddress('10.10.0.2')],
        }),
        subnet('vlan6', 'fd10::/64', 'VLAN', { gateway: parseAddress('fd10::1') }),
      ],
    },
    vteps: { set: [vtep(1), vtep(2)] },
    pods: {
      set: [
        pod('a4', '100.64.0.11', 'VXLAN', 'hybraaaaaaaaaaa'),
        pod('a6', 'fd64::11', 'VXLAN', 'hybraaaaaaaaaaa'),
        pod('b4', '10.10.0.11', 'VLAN', 'hybrbbbbbbbbbbb'),
        pod('b6', 'fd10::11', 'VLAN', 'hybrbbbbbbbbbbb'),
      ],
    },
  }
}

const POOL = ['100.64.0.0/16', '10.10.0.0/24', '10.20.0.0/24', '10.30.0.0/22', 'fd64::/64', 'fd10::/64', 'fd20::/112']

/** A subnet of the pool with the given index, in a random shape. */
function arbitrarySubnet(cidr: string, suffix: string): fc.Arbitrary<SubnetInput> {
  const { address } = parsePrefix(cidr)
  const at = (n: number): IPAddress => offsetAddress(address, n) ?? address
  return fc
    .record({
      mode: fc.constantFrom<FabricMode>('VXLAN', 'VLAN', 'BGP', 'GlobalBGP'),
      gateway: fc.option(fc.constantFrom(1, 254)),
      start: fc.option(fc.integer({ min: 2, max: 100 })),
      end: fc.option(fc.integer({ min: 101, max: 200 })),
      exclude: fc.uniqueArray(fc.integer({ min: 2, max: 220 }), { maxLength: 3 }),
      vlanId: fc.constantFrom(0, 100, 200),
      autoNatOutgoing: fc.boolean(),
      member: fc.boolean(),
    })
    .map((shape) => ({
      ...shape,
      name: `s-${cidr}${suffix}`,
      network: 'n',
      prefix: parsePrefix(cidr),
      gateway: shape.gateway === null ? null : at(shape.gateway),
      start: shape.start === null ? null : at(shape.start),
      end: shape.end === null ? null : at(shape.end),
      exclude: shape.exclude.map(at),
      vlanId: shape.mode === 'VLAN' ? shape.vlanId : null,
    }))
}

/** Any subset of the pool, now and then two subnets of one CIDR. */
export const arbitrarySubnets: fc.Arbitrary<SubnetInput[]> = fc
  .tuple(fc.subarray(POOL), fc.subarray(POOL.slice(0, 2)))
  .chain(([first, second]) =>
    fc.tuple(...first.map((cidr) => arbitrarySubnet(cidr, '')), ...second.map((cidr) => arbitrarySubnet(cidr, '-b'))),
  )

export const arbitraryPods: fc.Arbitrary<PodAddressInput[]> = fc.uniqueArray(
  fc
    .record({
      n: fc.integer({ min: 1, max: 12 }),
      v6: fc.boolean(),
      mode: fc.constantFrom<FabricMode>('VXLAN', 'VLAN', 'BGP'),
      attached: fc.boolean(),
    })
    .map(({ n, v6, mode, attached }) =>
      pod(`p${n}${v6 ? 'v6' : ''}`, v6 ? `fd64::${n}` : `100.64.0.${n}`, mode, attached ? 'hybraaaaaaaaaaa' : null),
    ),
  { selector: ({ key }) => key, maxLength: 8 },
)

export const arbitraryVteps: fc.Arbitrary<VtepInput[]> = fc.uniqueArray(
  fc
    .record({ n: fc.integer({ min: 1, max: 6 }), moved: fc.boolean() })
    .map(({ n, moved }) => (moved ? { ...vtep(n), address: parseAddress(`192.168.57.1${n}`) } : vtep(n))),
  { selector: ({ name }) => name, maxLength: 6 },
)

export const arbitraryCluster: fc.Arbitrary<InputDelta> = fc
  .record({
    vni: fc.option(fc.constantFrom(4, 5)),
    subnets: arbitrarySubnets,
    pods: arbitraryPods,
    vteps: arbitraryVteps,
  })
  .map(({ vni, subnets, pods, vteps }) => ({
    overlay: vni === null ? null : { name: 'overlay', vni },
    subnets: { set: subnets },
    pods: { set: pods },
    vteps: { set: vteps },
    remoteSubnets: { set: [] },
    nodeAddresses: NODE_ADDRESSES,
    replace: true,
  }))
