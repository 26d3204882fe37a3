// The wiring of one pod: a veth pair whose one end is created directly in the pod's namespace.
//
//   pod                                   node
//   eth0  <pod MAC>                       hybr...  ee:ee:ee:ee:ee:ee
//     <pod ip>/<subnet length>              proxy_arp: answers for 169.254.1.1 (and everything)
//       noprefixroute: no on-link subnet    proxy neighbour fe80::ecee:eeff:feee:eeee: the same for IPv6
//     169.254.1.1 dev eth0 scope link       table 39999: <pod ip> dev hybr...
//     default via 169.254.1.1
//     default via fe80::ecee:eeff:feee:eeee
//
// So all of a pod's traffic goes through the node's routing, whatever its subnet says (dataplane.md §7). An ADD is four
// exchanges with the kernel: create, look up, set up the node's end, set up the pod's end (sysctls run beside the second).
// From the first link on, a failure deletes the pair, and everything else with it. Removal deletes the node's end.
//
// Not here: proxy neighbours on the fabrics, rules, netfilter (lib/dataplane, which also repairs table 39999 by the
// same content), and the pod's lo, which is the runtime's.
import { stat } from 'node:fs/promises'
import { HOST_VETH_MAC, HOST_VETH_PREFIX, POD_GATEWAY_IPV6, TABLE_LOCAL_DIRECT } from '../../api/index.ts'
import { RTPROT_HYBRIDNET } from '../../dataplane/constants.ts'
import { familyOf, hostPrefix } from '../../ip/index.ts'
import {
  isAlreadyExists,
  isNotFound,
  NetworkNamespace,
  NTF_PROXY,
  request,
  RouteSocket,
  sysctlWriteAll,
  type Link,
  type Request,
  type SysctlSetting,
} from '../../netlink/index.ts'
import { asCniError, cniCode, CniError, dataPlaneFailure, inconsistentAddresses } from './errors.ts'
import type { WiringFacts } from './check.ts'
import { configurePodSide, inspectPodSide, podSideSysctls } from './pod-side.ts'
import { LinkReaper } from './reaper.ts'
import type { Attachment, PodAddresses } from './types.ts'

/** What {@link PodWiring.attach} builds. */
export interface WiringRequest {
  /** Path of the pod's network namespace. */
  readonly netns: string
  /** Name of the pod's end. */
  readonly ifname: string
  /** Name of the node's end. */
  readonly hostInterface: string
  readonly pod: PodAddresses
}

/** The smallest MTU IPv6 allows (RFC 8200 §5). */
const minimumMtu6 = 1280

function hasFamily(pod: PodAddresses, family: 4 | 6): boolean {
  return pod.addresses.some(({ address }) => familyOf(address) === family)
}

/** What no kernel could make sense of is refused before anything is built. */
function validate({ pod }: WiringRequest): void {
  const families = pod.addresses.map(({ address }) => familyOf(address))
  if (families.length === 0 || new Set(families).size !== families.length) {
    throw inconsistentAddresses(
      `pod has ${families.length} addresses: expected one of IPv4, one of IPv6, or one of each`,
    )
  }
  if (families.includes(6) && pod.mtu < minimumMtu6) {
    throw inconsistentAddresses(`MTU ${pod.mtu} is too small for an IPv6 address: expected at least ${minimumMtu6}`)
  }
}

function hostSysctls(name: string, pod: PodAddresses): SysctlSetting[] {
  const ipv4 = [
    { path: `net/ipv4/conf/${name}/proxy_arp`, value: 1 },
    { path: `net/ipv4/conf/${name}/route_localnet`, value: 1 },
    { path: `net/ipv4/conf/${name}/forwarding`, value: 1 },
    // Policy routing makes return paths asymmetric.
    { path: `net/ipv4/conf/${name}/rp_filter`, value: 0 },
    // Proxy answers must not wait for a random delay.
    { path: `net/ipv4/neigh/${name}/proxy_delay`, value: 0 },
  ]
  const ipv6 = [
    // Before it comes up: otherwise the pods' gateway does not answer for a second.
    { path: `net/ipv6/conf/${name}/accept_dad`, value: 0 },
    { path: `net/ipv6/conf/${name}/proxy_ndp`, value: 1 },
    { path: `net/ipv6/conf/${name}/forwarding`, value: 1 },
    { path: `net/ipv6/neigh/${name}/proxy_delay`, value: 0 },
  ]
  return [...(hasFamily(pod, 4) ? ipv4 : []), ...(hasFamily(pod, 6) ? ipv6 : [])]
}

