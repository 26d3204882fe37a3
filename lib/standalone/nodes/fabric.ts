// The physical network of a standalone cluster: one Ethernet segment all nodes are on, a router, and a host beyond it.
//
//   node1      node2      node3         each a namespace with eth0, default routes via the router
//     │          │          │
//   ══╧══════════╧══════════╧═══╤═══    bridge fabric0 in the supervisor's namespace: 192.168.56.254/24, fd56::fe/64
//                               │
//                            router     eth0 192.168.56.1, fd56::1; eth1 203.0.113.1, 2001:db8:ffff::1
//                               │
//                            outside    eth0 203.0.113.10, 2001:db8:ffff::10
//
// The router forwards and knows these two networks, nothing else: a packet of a pod that left a node with the pod's own
// address is never answered, as on a real network that knows nothing of an overlay. MTU 1500 everywhere.
//
// Names of ports on the bridge are the names of what hangs on them, so `ip link` in the supervisor's namespace reads like
// the picture. Partitions are made by fabric-cuts.ts, delay and loss by slow-link.ts. Not here yet: VLAN trunks, BGP on the router.
import { type Family, familyOf, type IPAddress, parseAddress } from '../../ip/index.ts'
import {
  createNamespace,
  deleteNamespace,
  isNotFound,
  NetworkNamespace,
  type Request,
  request,
  RouteSocket,
  sysctlReadAll,
  sysctlWrite,
} from '../../netlink/index.ts'
import { namespaceDirectory } from '../sandbox.ts'
import { type Cut, FabricCuts } from './fabric-cuts.ts'
import { type Impairment, SlowLink } from './slow-link.ts'

export interface FabricOptions {
  /** Address families of the segment; at least one. */
  readonly families: readonly Family[]
}

/** An address of a host with the length of its network's prefix. */
export interface HostAddress {
  readonly address: IPAddress
  readonly prefixLength: number
}

/** A namespace on the fabric. */
export interface FabricHost {
  readonly name: string
  /** Path of the namespace file. */
  readonly path: string
  readonly namespace: NetworkNamespace
  /** Of eth0, in the order of the families asked for. */
  readonly addresses: readonly HostAddress[]
  /** Its place in the segment: the last byte of its addresses and of the MAC address of eth0. */
  readonly number: number
}

/** A network by family: its prefix length, and its address number `host`. */
interface Plan {
  readonly length: Readonly<Record<Family, number>>
  address(family: Family, host: number): IPAddress
}

const segment: Plan = {
  length: { 4: 24, 6: 64 },
  address: (family, host) => parseAddress(family === 4 ? `192.168.56.${host}` : `fd56::${host.toString(16)}`),
}
const beyond: Plan = {
  length: { 4: 24, 6: 64 },
  address: (family, host) => parseAddress(family === 4 ? `203.0.113.${host}` : `2001:db8:ffff::${host.toString(16)}`),
}

/** MAC address of eth0 of host 0: locally administered, and the machine's own for life, as addresses of real devices are. */
const firstMac = 0x02_56_00_00_00_00

const sound: Impairment = { ms: 0, lossPercent: 0 }

const bridgeName = 'fabric0'
const mtu = 1500
const routerHost = 1
const supervisorHost = 254
/** node1 is .11; numbers up to .250 are left to nodes. */
const firstNodeHost = 11
const lastNodeHost = 250
const outsideHost = 10

/** IFA_F_NODAD: the address is usable at once. Nothing else chooses addresses here. */
const noDad = 0x02

export class Fabric {
  readonly families: readonly Family[]
  /** Addresses of the bridge: where nodes reach what runs in the supervisor's namespace. */
  readonly supervisorAddresses: readonly IPAddress[]
  readonly #root: NetworkNamespace
  readonly #socket: RouteSocket
  readonly #bridge: number
  readonly #hosts = new Map<string, FabricHost>()
  readonly #cuts = new FabricCuts()
  /** Cables with something wrong; the link is null while the node is off. */
  readonly #impaired = new Map<string, { impairment: Impairment; link: SlowLink | null }>()
  #lastNumber = firstNodeHost - 1

