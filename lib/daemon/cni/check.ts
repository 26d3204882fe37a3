// CHECK: what the kernel holds of an attachment, compared with what ADD made of it and with the result the runtime keeps.
// Every divergence is named. Later plugins of the chain may add routes, change metrics and put queueing disciplines on the
// host's end; that is not ours to judge (R-SRV-14).
import { HOST_VETH_MAC, POD_GATEWAY_IPV4, POD_GATEWAY_IPV6, TABLE_LOCAL_DIRECT } from '../../api/index.ts'
import { equalPrefixes, familyOf, formatAddress, formatMac, hostPrefix, type IPAddress } from '../../ip/index.ts'
import type { Addr, Link, Neigh, Route } from '../../netlink/index.ts'
import { delay } from './deadline.ts'
import { cniCode, CniError } from './errors.ts'
import type { CniContext } from './context.ts'
import type { CniCall, JsonObject } from './requests.ts'
import type { Attachment } from './types.ts'

const IFF_UP = 1
// Right after ADD the node may still be converging.
const graceMs = 2000
const graceStepMs = 200

/** What the kernel holds of one attachment. */
export interface WiringFacts {
  /** The node's end by name; null when there is none. */
  readonly host: Link | null
  /** Routes of table 39999. */
  readonly hostRoutes: readonly Route[]
  /** Proxy neighbours of the node. */
  readonly hostProxies: readonly Neigh[]
  /** null when the namespace cannot be opened. */
  readonly pod: PodFacts | null
}

export interface PodFacts {
  readonly link: Link | null
  readonly addresses: readonly Addr[]
  /** Routes of the main table through the pod's end. */
  readonly routes: readonly Route[]
}

function hostFindings(attachment: Attachment, facts: WiringFacts): string[] {
  const { hostInterface, hostIndex, pod } = attachment
  const { host } = facts
  if (host === null) return [`host interface ${hostInterface} is missing`]
  if (host.index !== hostIndex) return [`host interface ${hostInterface} belongs to another sandbox`]
  const findings: string[] = []
  if ((host.flags & IFF_UP) === 0) findings.push(`host interface ${hostInterface} is down`)
  if (host.mac !== HOST_VETH_MAC) {
    findings.push(`host interface ${hostInterface} has MAC ${showMac(host.mac)}, expected ${formatMac(HOST_VETH_MAC)}`)
  }
  for (const { address } of pod.addresses) {
    const prefix = hostPrefix(address)
    const route = facts.hostRoutes.find((candidate) => equalPrefixes(candidate.dst, prefix))
    const what = `route ${formatAddress(address)} in table ${TABLE_LOCAL_DIRECT}`
    if (route === undefined) findings.push(`${what} is missing`)
    else if (route.oif !== hostIndex) findings.push(`${what} leads to another interface than ${hostInterface}`)
  }
  const needsProxy = pod.addresses.some(({ address }) => familyOf(address) === 6)
  const isGateway = (entry: Neigh): boolean => entry.index === hostIndex && entry.dst === POD_GATEWAY_IPV6
  if (needsProxy && !facts.hostProxies.some(isGateway)) {
    findings.push(`proxy neighbour ${formatAddress(POD_GATEWAY_IPV6)} on ${hostInterface} is missing`)
  }
  return findings
}

function showMac(mac: number | null): string {
  return mac === null ? 'none' : formatMac(mac)
}

