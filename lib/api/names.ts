// Names derived from other names (api.md §1.10). Another implementation derives the same ones on other nodes, so they
// are part of the contract. Differs from the original in one point: an IPv6 object name always has eight groups (the
// original's begins or ends with a dash where the address begins or ends with "::", which the API server refuses).
import { createHash, randomBytes } from 'node:crypto'
import { formatAddress, formatMac, ipv6Groups, tryParseIPv4, tryParseIPv6, type IPAddress } from '../ip/index.ts'
import {
  CONTAINER_INTERFACE_PREFIXES,
  CONTAINER_INTERFACE_SUFFIX,
  GENERATED_MAC_PREFIX,
  HOST_VETH_PREFIX,
  MAX_VLAN_ID,
  MAX_VNI,
  NO_ORDINAL,
  VXLAN_INTERFACE_INFIX,
} from './constants.ts'

/** The IPInstance name of an address: 10.0.0.1 → "10-0-0-1", fd00::1 → "fd00-0-0-0-0-0-0-1". */
export function addressToName(address: IPAddress): string {
  if (typeof address === 'number') return formatAddress(address).replaceAll('.', '-')
  return ipv6Groups(address)
    .map((group) => group.toString(16))
    .join('-')
}

/** The address of an IPInstance name, null when the name is none. Exactly seven dashes mean IPv6. */
export function addressFromName(name: string): IPAddress | null {
  let dashes = 0
  for (let i = name.indexOf('-'); i >= 0; i = name.indexOf('-', i + 1)) dashes++
  if (dashes === 7) return tryParseIPv6(name.replaceAll('-', ':'))
  return dashes === 3 ? tryParseIPv4(name.replaceAll('-', '.')) : null
}

/** A pod's name as a label value, at most 63 characters: longer ones keep 31 and the MD5 of the rest. */
export function podNameLabel(podName: string): string {
  if (podName.length <= 63) return podName
  return podName.slice(0, 31) + createHash('md5').update(podName.slice(31)).digest('hex')
}

/** The number after the last dash of a pod's name (leading zeros allowed); 2147483647 when it is none. */
export function podOrdinal(podName: string): number {
  const digits = podName.slice(podName.lastIndexOf('-') + 1)
  return /^[0-9]+$/.test(digits) ? Math.min(Number(digits), NO_ORDINAL) : NO_ORDINAL
}

/** 02:12:34 and three random bytes, as a number. Uniqueness is the caller's to check. */
export function generateMac(): number {
  return GENERATED_MAC_PREFIX * 0x1000000 + randomBytes(3).readUIntBE(0, 3)
}

/**
 * The host side of a pod's veth, 15 characters: "hybr" and the start of a SHA-1. Calico's Felix derives the same to find
 * a pod's interface, so NetworkPolicy depends on it.
 */
export function hostVethName(namespace: string, podName: string): string {
  const digest = createHash('sha1').update(`${namespace}.${podName}`).digest('hex')
  return HOST_VETH_PREFIX + digest.slice(0, 11)
}

/** Whether an interface belongs to containers, so that scans of the host's own interfaces must skip it. */
export function isContainerInterface(name: string): boolean {
  return (
    name.endsWith(CONTAINER_INTERFACE_SUFFIX) || CONTAINER_INTERFACE_PREFIXES.some((prefix) => name.startsWith(prefix))
  )
}

/**
 * The VLAN interface of a parent: "eth0.100"; id 0 is the parent itself (untagged).
 *
 * @throws RangeError when the id is absent or not from 0 to 4094
 */
export function vlanInterfaceName(parent: string, id: number | null | undefined): string {
  if (!Number.isInteger(id) || (id as number) < 0 || (id as number) > MAX_VLAN_ID) {
    throw new RangeError(`VLAN id ${id ?? 'absent'} on ${parent} is not an integer from 0 to ${MAX_VLAN_ID}`)
  }
  return id === 0 ? parent : `${parent}.${id}`
}

/**
 * The VXLAN interface over a parent: "eth0.vxlan4".
 *
 * @throws RangeError when the VNI is absent or not from 1 to 16777215
 */
export function vxlanInterfaceName(parent: string, vni: number | null | undefined): string {
  if (!Number.isInteger(vni) || (vni as number) < 1 || (vni as number) > MAX_VNI) {
    throw new RangeError(`VNI ${vni ?? 'absent'} on ${parent} is not an integer from 1 to ${MAX_VNI}`)
  }
  return `${parent}${VXLAN_INTERFACE_INFIX}${vni}`
}

/** The name of a peer's object here: "<cluster>.<name>". */
export function remoteObjectName(cluster: string, name: string): string {
  return `${cluster}.${name}`
}

/** Splits at the first dot; null when there is none. Cluster names therefore must not contain dots. */
export function splitRemoteObjectName(text: string): { readonly cluster: string; readonly name: string } | null {
  const dot = text.indexOf('.')
  return dot < 0 ? null : { cluster: text.slice(0, dot), name: text.slice(dot + 1) }
}

/** A MAC as the API writes it: lower case, colons. */
export const macToText: (mac: number) => string = formatMac