  private constructor(families: readonly Family[], root: NetworkNamespace, socket: RouteSocket, bridge: number) {
    this.families = families
    this.supervisorAddresses = families.map((family) => segment.address(family, supervisorHost))
    this.#root = root
    this.#socket = socket
    this.#bridge = bridge
  }

  /**
   * Build the segment, the router and the host outside, in namespaces of the calling process's own.
   *
   * @throws NetlinkError naming the step; a half-built fabric goes with the sandbox
   */
  static async create({ families }: FabricOptions): Promise<Fabric> {
    if (families.length === 0) throw new Error('fabric: families is empty, expected 4, 6 or both')
    const root = NetworkNamespace.current()
    const socket = RouteSocket.open(root)
    // Equivalent to: `ip link set lo up; ip link add fabric0 mtu 1500 type bridge; ip link set fabric0 up`
    await socket.run(request.linkSet('lo', { up: true }))
    await bypassNetfilter(root)
    await socket.run(request.linkAdd({ kind: 'bridge', name: bridgeName, mtu, up: true }))
    const bridge = await linkIndex(socket, bridgeName)
    const fabric = new Fabric(families, root, socket, bridge)
    await applyAll(
      socket,
      families.map((family) => addressOn(bridge, segment, family, supervisorHost)),
    )
    await fabric.#addRouter()
    return fabric
  }

  get hosts(): ReadonlyMap<string, FabricHost> {
    return this.#hosts
  }

  /** The host beyond the router. */
  get outside(): FabricHost {
    return this.host('outside')
  }

  /** @throws Error naming the hosts there are */
  host(name: string): FabricHost {
    const host = this.#hosts.get(name)
    if (host === undefined)
      throw new Error(`no host '${name}' on the fabric; there are ${[...this.#hosts.keys()].join(', ')}`)
    return host
  }