/** Equivalent to: `ip link set H up; ip route replace POD dev H table 39999; ip neigh replace proxy GATEWAY6 dev H`. */
function hostRequests(index: number, pod: PodAddresses): Request[] {
  return [
    request.linkSet(index, { up: true }),
    ...pod.addresses.map(({ address }) =>
      request.routeReplace({
        dst: hostPrefix(address),
        oif: index,
        table: TABLE_LOCAL_DIRECT,
        protocol: RTPROT_HYBRIDNET,
      }),
    ),
    ...(hasFamily(pod, 6) ? [request.neighReplace({ index, dst: POD_GATEWAY_IPV6, flags: NTF_PROXY })] : []),
  ]
}

/** The first failure of a batch, thrown. */
export async function applyAll(socket: RouteSocket, requests: readonly Request[]): Promise<void> {
  for (const error of await socket.apply(requests)) if (error !== null) throw error
}

export async function writeAll(namespace: NetworkNamespace, settings: readonly SysctlSetting[]): Promise<void> {
  for (const error of await sysctlWriteAll(namespace, settings)) if (error !== null) throw error
}

/** All kernel work of the CNI server. Owns a socket in the node's namespace until {@link close}. */
export class PodWiring {
  readonly #host: NetworkNamespace
  readonly #socket: RouteSocket
  readonly #deleteSocket: RouteSocket
  readonly #reaper: LinkReaper

  private constructor(host: NetworkNamespace) {
    this.#host = host
    this.#socket = RouteSocket.open(host)
    // Deletions wait for grace periods; additions must not wait for deletions.
    this.#deleteSocket = RouteSocket.open(host)
    this.#reaper = new LinkReaper(this.#deleteSocket)
  }

  /** @throws NetlinkError when the namespace cannot be entered */
  static open(host: NetworkNamespace): PodWiring {
    return new PodWiring(host)
  }

  close(): void {
    this.#socket.close()
    this.#deleteSocket.close()
  }

  /**
   * Make sure that a path is a network namespace other than the node's.
   *
   * @throws CniError 8
   */
  async checkNamespace(netns: string): Promise<void> {
    const namespace = await this.#open(netns)
    if (namespace === null) throw new CniError(cniCode.invalidNamespace, `network namespace '${netns}' does not exist`)
    namespace.close()
  }

  /**
   * Build everything, or nothing.
   *
   * @returns index of the node's end, or 'name taken' when another link has its name
   * @throws CniError 8 bad namespace, 102 impossible addresses, 103 the kernel refused or the pod has such an interface
   */
  async attach(wiring: WiringRequest): Promise<number | 'name taken'> {
    validate(wiring)
    const namespace = await this.#open(wiring.netns)
    if (namespace === null) {
      throw new CniError(cniCode.invalidNamespace, `network namespace '${wiring.netns}' does not exist`)
    }
    let podSocket: RouteSocket | null = null
    try {
      podSocket = RouteSocket.open(namespace)
      return await this.#build(wiring, namespace, podSocket)
    } catch (error) {
      throw asCniError(error, (cause) => dataPlaneFailure(`wire ${wiring.hostInterface}`, cause))
    } finally {
      podSocket?.close()
      namespace.close()
    }
  }

