// The objects a churn is judged by, as they are in the API at one moment, and what follows from them alone: every pod that
// can run runs with its own addresses, no address is held twice or for nobody, the numbers in statuses are true.
import {
  IPINSTANCES,
  NAMESPACES,
  NETWORKS,
  NODEINFOS,
  NODES,
  PODS,
  SPECIFIED_SUBNET,
  SUBNETS,
  type IPInstance,
  type Network,
  type NodeInfo,
  type Pod,
  type Subnet,
} from '../../../lib/api/index.ts'
import type { KubeClient, KubeObject } from '../../../lib/kube/index.ts'
import { DEPLOYMENTS, STATEFUL_SETS } from '../../../lib/standalone/controllers/index.ts'
import { toNumber } from './blocks.ts'

export interface WorkloadObject extends KubeObject {
  readonly spec: { readonly replicas?: number }
  readonly status?: {
    readonly replicas?: number
    readonly readyReplicas?: number
    readonly observedGeneration?: number
  }
}

export interface NodeObject extends KubeObject {
  readonly status?: { readonly addresses?: readonly { readonly type: string; readonly address: string }[] }
}

export interface Objects {
  readonly pods: readonly Pod[]
  readonly instances: readonly IPInstance[]
  readonly subnets: readonly Subnet[]
  readonly networks: readonly Network[]
  readonly nodeInfos: readonly NodeInfo[]
  readonly nodes: readonly NodeObject[]
  readonly namespaces: readonly KubeObject[]
  readonly deployments: readonly WorkloadObject[]
  readonly statefulSets: readonly WorkloadObject[]
}

export async function readObjects(client: KubeClient): Promise<Objects> {
  const all = async <T>(resource: Parameters<KubeClient['list']>[0]): Promise<T[]> =>
    (await client.list(resource)).items as T[]
  const [pods, instances, subnets, networks, nodeInfos, nodes, namespaces, deployments, statefulSets] =
    await Promise.all([
      all<Pod>(PODS),
      all<IPInstance>(IPINSTANCES),
      all<Subnet>(SUBNETS),
      all<Network>(NETWORKS),
      all<NodeInfo>(NODEINFOS),
      all<NodeObject>(NODES),
      all<KubeObject>(NAMESPACES),
      all<WorkloadObject>(DEPLOYMENTS),
      all<WorkloadObject>(STATEFUL_SETS),
    ])
  return { pods, instances, subnets, networks, nodeInfos, nodes, namespaces, deployments, statefulSets }
}

export const keyOf = ({
  metadata,
}: {
  readonly metadata: { readonly namespace?: string; readonly name?: string }
}): string => `${metadata.namespace ?? ''}/${metadata.name ?? ''}`

export const addressOf = (instance: IPInstance): string => (instance.spec?.address.ip ?? '').split('/')[0] ?? ''
export const podAddresses = (pod: Pod): string[] => (pod.status?.podIPs ?? []).map(({ ip }) => ip)
export const isRunning = (pod: Pod): boolean =>
  pod.status?.phase === 'Running' && pod.metadata.deletionTimestamp === undefined

/** Addresses of a subnet a pod may get. */
export function capacityOf(subnet: Subnet): number {
  const range = subnet.spec?.range
  if (!range?.start || !range.end) return Infinity
  const size = Number(toNumber(range.end).value - toNumber(range.start).value) + 1
  return size - (range.excludeIPs ?? []).length
}

/** Why a pod may still wait; null when it has to run. */
export function excuse(pod: Pod, { subnets, instances }: Objects): string | null {
  const name = pod.metadata.annotations?.[SPECIFIED_SUBNET]
  if (name === undefined) return null
  const subnet = subnets.find((one) => one.metadata.name === name)
  if (subnet === undefined) return `there is no subnet ${name}`
  const held = instances.filter((instance) => instance.spec?.subnet === name).length
  return held >= capacityOf(subnet) ? `subnet ${name} has no free address` : null
}

const sorted = (texts: Iterable<string>): string => [...texts].sort().join(' ')

/** @param wanted plain pods that were made and not deleted, `namespace/name` */
export function objectProblems(objects: Objects, wanted: ReadonlySet<string>): string[] {
  return [
    ...podProblems(objects, wanted),
    ...workloadProblems(objects),
    ...instanceProblems(objects),
    ...statusProblems(objects),
  ]
}

function podProblems(objects: Objects, wanted: ReadonlySet<string>): string[] {
  const problems: string[] = []
  const plain = new Set<string>()
  const byUid = new Map<string, IPInstance[]>()
  for (const instance of objects.instances) {
    const uid = instance.spec?.binding?.podUID ?? ''
    byUid.set(uid, [...(byUid.get(uid) ?? []), instance])
  }
  for (const pod of objects.pods) {
    const key = keyOf(pod)
    if ((pod.metadata.ownerReferences ?? []).length === 0) plain.add(key)
    if (pod.metadata.deletionTimestamp !== undefined) problems.push(`pod ${key} is still being deleted`)
    const own = byUid.get(pod.metadata.uid ?? '') ?? []
    if (!isRunning(pod)) {
      if (excuse(pod, objects) === null) problems.push(`pod ${key} is ${pod.status?.phase ?? 'nothing'}, not Running`)
      if (own.length > 0) problems.push(`pod ${key} does not run and holds ${sorted(own.map(addressOf))}`)
      continue
    }
    const addresses = podAddresses(pod)
    if (addresses.length === 0) problems.push(`pod ${key} runs without an address`)
    if (sorted(own.map(addressOf)) !== sorted(addresses))
      problems.push(`pod ${key} has ${sorted(addresses)}; its IPInstances say ${sorted(own.map(addressOf))}`)
    for (const instance of own) {
      const { binding } = instance.spec ?? {}
      if (binding?.nodeName !== pod.spec?.nodeName || binding?.podName !== pod.metadata.name)
        problems.push(
          `IPInstance ${keyOf(instance)} is bound to ${binding?.podName} on ${binding?.nodeName}, not to ${key}`,
        )
      if (instance.metadata.namespace !== pod.metadata.namespace)
        problems.push(`IPInstance ${keyOf(instance)} of pod ${key} is in another namespace`)
    }
  }
  for (const key of wanted) if (!plain.has(key)) problems.push(`pod ${key} is gone, and nobody deleted it`)
  for (const key of plain) if (!wanted.has(key)) problems.push(`pod ${key} is there, though it was deleted`)
  return problems
}

