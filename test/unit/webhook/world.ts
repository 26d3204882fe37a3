// A cluster in memory for the rules: what a test puts in is what they read.
import type {
  Network,
  OwnerReference,
  Pod,
  RemoteCluster,
  RemoteSubnet,
  Subnet,
  Wishes,
} from '../../../lib/api/index.ts'
import type { Decision } from '../../../lib/webhook/decision.ts'
import { holderOf, topologyOf } from '../../../lib/webhook/live.ts'
import type { Holder, NodeFact, ObjectReads, PodReads, Topology } from '../../../lib/webhook/reads.ts'
import * as assert from 'uvu/assert'

export const N = 'networking.alibaba.com/'

export const network = (name: string, spec: object, status: object = {}): Network => ({
  metadata: { name },
  spec,
  status,
})

export const subnet = (name: string, network: string, range: object, spec: object = {}, status: object = {}): Subnet =>
  ({ metadata: { name }, spec: { network, range: { version: '4', ...range }, ...spec }, status }) as Subnet

export function holder(address: string, pod: string, more: Record<string, string> = {}, terminating = false): Holder {
  const labels = Object.fromEntries(
    Object.entries({ pod, node: 'n1', network: 'over', subnet: 'over4', ...more }).map(([key, value]) => [
      N + key,
      value,
    ]),
  )
  const name = address.replaceAll(/[.:]/g, '-')
  const deletion = terminating ? { deletionTimestamp: '2026-01-01T00:00:00Z' } : {}
  return holderOf({ metadata: { name, namespace: 'default', labels, ...deletion } })
}

export class World implements ObjectReads, PodReads {
  networkList: Network[] = []
  subnetList: Subnet[] = []
  nodeList: NodeFact[] = []
  holders: Holder[] = []
  clusters: RemoteCluster[] = []
  remote: RemoteSubnet[] = []
  /** Of every VirtualMachineInstance. */
  machine: OwnerReference | null = null
  /** Addresses of VirtualMachines by name. */
  machineHolders: Record<string, Holder[]> = {}
  namespaces: Record<string, Wishes> = { default: { network: '', subnet: '', type: '', family: '' } }

  constructor(parts: Partial<World> = {}) {
    Object.assign(this, parts)
  }

  topology = (): Promise<Topology> => Promise.resolve(topologyOf(this.networkList, this.subnetList))
  nodes = (): Promise<NodeFact[]> => Promise.resolve(this.nodeList)
  holdersOfSubnet = (name: string): Promise<Holder[]> =>
    Promise.resolve(this.holders.filter((one) => one.subnet === name))
  holdersOfNetwork = (name: string): Promise<Holder[]> =>
    Promise.resolve(this.holders.filter((one) => one.network === name))
  holdersOfPod = (namespace: string, pod: string): Promise<Holder[]> =>
    Promise.resolve(this.holders.filter((one) => one.namespace === namespace && one.pod === pod))
  machineOf = (): Promise<OwnerReference | null> => Promise.resolve(this.machine)
  holdersOfMachine = (_namespace: string, name: string): Promise<Holder[]> =>
    Promise.resolve(this.machineHolders[name] ?? [])
  remoteClusters = (): Promise<RemoteCluster[]> => Promise.resolve(this.clusters)
  remoteSubnets = (): Promise<RemoteSubnet[]> => Promise.resolve(this.remote)
  namespaceWishes = (name: string): Promise<Wishes | null> => Promise.resolve(this.namespaces[name] ?? null)
}

export function accepts(decision: Decision, about = ''): void {
  assert.is(decision.allowed ? '' : decision.message, '', about)
}

/** Refused with 403, and the message has every part: the field, the value, the way out. */
export function refuses(decision: Decision, ...parts: readonly (string | RegExp)[]): void {
  if (decision.allowed) {
    assert.unreachable(`admitted, expected a refusal with ${parts.join(', ')}`)
    return
  }
  assert.is(decision.code, 403)
  for (const part of parts) {
    const found = typeof part === 'string' ? decision.message.includes(part) : part.test(decision.message)
    assert.ok(found, `${JSON.stringify(decision.message)} lacks ${String(part)}`)
  }
}

/** Annotations by short names; a stateful pod when `owner` is given. */
export function pod(annotations: Record<string, string> = {}, spec: object = {}, owner: string | null = null): Pod {
  const texts = Object.fromEntries(Object.entries(annotations).map(([key, value]) => [N + key, value]))
  const owners = owner === null ? [] : [{ apiVersion: 'apps/v1', kind: owner, name: 'web', uid: 'u', controller: true }]
  return {
    metadata: { name: 'web-0', namespace: 'default', annotations: texts, ownerReferences: owners },
    spec,
  }
}
