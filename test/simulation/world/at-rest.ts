// What must hold when faults are over and nothing changes any more: everybody who can have an address has one, and nothing is
// held without reason; the numbers say what the objects say; and memory is the objects.
import {
  type IPInstance,
  type Network,
  type Pod,
  type Subnet,
  parseSubnet,
  isReserved,
} from '../../../lib/api/index.ts'
import { formatAddress } from '../../../lib/ip/index.ts'
import type { Allocator } from '../../../lib/ipam/index.ts'
import type { Store } from '../server/store.ts'
import { addressOf, familiesOfPod, isFinished, isLeaving, podKeyOf } from './shapes.ts'
import type { Truth } from './truth.ts'
import { Violation } from './violation.ts'

export interface RestOptions {
  readonly store: Store
  readonly truth: Truth
  /** Of the manager that leads, null when none does. */
  readonly allocator: Allocator | null
  /** No request outlived the leadership of its sender. */
  readonly fenced: boolean
}

export function checkAtRest(options: RestOptions): void {
  const { store, truth, allocator, fenced } = options
  if (allocator === null) throw new Violation('somebody leads', 'no manager leads at rest')
  const instances = store.list<IPInstance>('ipinstances')
  const pods = new Map(store.list<Pod>('pods').map((pod) => [podKeyOf(pod), pod]))
  checkHolders(store, instances, pods, fenced)
  checkUnique(instances)
  const counted = checkCounts(store, instances)
  checkMemory(instances, allocator)
  for (const [key, pod] of pods) {
    if (isLeaving(pod)) throw new Violation('what leaves is let go', `pod ${key} is still leaving: ${finalizers(pod)}`)
    if (isFinished(pod) || truth.sandbox(pod.metadata.uid ?? '') !== undefined) continue
    const family = familiesOfPod(pod)
    const underlay = Object.values(pod.metadata.annotations ?? {}).includes('Underlay')
    const network = counted.get(underlay ? 'underlay' : 'overlay')
    const left = Math.min(
      family === 'IPv6Only' ? Infinity : (network?.left4 ?? 0),
      family === 'IPv4Only' ? Infinity : (network?.left6 ?? 0),
    )
    if (left > 0)
      throw new Violation('who can have an address has one', `pod ${key} (${family}) waits, ${left} are free`)
  }
}

const finalizers = (pod: Pod): string => (pod.metadata.finalizers ?? []).join(', ') || 'no finalizer'

/** Each object is held by a pod that is there, or kept for one of a set that is there. */
function checkHolders(
  store: Store,
  instances: readonly IPInstance[],
  pods: ReadonlyMap<string, Pod>,
  fenced: boolean,
): void {
  for (const instance of instances) {
    const { namespace = '', name } = instance.metadata
    const leak = (why: string): never => {
      throw new Violation('no address is leaked', `IPInstance ${namespace}/${name}: ${why}`)
    }
    if (isLeaving(instance)) leak('is still being deleted')
    const binding = instance.spec?.binding
    const pod = pods.get(`${namespace}/${binding?.podName ?? ''}`)
    const owner = instance.metadata.ownerReferences?.[0]
    const set = store.get('statefulsets', `${namespace}/${owner?.name ?? ''}`)
    const isKept = owner?.kind === 'StatefulSet' && set?.metadata.uid === owner.uid
    // Written for a pod of a set after the pod had gone: kept for the next one, though not in the reserved form.
    if (!fenced && isKept) continue
    if (isReserved(instance)) {
      if (!isKept) leak('is reserved for nobody')
      if (pod !== undefined && !isFinished(pod)) leak(`is reserved although pod ${podKeyOf(pod)} is there`)
      if (instance.status?.sandboxID) leak('is reserved with a sandbox')
      continue
    }
    if (pod === undefined) leak(`its pod ${binding?.podName ?? ''} is gone`)
    else if (pod.metadata.uid !== binding?.podUID) leak(`bound to an earlier life of ${podKeyOf(pod)}`)
    else if (isFinished(pod)) leak(`its pod ${podKeyOf(pod)} has finished`)
    else if (pod.spec?.nodeName !== binding?.nodeName) leak(`bound to another node than ${podKeyOf(pod)}`)
  }
}

