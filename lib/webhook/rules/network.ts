// Rules of Networks (api.md §4.2.1). What a single Network must look like is `parseNetwork`, which manager and nodes go by
// too; here follows what needs other objects or the earlier state. An update that leaves the spec as it is passes
// always: finalizers and labels of a Network that is wrong already must stay removable.
import {
  effectiveMode,
  effectiveType,
  isGloballyUnique,
  parseNetwork,
  selectorMatches,
  type Network,
} from '../../api/index.ts'
import { deepEqual } from '../../kube/index.ts'
import { ALLOWED, deny, denyProblems, nameProblems, type Decision } from '../decision.ts'
import { describeHolders, type Holder, type ObjectReads } from '../reads.ts'

const nameOf = (object: Network): string => object.metadata.name

export async function createNetwork(network: Network, reads: ObjectReads): Promise<Decision> {
  const wrong = denyProblems([...nameProblems(nameOf(network)), ...parseNetwork(network).problems])
  if (wrong !== null) return wrong
  const type = effectiveType(network)
  if (type === 'Underlay') return (await selectorOverlap(network, reads)) ?? ALLOWED
  const topology = await reads.topology()
  const other = topology.networks().find((one) => nameOf(one) !== nameOf(network) && effectiveType(one) === type)
  if (isGloballyUnique(type) && other !== undefined) {
    return deny({
      field: 'spec.type',
      value: type,
      why: `there is already the ${type} Network ${JSON.stringify(nameOf(other))}, and a cluster has one`,
      wayOut: 'add a Subnet to that Network, or delete it first',
    })
  }
  return ALLOWED
}

export async function updateNetwork(old: Network, network: Network, reads: ObjectReads): Promise<Decision> {
  if (deepEqual(old.spec ?? null, network.spec ?? null)) return ALLOWED
  const fixed = (field: string, before: unknown, after: unknown): Decision =>
    deny({
      field,
      value: after ?? undefined,
      why: `it cannot be changed from ${before === null ? 'nothing' : JSON.stringify(before)}, as nodes and pods work with it`,
      wayOut: 'create another Network with it and move the pods there',
    })
  const [typeBefore, type] = [effectiveType(old), effectiveType(network)]
  if (type !== typeBefore) return fixed('spec.type', typeBefore, type)
  const [modeBefore, mode] = [effectiveMode(old), effectiveMode(network)]
  if (mode !== modeBefore) return fixed('spec.mode', modeBefore, mode)
  const [idBefore, id] = [old.spec?.netID ?? null, network.spec?.netID ?? null]
  if (id !== idBefore) return fixed('spec.netID', idBefore, id)
  const wrong = denyProblems(parseNetwork(network).problems)
  if (wrong !== null) return wrong
  if (type !== 'Underlay' || deepEqual(old.spec?.nodeSelector ?? {}, network.spec?.nodeSelector ?? {})) return ALLOWED
  return (await selectorOverlap(network, reads)) ?? (await strandedPods(old, network, reads)) ?? ALLOWED
}

