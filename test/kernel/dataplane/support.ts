// Nodes for the dataplane's kernel tests: namespaces with an eth0 on one bridge, made and torn down by the test itself.
import { execFileSync } from 'node:child_process'
import { mkdtempSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { DEFAULT_CONFIG, type DataplaneConfig, type InputDelta } from '../../../lib/dataplane/index.ts'
import { parseAddress, parseMac, parsePrefix } from '../../../lib/ip/index.ts'
import { createNamespace, deleteNamespace, NetworkNamespace, request, RouteSocket } from '../../../lib/netlink/index.ts'
import { requireSandbox } from '../../support/sandbox.ts'

export const CONFIG: DataplaneConfig = {
  ...DEFAULT_CONFIG,
  vxlanParent: 'eth0',
  vlanParent: 'eth0',
  bgpInterface: 'eth0',
}

export class TestNode {
  readonly name: string
  readonly path: string
  readonly namespace: NetworkNamespace
  readonly number: number

  constructor(name: string, path: string, number: number) {
    this.name = name
    this.path = path
    this.number = number
    this.namespace = NetworkNamespace.open(path)
  }

  /** Runs a command line in the node; returns what it printed. */
  run(line: string): string {
    return runIn(this.path, line)
  }

  /** Runs it and returns whether it succeeded. */
  try(line: string): boolean {
    try {
      this.run(line)
      return true
    } catch {
      return false
    }
  }
}

/** Runs a command line in a namespace. */
export function runIn(path: string, line: string): string {
  return execFileSync('nsenter', [`--net=${path}`, 'sh', '-c', line], {
    encoding: 'utf8',
    stdio: ['ignore', 'pipe', 'pipe'],
  })
}

export class Fabric {
  readonly folder = mkdtempSync(join(tmpdir(), 'hybridnet-dataplane-'))
  readonly nodes: TestNode[] = []
  readonly #namespaces: string[] = []
  readonly #socket: RouteSocket

  private constructor(socket: RouteSocket) {
    this.#socket = socket
  }

  static async create(): Promise<Fabric> {
    requireSandbox()
    const own = NetworkNamespace.current()
    const fabric = new Fabric(RouteSocket.open(own))
    own.close()
    await fabric.#socket.run(request.linkAdd({ kind: 'bridge', name: 'fabric', up: true }))
    return fabric
  }

  /** node N: 192.168.56.(10+N)/24 and fd56::(10+N)/64 on eth0, MAC 52:54:00:00:00:(10+N hex), default via .1. */
  async addNode(number: number): Promise<TestNode> {
    const path = join(this.folder, `node${number}`)
    await createNamespace(path)
    this.#namespaces.push(path)
    const node = new TestNode(`node${number}`, path, number)
    const mac = parseMac(`52:54:00:00:00:1${number}`)
    await this.#socket.run(
      request.linkAdd({
        kind: 'veth',
        name: `port${number}`,
        up: true,
        peer: { name: 'eth0', namespace: node.namespace, mac },
      }),
    )
    const bridge = await this.#socket.link('fabric')
    await this.#socket.run(request.linkSet(`port${number}`, { master: bridge?.index ?? 0 }))
    node.run(
      `ip addr add 192.168.56.1${number}/24 brd + dev eth0; ip addr add fd56::1${number}/64 dev eth0 nodad; ip link set eth0 up;` +
        'ip route add default via 192.168.56.1; ip -6 route add default via fd56::1',
    )
    this.nodes.push(node)
    return node
  }

  /** A pod: a namespace with the veth, addresses and routes of §7.2, as CNI ADD wires it. Returns its path. */
  async addPod(node: TestNode, name: string, ...addresses: readonly string[]): Promise<string> {
    const path = join(this.folder, `pod-${name}`)
    await createNamespace(path)
    this.#namespaces.push(path)
    const namespace = NetworkNamespace.open(path)
    const host = RouteSocket.open(node.namespace)
    const link = hostLink(name)
    const veth = { kind: 'veth', name: link, mac: 0xeeeeeeeeeeee, mtu: 1450 } as const
    await host.run(request.linkAdd({ ...veth, peer: { name: 'eth0', namespace, mtu: 1450 } }))
    const conf = (family: 4 | 6): string => `/proc/sys/net/ipv${family}/conf/${link}`
    node.run(
      `echo 0 > ${conf(6)}/accept_dad; echo 1 > ${conf(6)}/proxy_ndp; echo 1 > ${conf(4)}/proxy_arp; ` +
        `echo 0 > ${conf(4)}/rp_filter; echo 0 > /proc/sys/net/ipv4/neigh/${link}/proxy_delay; ip link set ${link} up`,
    )
    host.close()
    namespace.close()
    runIn(path, 'ip link set eth0 up')
    for (const address of addresses) {
      runIn(
        path,
        address.includes(':')
          ? `ip addr add ${address}/64 dev eth0 noprefixroute nodad; ip route add default via fe80::ecee:eeff:feee:eeee dev eth0`
          : `ip addr add ${address}/16 dev eth0 noprefixroute; ip route add 169.254.1.1 dev eth0 scope link; ip route add default via 169.254.1.1 dev eth0`,
      )
    }
    return path
  }

  async close(): Promise<void> {
    for (const node of this.nodes) node.namespace.close()
    for (const path of this.#namespaces) await deleteNamespace(path)
    await this.#socket.run(request.linkDelete('fabric'))
    this.#socket.close()
    rmSync(this.folder, { recursive: true })
  }
}

/** The host end of the pod's veth. */
export function hostLink(pod: string): string {
  return `hybr${pod.padEnd(11, '0')}`
}

/** The golden cluster of Appendix A without its VLAN network: one overlay network, two nodes, both families. */
export function overlayInput(nodes: readonly number[]): InputDelta {
  const subnet = (name: string, cidr: string) => ({
    name,
    network: 'overlay',
    prefix: parsePrefix(cidr),
    gateway: null,
    start: null,
    end: null,
    exclude: [],
    mode: 'VXLAN' as const,
    vlanId: null,
    autoNatOutgoing: true,
    member: true,
  })
  return {
    overlay: { name: 'overlay', vni: 4 },
    subnets: { set: [subnet('o4', '100.64.0.0/16'), subnet('o6', 'fd64::/64')] },
    pods: { set: [] },
    remoteSubnets: { set: [] },
    nodeAddresses: [],
    vteps: {
      set: nodes.map((n) => ({
        name: `node${n}`,
        address: parseAddress(`192.168.56.1${n}`),
        mac: parseMac(`52:54:00:00:00:1${n}`),
        localIPs: [parseAddress(`192.168.56.1${n}`), parseAddress(`fd56::1${n}`)],
      })),
    },
  }
}

/**
 * Waits until the check holds, asking every 10 ms. Returns the milliseconds after which the first check began that held:
 * on a busy machine the tools of a check take longer than what they check.
 */
export async function until(check: () => boolean, what: string, timeoutMs = 3000): Promise<number> {
  const started = performance.now()
  for (;;) {
    const at = performance.now() - started
    if (check()) return at
    if (at > timeoutMs) throw new Error(`not within ${timeoutMs} ms: ${what}`)
    await new Promise((resolve) => setTimeout(resolve, 10))
  }
}