  async #build(
    wiring: WiringRequest,
    namespace: NetworkNamespace,
    podSocket: RouteSocket,
  ): Promise<number | 'name taken'> {
    const { hostInterface, ifname, pod } = wiring
    const { mac, mtu } = pod
    try {
      // Equivalent to: `ip link add H address ee:ee:ee:ee:ee:ee mtu M type veth peer name eth0 address MAC mtu M netns POD`
      await this.#socket.run(
        request.linkAdd({
          kind: 'veth',
          name: hostInterface,
          mac: HOST_VETH_MAC,
          mtu,
          peer: { name: ifname, mac, mtu, namespace },
        }),
      )
    } catch (error) {
      if (!isAlreadyExists(error)) throw error
      if ((await podSocket.link(ifname)) === null) return 'name taken'
      throw new CniError(
        cniCode.dataPlaneFailure,
        `interface ${ifname} already exists in ${wiring.netns}`,
        'ADD needs a namespace without it; was it called before, without a DEL?',
      )
    }
    let host: Link | null = null
    try {
      const [link] = await Promise.all([
        this.#socket.link(hostInterface),
        writeAll(this.#host, hostSysctls(hostInterface, pod)),
        writeAll(namespace, podSideSysctls(ifname, pod)),
      ])
      host = link
      if (host === null) throw new Error(`${hostInterface} vanished while it was being set up`)
      await applyAll(this.#socket, hostRequests(host.index, pod))
      await configurePodSide(podSocket, host.parent, pod)
      return host.index
    } catch (error) {
      await this.#rollBack(hostInterface, host, error)
      throw error
    }
  }

  async #rollBack(hostInterface: string, known: Link | null, reason: unknown): Promise<void> {
    try {
      const link = known ?? (await this.#socket.link(hostInterface))
      if (link !== null) await this.#reaper.delete(link.index)
    } catch (error) {
      throw dataPlaneFailure(`roll back ${hostInterface} after "${String(reason)}"`, error)
    }
  }

  /** Index of a link of the node, null when there is none of that name. Equivalent to: `ip link show NAME`. */
  async hostIndex(name: string): Promise<number | null> {
    return (await this.#socket.link(name))?.index ?? null
  }

  /** All links of the node that carry our prefix. */
  async hostLinks(): Promise<readonly Link[]> {
    return (await this.#socket.links()).filter(({ name }) => name.startsWith(HOST_VETH_PREFIX))
  }

  /**
   * Delete the node's end, and with it the pod's, if the name still means that link.
   *
   * @throws CniError 103
   */
  async deleteHost(name: string, index: number): Promise<void> {
    try {
      if ((await this.hostIndex(name)) === index) await this.#reaper.delete(index)
    } catch (error) {
      throw dataPlaneFailure(`delete ${name}`, error)
    }
  }

  /**
   * Delete a pod's end for which there is no record: only if it is a veth whose other end is one of ours in the node's
   * namespace and `mayDelete` agrees. A namespace or interface that is not there is success.
   *
   * @throws CniError 103
   */
  async deletePodSide(netns: string, ifname: string, mayDelete: (host: Link) => boolean): Promise<void> {
    const namespace = await this.#open(netns).catch(() => null)
    if (namespace === null) return
    let socket: RouteSocket | null = null
    try {
      socket = RouteSocket.open(namespace)
      const link = await socket.link(ifname)
      if (link === null || link.kind !== 'veth') return
      const host = await this.#socket.link(link.parent)
      if (host === null || host.parent !== link.index || !host.name.startsWith(HOST_VETH_PREFIX)) return
      if (mayDelete(host)) await this.#reaper.delete(host.index)
    } catch (error) {
      if (!isNotFound(error)) throw dataPlaneFailure(`delete ${ifname} in ${netns}`, error)
    } finally {
      socket?.close()
      namespace.close()
    }
  }

  /** What the kernel holds of an attachment, for CHECK. `netns` is where the runtime says the pod is now. */
  async inspect(attachment: Attachment, netns: string): Promise<WiringFacts> {
    const namespace = await this.#open(netns).catch(() => null)
    try {
      const [host, hostRoutes, hostProxies, pod] = await Promise.all([
        this.#socket.link(attachment.hostInterface),
        this.#socket.routes({ table: TABLE_LOCAL_DIRECT }),
        this.#socket.neighbours({ proxy: true }),
        namespace === null ? null : inspectPodSide(namespace, attachment.ifname),
      ])
      return { host, hostRoutes, hostProxies, pod }
    } finally {
      namespace?.close()
    }
  }

  /**
   * Open a pod's namespace. Runtimes keep them where our mount namespace may not reach; the node's first process does.
   *
   * @returns null when there is nothing at the path
   * @throws CniError 8 when it is not a network namespace, or the node's own
   */
  async #open(netns: string): Promise<NetworkNamespace | null> {
    const path = (await isFile(netns)) ? netns : `/proc/1/root${netns}`
    if (path !== netns && !(await isFile(path))) return null
    let namespace: NetworkNamespace
    try {
      namespace = NetworkNamespace.open(path)
    } catch (error) {
      if (isNotFound(error)) return null
      throw new CniError(cniCode.invalidNamespace, `'${netns}' is not a network namespace`, String(error))
    }
    if (namespace.inode !== this.#host.inode) return namespace
    namespace.close()
    throw new CniError(cniCode.invalidNamespace, `'${netns}' is the network namespace of the node`)
  }
}

/** Namespace files are regular files; opening anything else could block or have effects. */
async function isFile(path: string): Promise<boolean> {
  try {
    return (await stat(path)).isFile()
  } catch {
    // Absent and unreachable are the same here: there is nothing to work on.
    return false
  }
}
