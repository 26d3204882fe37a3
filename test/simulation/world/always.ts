// What must hold after every step. State changes by writes to the API and by sandboxes that begin, so each is looked at when it
// happens; nothing else can break a rule in between.
import {
  FINALIZER_IP_ALLOCATED,
  IPINSTANCE_VERSION,
  LABEL_NETWORK,
  LABEL_NODE,
  LABEL_POD,
  LABEL_POD_UID,
  LABEL_SUBNET,
  LABEL_VERSION,
  ANNOTATION_IP_RETAIN,
  addressFromName,
  parseSubnet,
  type IPInstance,
  type Pod,
  type Subnet,
} from '../../../lib/api/index.ts'
import { contains, parseAddress } from '../../../lib/ip/index.ts'
import type { Change, Store } from '../server/store.ts'
import { addressOf, isLeaving, podKeyOf } from './shapes.ts'
import type { Sandbox, Truth } from './truth.ts'
import { Violation } from './violation.ts'

export interface AlwaysOptions {
  readonly store: Store
  readonly truth: Truth
  /** Whether the fence holds: no request of a manager outlives its leadership. Otherwise two objects may meet, and be told apart. */
  readonly fenced: boolean
}

export class Always {
  readonly #store: Store
  readonly #truth: Truth
  readonly #fenced: boolean
  /** IPInstances by address, over all namespaces. */
  readonly #holders = new Map<string, Set<string>>()
  /** Running sandboxes by address. */
  readonly #running = new Map<string, Sandbox>()
  /** Addresses of the last life of a stateful pod that keeps them, by pod. */
  readonly #kept = new Map<string, { readonly set: string; readonly addresses: string }>()
  /** Processes that have built state, in order of their first list of addresses. */
  readonly #builders: string[] = []

  constructor({ store, truth, fenced }: AlwaysOptions) {
    this.#store = store
    this.#truth = truth
    this.#fenced = fenced
    store.onChange((change) => this.#changed(change))
  }

  /** A process was given the list of all addresses: it leads. */
  built(process: string): void {
    if (!this.#builders.includes(process)) this.#builders.push(process)
  }

  /** Whose decisions count. */
  get leader(): string | undefined {
    return this.#builders.at(-1)
  }

  sandbox(sandbox: Sandbox, pod: Pod): void {
    for (const address of sandbox.addresses) {
      const other = this.#running.get(address)
      const clash = other !== undefined && other.uid !== sandbox.uid && this.#truth.isProtected(other.uid)
      if (clash && this.#fenced && this.#truth.isProtected(sandbox.uid)) {
        throw new Violation('one address, two pods', `${address} runs in ${other.pod} and in ${sandbox.pod}`)
      }
      this.#running.set(address, sandbox)
    }
    this.#sameAsBefore(sandbox, pod)
  }

  #sameAsBefore(sandbox: Sandbox, pod: Pod): void {
    const owner = pod.metadata.ownerReferences?.[0]
    if (owner?.kind !== 'StatefulSet' || !retains(pod)) return
    const addresses = [...sandbox.addresses].sort().join(' ')
    const before = this.#kept.get(sandbox.pod)
    this.#kept.set(sandbox.pod, { set: owner.uid, addresses })
    if (before?.set !== owner.uid || before.addresses === addresses) return
    // What a deleted set kept is collected at once, though its pods are still there.
    const set = this.#store.get('statefulsets', `${pod.metadata.namespace ?? ''}/${owner.name}`)
    if (set?.metadata.uid !== owner.uid) return
    throw new Violation(
      'a stateful pod keeps its addresses',
      `${sandbox.pod} had ${before.addresses}, has ${addresses}`,
    )
  }

  #changed(change: Change): void {
    if (change.kind === 'ipinstances') this.#instance(change)
    if (change.kind === 'pods' && change.type === 'ADDED') {
      const pod = change.shown.object as unknown as Pod
      // It gives up what was kept for it.
      if (!retains(pod)) this.#kept.delete(podKeyOf(pod))
    }
    const isManagers = change.by.startsWith('manager-') && change.kind !== 'leases'
    if (this.#fenced && isManagers && this.#builders.includes(change.by) && change.by !== this.leader) {
      const what = `${change.by} wrote ${change.kind} ${change.key} although ${this.leader ?? ''} has built its state`
      throw new Violation('nobody writes after a successor has begun', what)
    }
  }

