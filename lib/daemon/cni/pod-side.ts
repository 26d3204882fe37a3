// The pod's end of the veth: sysctls, addresses, routes; and what the kernel says of them.
import { familyOf, hostPrefix, maskBits, DEFAULT_PREFIX } from '../../ip/index.ts'
import { POD_GATEWAY_IPV4, POD_GATEWAY_IPV6 } from '../../api/index.ts'
import {
  IFA_F_NOPREFIXROUTE,
  isAlreadyExists,
  request,
  RouteSocket,
  RT_SCOPE_LINK,
  RT_TABLE_MAIN,
  type NetworkNamespace,
  type Request,
  type SysctlSetting,
} from '../../netlink/index.ts'
import type { PodFacts } from './check.ts'
import type { PodAddress, PodAddresses } from './types.ts'

/** To be written before the link comes up. Runtimes may have switched IPv6 off in the namespace. */
export function podSideSysctls(ifname: string, pod: PodAddresses): SysctlSetting[] {
  if (!pod.addresses.some(({ address }) => familyOf(address) === 6)) return []
  return [
    { path: `net/ipv6/conf/${ifname}/accept_dad`, value: 0 },
    { path: 'net/ipv6/conf/lo/disable_ipv6', value: 0 },
    { path: `net/ipv6/conf/${ifname}/disable_ipv6`, value: 0 },
  ]
}

/** The all-ones address of the subnet, as `ip addr add brd +` computes it; null where there is none. */
function broadcastOf({ address, prefixLength }: PodAddress): number | null {
  if (typeof address !== 'number' || prefixLength > 30) return null
  return (address | ~maskBits(4, prefixLength)) >>> 0
}

/** Equivalent to: `ip addr add IP/LENGTH [brd +] dev INDEX noprefixroute`. */
function addressRequest(index: number, pod: PodAddress): Request {
  const { address, prefixLength } = pod
  return request.addressAdd({
    index,
    address,
    prefixLength,
    flags: IFA_F_NOPREFIXROUTE,
    broadcast: broadcastOf(pod),
  })
}

/**
 * Equivalent to: `ip route add 169.254.1.1 dev INDEX scope link; ip route add default via 169.254.1.1 dev INDEX`, for IPv6
 * `ip route add default via fe80::ecee:eeff:feee:eeee dev INDEX`, whose next hop is on-link by its kind.
 *
 * The onlink flag would spare the first route, but Kata's agent does not copy it into the guest.
 */
function routeRequests(index: number, { address }: PodAddress): { links: Request[]; defaults: Request[] } {
  const family = familyOf(address)
  const gateway = family === 4 ? POD_GATEWAY_IPV4 : POD_GATEWAY_IPV6
  const dst = DEFAULT_PREFIX[family]
  const link = request.routeAdd({ dst: hostPrefix(gateway), oif: index, scope: RT_SCOPE_LINK })
  return { links: family === 4 ? [link] : [], defaults: [request.routeAdd({ dst, oif: index, gateway })] }
}

/**
 * Bring the pod's end up with its addresses and routes. A default route that is already there (another plugin's
 * interface) stays.
 *
 * @throws NetlinkError of the first request that was refused
 */
export async function configurePodSide(socket: RouteSocket, index: number, pod: PodAddresses): Promise<void> {
  const routes = pod.addresses.map((address) => routeRequests(index, address))
  const requests = [
    request.linkSet(index, { up: true }),
    ...pod.addresses.map((address) => addressRequest(index, address)),
    ...routes.flatMap(({ links }) => links),
  ]
  const optional = routes.flatMap(({ defaults }) => defaults)
  const results = await socket.apply([...requests, ...optional])
  results.forEach((error, i) => {
    const tolerated = i >= requests.length && isAlreadyExists(error)
    if (error !== null && !tolerated) throw error
  })
}

/** What CHECK compares. Equivalent to: `ip -n POD link, addr, route show dev IFNAME`. */
export async function inspectPodSide(namespace: NetworkNamespace, ifname: string): Promise<PodFacts> {
  const socket = RouteSocket.open(namespace)
  try {
    const link = await socket.link(ifname)
    if (link === null) return { link, addresses: [], routes: [] }
    const [addresses, routes] = await Promise.all([
      socket.addresses({ index: link.index }),
      socket.routes({ table: RT_TABLE_MAIN, oif: link.index }),
    ])
    return { link, addresses, routes }
  } finally {
    socket.close()
  }
}