  /**
   * A new namespace on the segment, with the next free addresses and default routes via the router.
   *
   * Equivalent to: `ip netns add NAME; ip link add NAME master fabric0 type veth peer name eth0 netns NAME; ...`
   *
   * @throws Error when the name is taken or no network device could have it, or the segment has no more addresses
   */
  async addNode(name: string): Promise<FabricHost> {
    if (!/^[a-z0-9]([a-z0-9-]{0,12}[a-z0-9])?$/.test(name) || [bridgeName, 'lo'].includes(name)) {
      throw new Error(`fabric: node name '${name}': expected up to 14 lower-case letters, digits and '-'`)
    }
    if (this.#hosts.has(name)) throw new Error(`fabric: there is a host '${name}' already`)
    return this.#attach(name, this.#freeNumber())
  }

  /** Unplug a node (`connected` false) or plug it in again: it sees no carrier. Equivalent to: `ip link set NAME down|up` on its port */
  async setConnected(name: string, connected: boolean): Promise<void> {
    await this.#socket.run(request.linkSet(this.host(name).name, { up: connected }))
  }

  /**
   * Drop frames between nodes, silently: every device stays up, as when a switch fails. See fabric-cuts.ts.
   *
   * @throws Error when a host is not on the fabric
   */
  async cut(cut: Cut, on: boolean): Promise<void> {
    for (const name of cut.hosts) this.host(name)
    await this.#cuts.set(cut, on)
  }

  /** The cuts in force. */
  get cuts(): readonly Cut[] {
    return this.#cuts.list()
  }

  /** What is wrong with a node's cable. */
  impairment(name: string): Impairment {
    return this.#impaired.get(name)?.impairment ?? sound
  }

  /**
   * Make a node's cable slow, lossy, or sound again (all zero). It stays so when the node reboots.
   *
   * @throws Error when ethtool is missing
   */
  async impair(name: string, impairment: Impairment): Promise<void> {
    const host = this.host(name)
    const present = this.#impaired.get(name)
    if (impairment.ms === 0 && impairment.lossPercent === 0) {
      this.#impaired.delete(name)
      await present?.link?.remove()
    } else if (present === undefined) {
      // Of a node that is off there is no port: the cable shows when it is back.
      const isOn = (await this.#socket.link(name)) !== null
      this.#impaired.set(name, { impairment, link: isOn ? await this.#slowLink(host, impairment) : null })
    } else {
      present.impairment = impairment
      if (present.link !== null) present.link.impairment = impairment
    }
  }

  /**
   * Take a node's namespace away, with all that is in it, and its port; its addresses and cuts stay reserved for it until
   * {@link powerOn} or {@link removeNode}. What still runs in the namespace keeps it alive, but cut off.
   */
  async powerOff(name: string): Promise<void> {
    const host = this.host(name)
    // The port goes first: the namespace lives on while a process is in it. Of a node that is off there is none.
    await this.#unplug(name)
    const impaired = this.#impaired.get(name)
    if (impaired?.link) {
      await impaired.link.remove(true)
      impaired.link = null
    }
    host.namespace.close()
    await deleteNamespace(host.path)
  }

  /** A fresh namespace for a node after {@link powerOff}: same addresses, same MAC address, nothing else. */
  async powerOn(name: string): Promise<FabricHost> {
    const host = await this.#attach(name, this.host(name).number)
    const impaired = this.#impaired.get(name)
    if (impaired !== undefined) impaired.link = await this.#slowLink(host, impaired.impairment)
    return host
  }

  /** Remove a node's namespace, with all that is in it, and its port. */
  async removeNode(name: string): Promise<void> {
    await this.powerOff(name)
    this.#hosts.delete(name)
    this.#impaired.delete(name)
    await this.#cuts.forget(name)
  }

  /** Remove everything. */
  async close(): Promise<void> {
    for (const { link } of this.#impaired.values()) await link?.remove(true)
    this.#impaired.clear()
    for (const host of this.#hosts.values()) {
      host.namespace.close()
      await deleteNamespace(host.path)
    }
    this.#hosts.clear()
    await this.#cuts.clear()
    await this.#socket.run(request.linkDelete(this.#bridge))
    this.#socket.close()
    this.#root.close()
  }

  /** The next number that no host has; those of removed nodes rest as long as possible. @throws Error when all are taken */
  #freeNumber(): number {
    const taken = new Set([...this.#hosts.values()].map(({ number }) => number))
    const count = lastNodeHost - firstNodeHost + 1
    for (let step = 1; step <= count; step++) {
      const number = firstNodeHost + ((this.#lastNumber - firstNodeHost + step) % count)
      if (taken.has(number)) continue
      this.#lastNumber = number
      return number
    }
    throw new Error(`fabric: no address left for more than ${count} nodes`)
  }

  #slowLink({ name, namespace }: FabricHost, impairment: Impairment): Promise<SlowLink> {
    const place = { name, socket: this.#socket, root: this.#root, node: namespace, bridge: this.#bridge, mtu }
    return SlowLink.insert(place, impairment)
  }

  async #unplug(name: string): Promise<void> {
    try {
      await this.#socket.run(request.linkDelete(name))
    } catch (error) {
      if (!isNotFound(error)) throw error
    }
  }

  /** A host with eth0 on the segment. */
  async #attach(name: string, number: number): Promise<FabricHost> {
    const { path, namespace } = await newNamespace(name)
    const addresses = this.families.map((family) => hostAddress(segment, family, number))
    const host: FabricHost = { name, path, namespace, addresses, number }
    // Reserved before the first wait: nodes are added side by side.
    this.#hosts.set(name, host)
    await this.#socket.run(
      request.linkAdd({
        kind: 'veth',
        name,
        mtu,
        up: true,
        master: this.#bridge,
        peer: { name: 'eth0', mtu, namespace, mac: firstMac + number },
      }),
    )
    const isRouter = number === routerHost
    await configure(namespace, 'eth0', segment, this.families, number, isRouter ? null : routerHost)
    return host
  }

  async #addRouter(): Promise<void> {
    const router = await this.#attach('router', routerHost)
    const { path, namespace } = await newNamespace('outside')
    const socket = RouteSocket.open(router.namespace)
    try {
      await socket.run(request.linkAdd({ kind: 'veth', name: 'eth1', mtu, peer: { name: 'eth0', mtu, namespace } }))
    } finally {
      socket.close()
    }
    await configure(router.namespace, 'eth1', beyond, this.families, routerHost, null)
    await configure(namespace, 'eth0', beyond, this.families, outsideHost, routerHost)
    const addresses = this.families.map((family) => hostAddress(beyond, family, outsideHost))
    this.#hosts.set('outside', { name: 'outside', path, namespace, addresses, number: 0 })
    await sysctlWrite(router.namespace, 'net/ipv4/ip_forward', 1)
    if (this.families.includes(6)) await sysctlWrite(router.namespace, 'net/ipv6/conf/all/forwarding', 1)
  }
}

async function newNamespace(name: string): Promise<{ path: string; namespace: NetworkNamespace }> {
  const path = `${namespaceDirectory}/${name}`
  await createNamespace(path)
  return { path, namespace: NetworkNamespace.open(path) }
}

/**
 * Bring a device up with its addresses and default routes.
 *
 * Equivalent to: `ip link set DEVICE up; ip addr add ADDRESS/LENGTH dev DEVICE nodad; ip route add default via GATEWAY`
 */
async function configure(
  namespace: NetworkNamespace,
  device: string,
  plan: Plan,
  families: readonly Family[],
  host: number,
  gateway: number | null,
): Promise<void> {
  const socket = RouteSocket.open(namespace)
  try {
    const index = await linkIndex(socket, device)
    // The link-local address too is usable at once; it asks before it answers neighbours.
    if (families.includes(6)) await sysctlWrite(namespace, `net/ipv6/conf/${device}/accept_dad`, 0)
    await socket.run(request.linkSet(index, { up: true }))
    const requests: Request[] = families.map((family) => addressOn(index, plan, family, host))
    if (gateway !== null) {
      for (const family of families) {
        const dst = { address: family === 4 ? 0 : 0n, length: 0 }
        requests.push(request.routeAdd({ dst, oif: index, gateway: plan.address(family, gateway) }))
      }
    }
    await applyAll(socket, requests)
  } finally {
    socket.close()
  }
}

function hostAddress(plan: Plan, family: Family, host: number): HostAddress {
  return { address: plan.address(family, host), prefixLength: plan.length[family] }
}

function addressOn(index: number, plan: Plan, family: Family, host: number): Request {
  const { address, prefixLength } = hostAddress(plan, family, host)
  return request.addressAdd({ index, address, prefixLength, flags: familyOf(address) === 6 ? noDad : 0 })
}

async function applyAll(socket: RouteSocket, requests: readonly Request[]): Promise<void> {
  const failed = (await socket.apply(requests)).find((error) => error !== null)
  if (failed) throw failed
}

async function linkIndex(socket: RouteSocket, name: string): Promise<number> {
  const link = await socket.link(name)
  if (link === null) throw new Error(`fabric: device ${name} vanished after it was made`)
  return link.index
}

/** Where br_netfilter is loaded, frames between nodes would otherwise pass this namespace's netfilter hooks, too. */
async function bypassNetfilter(namespace: NetworkNamespace): Promise<void> {
  const paths = ['iptables', 'ip6tables', 'arptables'].map((table) => `net/bridge/bridge-nf-call-${table}`)
  const values = await sysctlReadAll(namespace, paths)
  for (const [i, path] of paths.entries()) if (values[i] !== null) await sysctlWrite(namespace, path, 0)
}