function workloadProblems({ deployments, statefulSets, pods, namespaces }: Objects): string[] {
  const problems: string[] = []
  for (const namespace of namespaces)
    if (namespace.metadata.deletionTimestamp !== undefined)
      problems.push(`namespace ${namespace.metadata.name} is still going`)
  for (const [kind, list] of [
    ['Deployment', deployments],
    ['StatefulSet', statefulSets],
  ] as const) {
    for (const workload of list) {
      const replicas = workload.spec.replicas ?? 1
      const { replicas: there = 0, readyReplicas: ready = 0 } = workload.status ?? {}
      if (there !== replicas || ready !== replicas)
        problems.push(`${kind} ${keyOf(workload)} has ${there} pods, ${ready} ready, of ${replicas}`)
      const prefix = new RegExp(`^${workload.metadata.name ?? ''}-`)
      const own = pods.filter(
        ({ metadata }) => metadata.namespace === workload.metadata.namespace && prefix.test(metadata.name ?? ''),
      )
      if (own.length !== replicas) problems.push(`${kind} ${keyOf(workload)}: ${own.length} pods of ${replicas}`)
    }
  }
  return problems
}

/** Each is of a pod that runs, or kept for an ordinal of a StatefulSet that exists. */
function instanceProblems({ instances, pods, statefulSets, subnets }: Objects): string[] {
  const problems: string[] = []
  const holders = new Map<string, string>()
  const macs = new Map<string, string>()
  const uids = new Set(pods.map(({ metadata }) => metadata.uid))
  for (const instance of instances) {
    const key = keyOf(instance)
    const address = addressOf(instance)
    const other = holders.get(address)
    if (other !== undefined) problems.push(`address ${address} is held twice: ${other} and ${key}`)
    holders.set(address, key)
    if (instance.metadata.deletionTimestamp !== undefined) problems.push(`IPInstance ${key} is still being deleted`)
    if (!subnets.some(({ metadata }) => metadata.name === instance.spec?.subnet))
      problems.push(`IPInstance ${key} is of subnet ${instance.spec?.subnet}, which is not there`)
    const binding = instance.spec?.binding
    const owner = `${instance.metadata.namespace}/${binding?.podName}`
    const mac = instance.spec?.address.mac ?? ''
    const macOwner = macs.get(mac)
    if (macOwner !== undefined && macOwner !== owner) problems.push(`MAC ${mac} is of ${macOwner} and ${owner}`)
    macs.set(mac, owner)
    if (binding?.podUID && uids.has(binding.podUID)) continue
    const set = statefulSets.find(({ metadata }) => metadata.uid === binding?.referredObject?.uid)
    if (set === undefined || binding?.referredObject?.kind !== 'StatefulSet')
      problems.push(`IPInstance ${key} is leaked: of pod ${owner}, which is gone`)
    else if (binding.podUID || binding.nodeName) problems.push(`IPInstance ${key} of ${owner} is not reserved`)
    else if (pods.some((pod) => keyOf(pod) === owner)) problems.push(`IPInstance ${key} was left behind by ${owner}`)
  }
  return problems
}

/** What the manager says it has, against the objects. */
function statusProblems({ subnets, networks, instances, nodes }: Objects): string[] {
  const problems: string[] = []
  for (const subnet of subnets) {
    const { name } = subnet.metadata
    const held = instances.filter((instance) => instance.spec?.subnet === name).length
    const { used = 0, available = 0, total = 0 } = subnet.status ?? {}
    if (used !== held) problems.push(`subnet ${name}: status says ${used} used, there are ${held} IPInstances`)
    // An IPv6 subnet has more addresses than the field can say.
    if (total !== 2 ** 31 - 1 && (available ?? 0) + (used ?? 0) !== total)
      problems.push(`subnet ${name}: ${available} available and ${used} used are not ${total}`)
    const capacity = capacityOf(subnet)
    if (capacity !== Infinity && total !== capacity)
      problems.push(`subnet ${name}: status says ${total} addresses of ${capacity}`)
  }
  for (const network of networks) {
    const { name } = network.metadata
    const list = sorted(network.status?.nodeList ?? [])
    const there = sorted(nodes.map(({ metadata }) => metadata.name ?? ''))
    if (list !== there) problems.push(`network ${name}: nodeList '${list}', nodes '${there}'`)
    const own = subnets.filter(({ spec }) => spec?.network === name)
    const listed = sorted(network.status?.subnetList ?? [])
    const owned = sorted(own.map(({ metadata }) => metadata.name ?? ''))
    if (listed !== owned) problems.push(`network ${name}: subnetList '${listed}', subnets '${owned}'`)
    for (const [version, count] of [
      ['4', network.status?.statistics],
      ['6', network.status?.ipv6Statistics],
    ] as const) {
      const held = instances.filter(({ spec }) => spec?.network === name && spec.address.version === version).length
      if ((count?.used ?? 0) !== held)
        problems.push(`network ${name}: status says ${count?.used} of IPv${version} used, there are ${held}`)
    }
  }
  return problems
}