function podFindings(attachment: Attachment, facts: WiringFacts, netns: string): string[] {
  const { ifname, pod } = attachment
  if (facts.pod === null) return [`network namespace ${netns} is missing`]
  const { link, addresses, routes } = facts.pod
  if (link === null) return [`interface ${ifname} is missing in ${netns}`]
  const findings: string[] = []
  if (link.kind !== 'veth' || link.parent !== attachment.hostIndex) {
    findings.push(`interface ${ifname} is not the peer of ${attachment.hostInterface}`)
  }
  if ((link.flags & IFF_UP) === 0) findings.push(`interface ${ifname} is down`)
  if (link.mac !== pod.mac) {
    findings.push(`interface ${ifname} has MAC ${showMac(link.mac)}, expected ${formatMac(pod.mac)}`)
  }
  if (link.mtu !== pod.mtu) findings.push(`interface ${ifname} has MTU ${link.mtu}, expected ${pod.mtu}`)
  for (const { address, prefixLength } of pod.addresses) {
    const family = familyOf(address)
    const text = `${formatAddress(address)}/${prefixLength}`
    const found = addresses.find((candidate) => candidate.address === address)
    if (found === undefined) findings.push(`address ${text} on ${ifname} is missing`)
    else if (found.prefixLength !== prefixLength) {
      findings.push(`address ${formatAddress(address)} on ${ifname} has length ${found.prefixLength}, expected ${text}`)
    }
    const gateway: IPAddress = family === 4 ? POD_GATEWAY_IPV4 : POD_GATEWAY_IPV6
    const defaults = routes.filter((route) => route.dst.length === 0 && familyOf(route.dst.address) === family)
    if (!defaults.some((route) => route.gateway === gateway)) {
      findings.push(`default route via ${formatAddress(gateway)} on ${ifname} is missing`)
    }
  }
  return findings
}

function objects(value: unknown): JsonObject[] {
  return Array.isArray(value)
    ? value.filter((entry): entry is JsonObject => typeof entry === 'object' && entry !== null)
    : []
}

/** Where the result the runtime keeps differs from the record. */
function resultFindings(attachment: Attachment, netns: string, prevResult: JsonObject | null): string[] {
  if (prevResult === null) return []
  const interfaces = objects(prevResult['interfaces'])
  const ours = interfaces.findIndex((entry) => entry['name'] === attachment.ifname && entry['sandbox'] === netns)
  if (ours < 0) return [`prevResult has no interface ${attachment.ifname} in ${netns}`]
  const own = new Set(
    attachment.pod.addresses.map(({ address, prefixLength }) => `${formatAddress(address)}/${prefixLength}`),
  )
  return objects(prevResult['ips'])
    .filter((entry) => entry['interface'] === ours)
    .map((entry) => String(entry['address']))
    .filter((address) => !own.has(address))
    .map((address) => `prevResult has address ${address}, which is not assigned to the pod`)
}

/** All divergences of an attachment's own wiring; pure. `netns` is the path the runtime names now. */
export function compareWiring(
  attachment: Attachment,
  facts: WiringFacts,
  netns: string,
  prevResult: JsonObject | null,
): readonly string[] {
  return [
    ...hostFindings(attachment, facts),
    ...podFindings(attachment, facts, netns),
    ...resultFindings(attachment, netns, prevResult),
  ]
}

/** The rest of the daemon's findings; converging may take a moment. */
async function networkFindings(
  context: CniContext,
  attachment: Attachment,
  signal: AbortSignal,
): Promise<readonly string[]> {
  const until = performance.now() + graceMs
  let findings = await context.networking.checkReady(attachment.pod)
  while (findings.length > 0 && performance.now() < until) {
    await delay(graceStepMs, signal)
    findings = await context.networking.checkReady(attachment.pod)
  }
  return findings
}

/** @throws CniError 103 with all findings in its details */
export async function check(context: CniContext, call: CniCall, signal: AbortSignal): Promise<void> {
  const attachment = context.store.get(call.containerId, call.ifname)
  let findings: readonly string[]
  if (attachment === undefined) {
    findings = [`container ${call.containerId} has no attachment ${call.ifname} on this node`]
  } else {
    const facts = await context.wiring.inspect(attachment, call.netns)
    findings = compareWiring(attachment, facts, call.netns, call.prevResult)
    if (findings.length === 0) findings = await networkFindings(context, attachment, signal)
    const uid = call.pod?.uid ?? null
    const { runtimeUid } = attachment
    if (uid !== null && runtimeUid !== null && uid !== runtimeUid) {
      findings = [...findings, `pod UID is ${uid}, but the interface was made for ${runtimeUid}`]
    }
  }
  if (findings.length === 0) return
  throw new CniError(
    cniCode.dataPlaneFailure,
    `CHECK of ${call.ifname} found ${findings.length === 1 ? 'a divergence' : `${findings.length} divergences`}`,
    findings.join('; '),
  )
}
