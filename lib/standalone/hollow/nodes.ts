// What a hollow node says of itself in the API: its Node, its status, its Lease and, as its daemon would, its NodeInfo. Pure.
//
// Node number i has the address 198.18.0.0 + i (the benchmark range of RFC 2544, 131,070 nodes) and the MAC
// 02:68:00:00:00:00 + i; both are its tunnel endpoint. Nothing answers there.
import type { OwnerReference } from '../../api/index.ts'
import { formatAddress, formatMac, parseAddress } from '../../ip/index.ts'
import { type Condition, nodeStatus } from '../nodes/pod-status.ts'

/** So many addresses the range has. */
export const MAX_HOLLOW_NODES = 2 ** 17 - 2

/** On every hollow Node, with the value `true`: for node selectors of what is, or is not, to run there. */
export const HOLLOW_LABEL = 'hollow'

const firstAddress = parseAddress('198.18.0.0') as number
const firstMac = 0x0268_0000_0000

export interface HollowNode {
  readonly name: string
  /** Dotted IPv4: InternalIP and address of the tunnel endpoint. */
  readonly address: string
  /** Of the tunnel endpoint. */
  readonly mac: string
}

/** Node number `index`, from 1, of a fleet whose names begin with `prefix`. */
export function hollowNode(index: number, prefix: string): HollowNode {
  return {
    name: `${prefix}${index}`,
    address: formatAddress(firstAddress + index),
    mac: formatMac(firstMac + index),
  }
}

export function nodeObject(
  { name }: HollowNode,
  labels: Readonly<Record<string, string>>,
): { metadata: { name: string; labels: Record<string, string> }; spec: object } {
  const own = { 'kubernetes.io/hostname': name, 'kubernetes.io/os': 'linux', 'kubernetes.io/arch': 'amd64' }
  return { metadata: { name, labels: { ...own, [HOLLOW_LABEL]: 'true', ...labels } }, spec: {} }
}

/** `status` of a Node that is well. Times are RFC 3339: since when it is, and of the heartbeat. */
export function hollowStatus(node: HollowNode, readySince: string, now: string): Record<string, unknown> {
  const present: Condition[] = [{ type: 'Ready', status: 'True', lastTransitionTime: readySince }]
  const { name, address } = node
  const status = nodeStatus({ name, addresses: [address], bootId: name, machineId: name, present }, null)
  const conditions = (status['conditions'] as Condition[]).map((condition) => ({
    ...condition,
    lastHeartbeatTime: now,
  }))
  return { ...status, conditions }
}

/** The NodeInfo the daemon of such a node publishes (spec/dataplane §3.3), owned by its Node. */
export function nodeInfoObject(
  node: HollowNode,
  nodeUid: string,
): { metadata: { name: string; ownerReferences: OwnerReference[] }; spec: object } {
  const owner = { apiVersion: 'v1', kind: 'Node', name: node.name, uid: nodeUid }
  return {
    metadata: { name: node.name, ownerReferences: [{ ...owner, controller: true, blockOwnerDeletion: false }] },
    spec: { vtepInfo: { ip: node.address, mac: node.mac, localIPs: [node.address] } },
  }
}

/** Kubelet's own number. */
const leaseDurationSeconds = 40

/** `spec` of the Lease in kube-node-lease, renewed now. */
export function leaseSpec({ name }: HollowNode): Record<string, unknown> {
  const renewTime = new Date().toISOString().replace('Z', '000Z')
  return { holderIdentity: name, leaseDurationSeconds, renewTime }
}