  #instance({ type, key, before, shown, by }: Change): void {
    const old = before === null ? null : (before.object as unknown as IPInstance)
    const now = type === 'DELETED' ? null : (shown.object as unknown as IPInstance)
    if (old !== null) this.#leavesAlone(old, now, key, by)
    if (now === null) {
      if (old !== null) this.#holders.get(addressOf(old))?.delete(key)
      return
    }
    this.#wellFormed(now, key)
    const address = addressOf(now)
    const holders = this.#holders.get(address) ?? new Set()
    this.#holders.set(address, holders.add(key))
    if (holders.size > 1 && this.#fenced) {
      throw new Violation('one address, one object', `${address} is held by ${[...holders].join(' and ')}`)
    }
  }

  /** What a pod runs with is not taken from it. */
  #leavesAlone(old: IPInstance, now: IPInstance | null, key: string, by: string): void {
    const uid = old.spec?.binding?.podUID ?? ''
    if (uid === '' || isLeaving(old) || !this.#truth.isProtected(uid)) return
    if (!this.#truth.sandbox(uid)?.addresses.includes(addressOf(old))) return
    // Told apart by the duplicate detector: one of two must go.
    if (!this.#fenced && (this.#holders.get(addressOf(old))?.size ?? 0) > 1) return
    const pod = this.#truth.sandbox(uid)?.pod ?? ''
    const take = (what: string): never => {
      throw new Violation('the address of a running pod is left alone', `${by} ${what} ${key} of ${pod}`)
    }
    if (now === null) take('removed')
    else if (isLeaving(now)) {
      // Of a workload that is deleted the collector takes the addresses at once: they must be held until the pods are gone.
      if (by.startsWith('manager-')) take('deleted')
    } else if (!now.spec?.binding?.nodeName) take('reserved')
    else if (now.spec.binding.podUID !== uid) take(`gave to ${now.spec.binding.podUID ?? ''}`)
    else if (addressOf(now) !== addressOf(old)) take('changed the address of')
  }

  /** Names and labels as node daemons read them (manager.md §1.6). */
  #wellFormed(instance: IPInstance, key: string): void {
    const { metadata, spec } = instance
    const wrong = (what: string): never => {
      throw new Violation('objects are as specified', `${key}: ${what}`)
    }
    const address = parseAddress(addressOf(instance))
    if (addressFromName(metadata.name) !== address) wrong(`its address is ${addressOf(instance)}`)
    const binding = spec?.binding
    const labels = metadata.labels ?? {}
    const reserved = !binding?.nodeName
    const expected: Record<string, string | undefined> = {
      [LABEL_VERSION]: IPINSTANCE_VERSION,
      [LABEL_NETWORK]: spec?.network,
      [LABEL_SUBNET]: spec?.subnet,
      [LABEL_POD]: binding?.podName ?? undefined,
      [LABEL_NODE]: reserved ? undefined : (binding?.nodeName ?? undefined),
      [LABEL_POD_UID]: reserved ? undefined : (binding?.podUID ?? undefined),
    }
    for (const [label, value] of Object.entries(expected)) {
      if (labels[label] !== value) wrong(`label ${label} is ${labels[label] ?? 'absent'}, not ${value ?? 'absent'}`)
    }
    if (reserved && binding?.podUID) wrong('reserved with a pod UID')
    if (!isLeaving(instance) && !metadata.finalizers?.includes(FINALIZER_IP_ALLOCATED)) wrong('has not our finalizer')
    if (metadata.ownerReferences?.length !== 1) wrong('has not one owner')
    const subnet = this.#store.get<Subnet>('subnets', spec?.subnet ?? '')
    const range = subnet === undefined ? null : parseSubnet(subnet).value
    if (range === null) return
    if (!contains(range.prefix, address)) wrong(`is not in subnet ${spec?.subnet ?? ''}`)
    if (!spec?.address.ip.endsWith(`/${range.prefix.length}`)) wrong(`has another prefix length than its subnet`)
  }
}

export function retains(pod: Pod): boolean {
  return pod.metadata.annotations?.[ANNOTATION_IP_RETAIN] !== 'false'
}
