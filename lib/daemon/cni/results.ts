// The CNI result of an ADD in every version of the specification, and the answer of the version 1 protocol. Pure.
//
// Interfaces are host, then pod; the host's has no sandbox; addresses refer to the pod's. The chained bandwidth plugin
// and containerd's choice of the default interface rely on all three (node-agent.md §1.6). Routes are those really in
// the pod: their gateway is the link-local next hop, not the gateway of the subnet (R-SRV-16).
import { HOST_VETH_MAC, POD_GATEWAY_IPV4, POD_GATEWAY_IPV6 } from '../../api/index.ts'
import { familyOf, formatAddress, formatMac } from '../../ip/index.ts'
import { cniCode, CniError } from './errors.ts'
import type { CniVersion, JsonObject } from './requests.ts'
import type { Attachment, PodAddress } from './types.ts'

function defaultRoute(address: PodAddress): JsonObject {
  return familyOf(address.address) === 4
    ? { dst: '0.0.0.0/0', gw: formatAddress(POD_GATEWAY_IPV4) }
    : { dst: '::/0', gw: formatAddress(POD_GATEWAY_IPV6) }
}

function cidr(address: PodAddress): string {
  return `${formatAddress(address.address)}/${address.prefixLength}`
}

function gateway(address: PodAddress): JsonObject {
  return address.gateway === null ? {} : { gateway: formatAddress(address.gateway) }
}

/** An array member of prevResult; empty when absent. */
function previous(prevResult: JsonObject | null, member: string): readonly unknown[] {
  const value = prevResult?.[member] ?? []
  if (Array.isArray(value)) return value
  throw new CniError(cniCode.invalidConfig, `invalid prevResult.${member}: expected an array`)
}

/** 0.1.0 and 0.2.0: one address per family, no interfaces, no chaining. */
function oldResult(version: CniVersion, attachment: Attachment): JsonObject {
  const result: Record<string, unknown> = { cniVersion: version }
  for (const address of attachment.pod.addresses) {
    const member = familyOf(address.address) === 4 ? 'ip4' : 'ip6'
    result[member] ??= { ip: cidr(address), ...gateway(address), routes: [defaultRoute(address)] }
  }
  return { ...result, dns: {} }
}

/**
 * The result of a successful ADD. What earlier plugins of the chain did (`prevResult`) stays in front; our interface
 * indexes are shifted past theirs.
 *
 * @throws CniError 7 when prevResult is not one
 */
export function addResult(version: CniVersion, attachment: Attachment, prevResult: JsonObject | null): JsonObject {
  if (version === '0.1.0' || version === '0.2.0') return oldResult(version, attachment)
  const { pod } = attachment
  const before = previous(prevResult, 'interfaces')
  const mtu = version === '1.1.0' ? { mtu: pod.mtu } : {}
  const hasVersion = version.startsWith('0.')
  return {
    ...prevResult,
    cniVersion: version,
    interfaces: [
      ...before,
      { name: attachment.hostInterface, mac: formatMac(HOST_VETH_MAC), ...mtu },
      { name: attachment.ifname, mac: formatMac(pod.mac), ...mtu, sandbox: attachment.netns },
    ],
    ips: [
      ...previous(prevResult, 'ips'),
      ...pod.addresses.map((address) => ({
        ...(hasVersion ? { version: String(familyOf(address.address)) } : {}),
        address: cidr(address),
        ...gateway(address),
        interface: before.length + 1,
      })),
    ],
    routes: [...previous(prevResult, 'routes'), ...pod.addresses.map(defaultRoute)],
    dns: prevResult?.['dns'] ?? {},
  }
}

/** The version 1 answer to a successful ADD; `gateway` is '' where the subnet has none. */
export function v1Answer(attachment: Attachment): JsonObject {
  return {
    address: attachment.pod.addresses.map((address) => ({
      ip: cidr(address),
      mac: formatMac(attachment.pod.mac),
      gateway: address.gateway === null ? '' : formatAddress(address.gateway),
      protocol: String(familyOf(address.address)),
    })),
    host_interface: attachment.hostInterface,
    error: '',
  }
}

/** The version 1 answer to a failed call. */
export function v1Error(error: CniError): JsonObject {
  const details = error.details === '' ? '' : ` (${error.details})`
  return { address: null, host_interface: '', error: error.message + details }
}
