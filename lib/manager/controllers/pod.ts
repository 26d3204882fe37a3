// The Pod controller (manager.md §2): gives a pod that is bound to a node its addresses, keeps those of a stateful pod that
// leaves, and releases those of a finished one. One pod is one key; many go at once. What to do is decided in decide/;
// here it is done.
import {
  FINALIZER_IP_ALLOCATED,
  PODS,
  addressesFit,
  isStateful,
  podNameLabel,
  type OwnerReference,
} from '../../api/index.ts'
import { formatAddress } from '../../ip/index.ts'
import { IpamError, type Allocator, type AddressRecord, type Claim } from '../../ipam/index.ts'
import {
  errorText,
  involvedObject,
  isConflict,
  isNotFound,
  type EventRecorder,
  type KubeClient,
  type WorkQueue,
} from '../../kube/index.ts'
import type { Logger } from '../../telemetry/log.ts'
import type { Cluster } from '../cluster.ts'
import { handledConfiguration, ownConfiguration, type Configuration } from '../decide/configuration.ts'
import { ownerOf, retains, type Keeper } from '../decide/owner.ts'
import { holdsSomething, planAgain, planPod, retainedOf, type PodFacts, type PodPlan } from '../decide/pod-plan.ts'
import type { InstanceStore } from '../instance-store.ts'
import { drawMac } from '../macs.ts'
import type { ManagerMetrics } from '../metrics.ts'
import type { Defaults } from '../options.ts'
import { poolAddresses, poolMac } from '../pools.ts'
import { surroundingsOf } from '../surroundings.ts'
import type { PodView } from '../views/pod.ts'
import { VirtualMachines } from '../virtual-machines.ts'
import { Waiters } from '../waiters.ts'
import { controllerQueue } from './frame.ts'
import { leave } from './leaving.ts'
import { reclaim, recordsOfMachine } from './machine.ts'

export interface PodControllerOptions {
  /** With fenced writes. */
  readonly client: KubeClient
  readonly cluster: Cluster
  readonly allocator: Allocator
  readonly store: InstanceStore
  readonly metrics: ManagerMetrics
  readonly events: EventRecorder
  readonly log: Logger
  readonly defaults: Defaults
  readonly concurrency: number
  /** Gate VMIPRetain: addresses of KubeVirt VirtualMachines belong to these, not to their pods. */
  readonly virtualMachines: boolean
}

/** The configuration does not lead to an address; a change of networks, nodes or the pod may. */
class ConfigurationError extends Error {
  override readonly name = 'ConfigurationError'
}

/** A pod whose object vanished without our doing is given this long before it gets another address, milliseconds. */
const VANISHED_MS = 5000

export class PodController {
  readonly queue: WorkQueue
  readonly waiters: Waiters
  readonly #options: PodControllerOptions
  /** Null without the gate. */
  readonly #machines: VirtualMachines | null
  /** Last failure told of each pod, by key: the same one of the same pod is told once. */
  readonly #told = new Map<string, string>()

  constructor(options: PodControllerOptions) {
    this.#options = options
    this.queue = controllerQueue<string>({
      name: 'Pod',
      log: options.log,
      concurrency: options.concurrency,
      process: (key) => this.#process(key),
      onError: (error, key) => this.#failed(error, key),
    })
    this.waiters = new Waiters((key) => {
      this.#again(key)
    })
    this.#machines = options.virtualMachines
      ? new VirtualMachines({
          client: options.client,
          log: options.log,
          onAnswer: (key) => this.queue.add(key),
          onFailure: (key, error) => this.#failed(error, key),
        })
      : null
  }

  start(): void {
    this.queue.start()
    this.#machines?.start()
  }

