// The one name of the wiring that lib/api does not have: the node's end of interfaces other than eth0.
import { CONTAINER_INTERFACE, hostVethName } from '../../api/index.ts'

/**
 * Name of the node's end of a pod's veth: `hybr` and 11 hex digits of SHA-1 over `namespace.name`, as Felix derives it.
 * For interfaces other than `eth0` their name is in the hash too (R-SRV-07).
 */
export function hostInterfaceName(namespace: string, podName: string, ifname: string): string {
  return hostVethName(namespace, ifname === CONTAINER_INTERFACE ? podName : `${podName}.${ifname}`)
}