export async function deleteNetwork(network: Network, reads: ObjectReads, multiCluster: boolean): Promise<Decision> {
  const name = nameOf(network)
  const topology = await reads.topology()
  const own = topology.subnets().flatMap((subnet) => (subnet.spec?.network === name ? [subnet.metadata.name] : []))
  const holders = await reads.holdersOfNetwork(name)
  if (own.length > 0) {
    const pods = holders.length === 0 ? '' : `, and with them ${describeHolders(holders)} would lose their network`
    return deny({
      field: 'metadata.name',
      value: name,
      why: `the Network still has the Subnets ${own.slice(0, 10).join(', ')}${own.length > 10 ? ` and ${own.length - 10} more` : ''}${pods}`,
      wayOut: 'delete the pods, then the Subnets, then the Network',
    })
  }
  if (holders.length > 0) {
    return deny({
      field: 'metadata.name',
      value: name,
      why: `${holders.length} addresses of the Network are still held: ${describeHolders(holders)}`,
      wayOut: 'delete these pods (and the IPInstances of addresses kept for others) first',
    })
  }
  if (multiCluster && effectiveType(network) === 'Overlay') {
    const remote = await reads.remoteClusters()
    if (remote.length > 0) {
      return deny({
        field: 'metadata.name',
        value: name,
        why: `${remote.length} RemoteClusters are reached through this Overlay Network (${remote.map((one) => one.metadata.name).join(', ')})`,
        wayOut: 'delete the RemoteClusters first',
      })
    }
  }
  if (effectiveMode(network) !== 'BGP') return ALLOWED
  const global = topology.networks().find((one) => effectiveType(one) === 'GlobalBGP')
  if (global === undefined) return ALLOWED
  const nodes = new Set(network.status?.nodeList ?? [])
  const announced = (await reads.holdersOfNetwork(nameOf(global))).filter((holder) => nodes.has(holder.node))
  if (announced.length === 0) return ALLOWED
  return deny({
    field: 'metadata.name',
    value: name,
    why: `pods of the GlobalBGP Network ${JSON.stringify(nameOf(global))} on its nodes are announced by its BGP sessions: ${describeHolders(announced)}`,
    wayOut: 'move these pods to other nodes or delete them first',
  })
}

/** A node belongs to one Underlay Network: the selectors, and what the statuses say, must not meet on one. */
async function selectorOverlap(network: Network, reads: ObjectReads): Promise<Decision | null> {
  const [topology, nodes] = await Promise.all([reads.topology(), reads.nodes()])
  const selector = network.spec?.nodeSelector ?? {}
  const own = nodes.filter((node) => !node.terminating && selectorMatches(selector, node.labels))
  for (const other of topology.networks()) {
    if (nameOf(other) === nameOf(network) || effectiveType(other) !== 'Underlay') continue
    const theirs = other.spec?.nodeSelector ?? {}
    const selects = Object.keys(theirs).length > 0
    const listed = new Set(other.status?.nodeList ?? [])
    const shared = own.find((node) => listed.has(node.name) || (selects && selectorMatches(theirs, node.labels)))
    if (shared === undefined) continue
    return deny({
      field: 'spec.nodeSelector',
      value: selector,
      why: `it selects node ${JSON.stringify(shared.name)}, which belongs to the Underlay Network ${JSON.stringify(nameOf(other))}`,
      wayOut:
        'choose labels that only nodes of this Network have, or take the labels of the other Network off the node',
    })
  }
  return null
}

/**
 * Pods on nodes the changed selector leaves out: those of the Network, and of a BGP Network also those of the GlobalBGP Network,
 * which its sessions announce. The selector before counts as well as the status, which may be behind.
 */
async function strandedPods(old: Network, network: Network, reads: ObjectReads): Promise<Decision | null> {
  const listed = new Set(old.status?.nodeList ?? [])
  const before = old.spec?.nodeSelector ?? {}
  const selected = Object.keys(before).length > 0
  const leaving = new Set(
    (await reads.nodes())
      .filter(({ name, labels }) => listed.has(name) || (selected && selectorMatches(before, labels)))
      .filter(({ labels }) => !selectorMatches(network.spec?.nodeSelector, labels))
      .map(({ name }) => name),
  )
  if (leaving.size === 0) return null
  const names = [nameOf(network)]
  if (effectiveMode(network) === 'BGP') {
    const networks = (await reads.topology()).networks()
    names.push(...networks.filter((one) => effectiveType(one) === 'GlobalBGP').map(nameOf))
  }
  const all = await Promise.all(names.map((name) => reads.holdersOfNetwork(name)))
  const holders = all.flat().filter((holder: Holder) => leaving.has(holder.node) && !holder.terminating)
  if (holders.length === 0) return null
  const nodes = [...new Set(holders.map(({ node }) => node))]
  return deny({
    field: 'spec.nodeSelector',
    value: network.spec?.nodeSelector ?? undefined,
    why: `it leaves out the nodes ${nodes.slice(0, 10).join(', ')}, where pods use this Network: ${describeHolders(holders)}`,
    wayOut: 'drain these nodes first, or keep their labels in the selector',
  })
}