  async stop(): Promise<void> {
    this.waiters.stop()
    await Promise.all([this.queue.stop(), this.#machines?.stop()])
  }

  /** An IPInstance of the pod is gone: look whether the pod needs another. */
  instanceGone(namespace: string, pod: string): void {
    const key = `${namespace}/${pod}`
    if (this.#options.cluster.pods.store.has(key)) this.queue.addAfter(key, VANISHED_MS)
  }

  /** An address of a VirtualMachine has changed hands: its other pods may have waited for that. @param label its name as a label value */
  machineChanged(namespace: string, label: string): void {
    for (const key of this.#machines?.podsOf(namespace, label) ?? []) this.#again(key)
  }

  /** Look at the pod now, whatever it waits for. */
  #again(key: string): void {
    this.queue.forget(key)
    this.queue.add(key)
  }

  async #process(key: string): Promise<void> {
    const { cluster, allocator, store, metrics } = this.#options
    const pod = cluster.pods.store.get(key)
    if (pod === undefined) {
      for (const other of this.#machines?.forget(key) ?? []) this.#again(other)
      this.waiters.forget(key)
      this.#told.delete(key)
      const [namespace = '', name = ''] = key.split('/')
      for (const record of allocator.ofPod(namespace, name)) await store.settle(record)
      return
    }
    // The API server has forgotten the pod: what it has is left to it, and nothing is written that nobody would collect.
    if (cluster.pods.isHeld(key)) return
    if (pod.terminating || pod.finished) {
      this.waiters.forget(key)
      await leave(pod, { ...this.#options, machines: this.#machines })
      return
    }
    const keeper = this.#keeperOf(pod)
    // It is being asked whose pod it is; the answer brings it back.
    if (keeper === null) return
    const started = performance.now()
    try {
      const type = await this.#serve(pod, keeper)
      if (type !== null) metrics.allocated(type, true, started)
    } catch (error) {
      metrics.allocated(keeper.stateful ? 'stateful' : 'normal', false, started)
      throw error
    }
    this.#told.delete(key)
    this.waiters.forget(key)
    metrics.waiting.set(this.waiters.size)
  }

  /** Whom the pod's addresses are kept for; null when that is not known yet. */
  #keeperOf(pod: PodView): Keeper | null {
    if (isStateful(pod.controller, this.#options.defaults.statefulKinds)) return { stateful: true, machine: null }
    const machine = this.#machines === null ? null : this.#machines.of(pod)
    return machine === undefined ? null : { stateful: false, machine }
  }

  /** @returns what kind of allocation was done, null when the pod had all it needs */
  async #serve(pod: PodView, keeper: Keeper): Promise<'normal' | 'stateful' | null> {
    if (keeper.machine !== null) {
      await reclaim(pod, this.#records(pod, keeper.machine), this.#options)
    }
    const again = planAgain({
      uid: pod.uid,
      addresses: pod.addresses,
      holdings: this.#holdings(pod, keeper.machine),
    })
    if (again !== null) {
      await this.#protect(pod, keeper)
      return await this.#carryOut(pod, keeper, again)
    }
    const facts = this.#facts(pod, keeper)
    // What the pod has it keeps, whatever has become of its configuration (D29).
    const wanted = this.#configure(pod, facts)
    if (wanted.value === null) {
      if (holdsSomething(facts)) return null
      throw new ConfigurationError(wanted.error)
    }
    if (facts.pool !== null && !addressesFit(facts.pool, wanted.value.family)) {
      const pool = facts.pool.map(formatAddress).join('/')
      throw new ConfigurationError(`ip-pool: ${pool} does not fit the ip-family ${wanted.value.family}`)
    }
    let plan = planPod(facts, wanted.value)
    if (plan.kind === 'served') return null
    if (await this.#protect(pod, keeper)) {
      // Another pod of the machine may have been served meanwhile.
      plan = planPod(this.#facts(pod, keeper), wanted.value)
    }
    if (plan.kind === 'drop') {
      await this.#drop(pod, plan.records)
      plan = planPod(this.#facts(pod, keeper), wanted.value)
      // Otherwise what was dropped still goes; its disappearance brings the pod back here.
    }
    return await this.#carryOut(pod, keeper, plan)
  }

  /**
   * Before the first object is written: a pod whose address outlives it is then certain to be seen leaving (manager.md §1.10).
   *
   * @returns whether something was written
   */
  async #protect(pod: PodView, { stateful, machine }: Keeper): Promise<boolean> {
    if ((!stateful && machine === null) || pod.held) return false
    const body = { metadata: { uid: pod.uid, finalizers: [FINALIZER_IP_ALLOCATED] } }
    await this.#options.client.patch('strategic', PODS, pod, body)
    return true
  }

  async #carryOut(pod: PodView, keeper: Keeper, plan: PodPlan): Promise<'normal' | 'stateful' | null> {
    const { allocator, store } = this.#options
    const { stateful, machine } = keeper
    let claims: readonly Claim[]
    let mac: number
    let type: 'normal' | 'stateful' | null = 'normal'
    switch (plan.kind) {
      case 'served':
        return null
      case 'refuse':
        throw new ConfigurationError(plan.reason)
      case 'drop':
        throw new Error(`${plan.records.length} addresses of the pod are still being released`)
      case 'write':
        claims = plan.records.flatMap((record) => allocator.claimOf(record) ?? [])
        mac = plan.records[0]?.mac ?? drawMac(allocator)
        if (claims.length < plan.records.length) throw new Error('the subnet of a claimed address does not serve now')
        break
      case 'allocate':
        mac = plan.mac ?? this.#newMac(pod, stateful, plan.network)
        claims = this.#pick(pod, () => allocator.allocate({ ...plan, pod: refOf(pod), mac }), plan.network)
        break
      case 'assign':
        type = stateful ? 'stateful' : machine === null ? 'normal' : null
        if (plan.drop.length > 0) await this.#drop(pod, plan.drop)
        mac = plan.mac ?? this.#newMac(pod, stateful, plan.network)
        claims = allocator.assign({ ...plan, pod: refOf(pod), mac })
        break
    }
    await store.write(claims, {
      pod,
      owner: ownerOf(pod, keeper),
      stateful,
      retain: machine !== null || retains(pod, this.#options.defaults),
      machine: machine?.name ?? null,
      mac,
    })
    const addresses = claims.map((claim) => formatAddress(claim.address)).join(', ')
    this.#event(pod, 'Normal', 'IPAllocationSucceed', `allocated ${addresses} of network ${claims[0]?.network ?? ''}`)
    return type
  }

  /** A pick that fails for want of addresses is woken when one comes free (D12). */
  #pick(pod: PodView, pick: () => readonly Claim[], network: string): readonly Claim[] {
    try {
      return pick()
    } catch (error) {
      if (error instanceof IpamError && error.isCapacity) this.waiters.forAddress(network, pod.key)
      throw error
    }
  }

  #holdings(pod: PodView, machine: Keeper['machine']): PodFacts['holdings'] {
    const { cluster } = this.#options
    return this.#records(pod, machine).map((record) => ({
      record,
      inUse: cluster.instanceAt(record.namespace, record.address)?.inUse ?? false,
    }))
  }

  #facts(pod: PodView, { stateful, machine }: Keeper): PodFacts {
    const { defaults } = this.#options
    let pool: PodFacts['pool'] = null
    if (stateful && pod.ipPool !== '') {
      const addresses = poolAddresses(pod)
      if (addresses.value === null) throw new ConfigurationError(addresses.error)
      pool = addresses.value
    }
    return {
      uid: pod.uid,
      holdings: this.#holdings(pod, machine),
      running: pod.hasAddress,
      stateful,
      retain: machine !== null || pool !== null || retains(pod, defaults),
      machine: machine?.name ?? null,
      pool,
    }
  }

  /** Records under the pod's name; with a machine those of the machine as well, whichever pod they are with. */
  #records(pod: PodView, machine: OwnerReference | null): readonly AddressRecord[] {
    if (machine === null) return this.#options.allocator.ofPod(pod.namespace, pod.name)
    const label = podNameLabel(machine.name)
    return recordsOfMachine(pod, label, this.#machines?.podsOf(pod.namespace, label) ?? [], this.#options)
  }

  #configure(pod: PodView, facts: PodFacts): { value: Configuration; error: null } | { value: null; error: string } {
    const { cluster, defaults } = this.#options
    const around = surroundingsOf(cluster, pod.nodeName)
    const retained = retainedOf(facts)
    if (facts.machine !== null && retained?.problem) return { value: null, error: retained.problem }
    if (pod.handledByWebhook) return handledConfiguration(pod.wishes, defaults, around)
    if (retained?.problem) return { value: null, error: retained.problem }
    const namespace = cluster.namespaces.store.get(pod.namespace) ?? null
    return ownConfiguration(pod.wishes, namespace, retained, defaults, around)
  }