/** No address twice; one MAC for each pod, and for no other. */
function checkUnique(instances: readonly IPInstance[]): void {
  const addresses = new Map<string, string>()
  const macs = new Map<string, string>()
  const podMacs = new Map<string, string>()
  for (const instance of instances) {
    const { namespace = '', name } = instance.metadata
    const pod = `${namespace}/${instance.spec?.binding?.podName ?? ''}`
    const address = addressOf(instance)
    const other = addresses.get(address)
    if (other !== undefined)
      throw new Violation('one address, one object', `${address}: ${other} and ${namespace}/${name}`)
    addresses.set(address, `${namespace}/${name}`)
    const mac = instance.spec?.address.mac ?? ''
    const holder = macs.get(mac)
    if (holder !== undefined && holder !== pod) throw new Violation('one MAC, one pod', `${mac}: ${holder} and ${pod}`)
    macs.set(mac, pod)
    const own = podMacs.get(pod)
    if (own !== undefined && own !== mac) throw new Violation('one pod, one MAC', `${pod} has ${own} and ${mac}`)
    podMacs.set(pod, mac)
  }
}

/** Statuses of Subnets and Networks against the objects. @returns what is left, by network */
function checkCounts(
  store: Store,
  instances: readonly IPInstance[],
): ReadonlyMap<string, { left4: number; left6: number }> {
  const networks = new Map<string, { left4: number; left6: number; used4: number; used6: number }>()
  const expect = (object: string, what: string, said: unknown, is: number): void => {
    if (said !== is) throw new Violation('counters are the objects', `${object}: ${what} is ${String(said)}, not ${is}`)
  }
  for (const subnet of store.list<Subnet>('subnets')) {
    const range = parseSubnet(subnet).value
    if (!range?.range) throw new Error(`subnet ${subnet.metadata.name} of the simulation is wrong`)
    const used = instances.filter(({ spec }) => spec?.subnet === subnet.metadata.name).length
    const total = Number(BigInt(range.range.end) - BigInt(range.range.start)) + 1
    expect(`Subnet ${subnet.metadata.name}`, 'used', subnet.status?.used ?? undefined, used)
    expect(`Subnet ${subnet.metadata.name}`, 'total', subnet.status?.total ?? undefined, total)
    expect(`Subnet ${subnet.metadata.name}`, 'available', subnet.status?.available ?? undefined, total - used)
    const sum = networks.get(range.network) ?? { left4: 0, left6: 0, used4: 0, used6: 0 }
    if (range.family === 4)
      networks.set(range.network, { ...sum, left4: sum.left4 + total - used, used4: sum.used4 + used })
    else networks.set(range.network, { ...sum, left6: sum.left6 + total - used, used6: sum.used6 + used })
  }
  for (const network of store.list<Network>('networks')) {
    const name = network.metadata.name
    const sum = networks.get(name) ?? { left4: 0, left6: 0, used4: 0, used6: 0 }
    expect(`Network ${name}`, 'used', network.status?.statistics?.used ?? undefined, sum.used4)
    expect(`Network ${name}`, 'used IPv6', network.status?.ipv6Statistics?.used ?? undefined, sum.used6)
    expect(`Network ${name}`, 'available', network.status?.statistics?.available ?? undefined, sum.left4)
  }
  return networks
}

/** The leader's memory against the objects, one to one. */
function checkMemory(instances: readonly IPInstance[], allocator: Allocator): void {
  const objects = instances.map(({ metadata, spec }) => {
    const { subnet, binding } = spec ?? {}
    const phase = binding?.nodeName ? 'live' : 'reserved'
    const pod = `${metadata.namespace ?? ''}/${binding?.podName ?? ''} ${binding?.podUID ?? ''}`
    return `${subnet ?? ''} ${addressOf({ metadata, spec: spec ?? null })} ${phase} ${pod} ${metadata.uid ?? ''}`
  })
  const records = [...allocator.records()].map(({ subnet, address, phase, namespace, pod, podUID, uid }) => {
    return `${subnet} ${formatAddress(address)} ${phase} ${namespace}/${pod} ${podUID} ${uid}`
  })
  const missing = objects.filter((object) => !records.includes(object))
  const extra = records.filter((record) => !objects.includes(record))
  if (missing.length + extra.length > 0) {
    const text = [...missing.map((one) => `object ${one}`), ...extra.map((one) => `memory ${one}`)].join('; ')
    throw new Violation('memory is the objects', text)
  }
}