  #newMac(pod: PodView, stateful: boolean, network: string): number {
    if (!stateful || pod.macPool === '') return drawMac(this.#options.allocator)
    const mac = poolMac(pod, network, this.#options.cluster)
    if (mac.value === null) throw new ConfigurationError(mac.error)
    return mac.value
  }

  async #drop(pod: PodView, records: readonly AddressRecord[]): Promise<void> {
    await this.#options.store.remove(records)
    const addresses = records.map((record) => formatAddress(record.address)).join(', ')
    this.#event(pod, 'Normal', 'IPReleaseSucceed', `released ${addresses}`)
  }

  #failed(error: unknown, key: string): void {
    const { cluster, metrics } = this.#options
    const pod = cluster.pods.store.get(key)
    // A conflict is nobody's fault: the retry sees the newer object.
    if (pod === undefined || isNotFound(error) || isConflict(error)) return
    if (error instanceof ConfigurationError || (error instanceof IpamError && !error.isCapacity)) {
      this.waiters.forConfiguration(key)
    }
    metrics.waiting.set(this.waiters.size)
    const message = errorText(error)
    if (this.#told.get(key) === `${pod.uid} ${message}`) return
    this.#told.set(key, `${pod.uid} ${message}`)
    this.#event(pod, 'Warning', 'IPAllocationFail', message)
  }

  #event(pod: PodView, type: 'Normal' | 'Warning', reason: string, message: string): void {
    this.#options.events.event(involvedObject(PODS, pod), type, reason, message)
  }
}

function refOf(pod: PodView): { namespace: string; name: string; uid: string } {
  return { namespace: pod.namespace, name: pod.name, uid: pod.uid }
}
