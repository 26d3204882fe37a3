// The CNI calls of a node, put together: one call at a time per attachment, a deadline for ADD, DEL ends an ADD that still
// runs for the same attachment, metrics and logs per call, a sweep now and then.
import { mkdir } from 'node:fs/promises'
import type { Logger } from '../../telemetry/log.ts'
import type { Registry } from '../../telemetry/metrics.ts'
import { add } from './add.ts'
import { attachmentKey, AttachmentStore } from './attachments.ts'
import { check } from './check.ts'
import type { CniContext } from './context.ts'
import { withDeadline } from './deadline.ts'
import { del } from './del.ts'
import { cniCode, CniError, toCniError, tryAgain } from './errors.ts'
import { GarbageCollector, minimumAge } from './gc.ts'
import { CniMetrics } from './metrics.ts'
import { hostInterfaceName } from './names.ts'
import { JobQueue } from './queue.ts'
import type { CniCall, JsonObject } from './requests.ts'
import { addResult } from './results.ts'
import type { CniHandler } from './server.ts'
import type { Attachment, NetworkStatus, PodNetworking } from './types.ts'
import { PodWiring } from './wiring.ts'

export interface CniServiceOptions {
  readonly networking: PodNetworking
  /** Where attachments are recorded, e.g. /run/cni/hybridnet/attachments; must live as long as namespaces do (tmpfs). */
  readonly stateDirectory: string
  readonly log: Logger
  readonly registry?: Registry
  /** Most milliseconds an ADD waits for addresses and readiness; 30 s unless given. */
  readonly addTimeout?: number
  /** Pods whose interfaces are worked on at once; 32 unless given. */
  readonly parallel?: number
  /** Milliseconds between sweeps for leftovers, 0 for none; 10 min unless given. */
  readonly sweepInterval?: number
  /** Nothing younger is collected, milliseconds; 60 s unless given. */
  readonly collectAfter?: number
}

const urgentCodes: readonly number[] = [
  cniCode.invalidNetworkConfiguration,
  cniCode.inconsistentAddresses,
  cniCode.gatewayUnreachable,
  cniCode.addressConflict,
]

/** Serves CNI calls from {@link open} until {@link close}; independent of how they arrive. */
export class CniService implements CniHandler {
  readonly #context: CniContext
  readonly #collector: GarbageCollector
  readonly #attachmentJobs = new JobQueue(Number.MAX_SAFE_INTEGER)
  /** ADDs in progress, by attachment key. */
  readonly #adds = new Map<string, AbortController>()
  readonly #background = new Set<Promise<void>>()
  #sweepTimer: NodeJS.Timeout | null = null

  private constructor(options: CniServiceOptions, store: AttachmentStore, wiring: PodWiring) {
    const { networking, log } = options
    this.#context = {
      networking,
      store,
      wiring,
      log,
      metrics: options.registry === undefined ? null : new CniMetrics(options.registry),
      kernelJobs: new JobQueue(options.parallel ?? 32),
      addTimeout: options.addTimeout ?? 30_000,
      background: (operation, work) => this.#inBackground(operation, work),
    }
    this.#collector = new GarbageCollector(this.#context, options.collectAfter ?? minimumAge)
    const interval = options.sweepInterval ?? 600_000
    if (interval > 0) {
      this.#sweepTimer = setInterval(() => this.#inBackground('sweep', () => this.#collector.sweep()), interval)
      this.#sweepTimer.unref()
    }
  }

  /**
   * Read the records, adopt what an earlier daemon wired without one, and drop records whose interface is gone.
   *
   * @throws Error when the state directory or the node's namespace cannot be used
   */
  static async open(options: CniServiceOptions): Promise<CniService> {
    await mkdir(options.stateDirectory, { recursive: true, mode: 0o700 })
    const store = await AttachmentStore.open(options.stateDirectory, options.log)
    const wiring = PodWiring.open(options.networking.hostNamespace)
    const service = new CniService(options, store, wiring)
    try {
      await service.#adopt()
    } catch (error) {
      await service.close()
      throw error
    }
    return service
  }

  /** Stop the sweep and wait for what runs in the background. Calls must have ended (see CniServer.stop). */
  async close(): Promise<void> {
    if (this.#sweepTimer !== null) clearInterval(this.#sweepTimer)
    this.#sweepTimer = null
    while (this.#background.size > 0) await Promise.all(this.#background)
    this.#context.wiring.close()
  }

  /** Everything attached on this node now. */
  attachments(): readonly Attachment[] {
    return this.#context.store.list()
  }

  status(): NetworkStatus {
    return this.#context.networking.status()
  }

  /** One sweep for leftovers, besides those of the timer. */
  sweep(): Promise<void> {
    return this.#collector.sweep()
  }

  async handle(call: CniCall, signal: AbortSignal): Promise<JsonObject | null> {
    const attachment = await this.#observed(call, () => this.#dispatch(call, signal))
    return attachment === null ? null : addResult(call.version, attachment, call.prevResult)
  }

  handleV1(call: CniCall, signal: AbortSignal): Promise<Attachment | null> {
    return this.#observed(call, () => this.#dispatch(call, signal))
  }

  async #dispatch(call: CniCall, signal: AbortSignal): Promise<Attachment | null> {
    const key = attachmentKey(call.containerId, call.ifname)
    switch (call.command) {
      case 'ADD':
        return this.#attachmentJobs.run([key], false, signal, () => this.#add(key, call, signal))
      case 'DEL':
        this.#adds.get(key)?.abort(tryAgain('DEL of the same container arrived'))
        await this.#attachmentJobs.run([key], true, signal, () => del(this.#context, call))
        return null
      case 'CHECK':
        await this.#attachmentJobs.run([key], false, signal, () => check(this.#context, call, signal))
        return null
      case 'GC':
        await this.#collector.collect(call)
        return null
      case 'STATUS':
        this.#requireReady()
        return null
    }
  }

  async #add(key: string, call: CniCall, signal: AbortSignal): Promise<Attachment> {
    const { addTimeout } = this.#context
    const controller = new AbortController()
    const follow = (): void => controller.abort(signal.reason)
    if (signal.aborted) follow()
    signal.addEventListener('abort', follow, { once: true })
    this.#adds.set(key, controller)
    const late = (): CniError => tryAgain(`the pod's network was not ready within ${addTimeout / 1000} s`)
    try {
      return await withDeadline(addTimeout, controller.signal, late, (deadline) => add(this.#context, call, deadline))
    } finally {
      this.#adds.delete(key)
      signal.removeEventListener('abort', follow)
    }
  }

  #requireReady(): void {
    const { ready, existingPodsAffected, reasons } = this.status()
    if (ready && !existingPodsAffected) return
    throw new CniError(
      existingPodsAffected ? cniCode.notAvailableAffectingPods : cniCode.notAvailable,
      existingPodsAffected ? 'running pods may have limited connectivity' : 'the node cannot serve pods yet',
      reasons.join('; '),
    )
  }

  async #observed<T>(call: CniCall, work: () => Promise<T>): Promise<T> {
    const { metrics, log, networking } = this.#context
    const { command, containerId, ifname, pod } = call
    const start = performance.now()
    const line = { operation: command, object: pod && `${pod.namespace}/${pod.name}`, containerId, ifname }
    let code = 0
    metrics?.started(command)
    try {
      const result = await work()
      const level = command === 'ADD' || command === 'DEL' ? 'info' : 'debug'
      log[level]({ ...line, milliseconds: Math.round(performance.now() - start) }, 'CNI call served')
      return result
    } catch (error) {
      const failure = toCniError(error)
      code = failure.code
      const { message: reason, details } = failure
      // What the runtime or the cluster has to mend needs no stack.
      if (code === cniCode.internal || code === cniCode.dataPlaneFailure) {
        log.error({ ...line, err: failure, details, code }, 'CNI call failed')
      } else {
        log.warn({ ...line, reason, details, code }, 'CNI call refused')
      }
      if (pod !== null && urgentCodes.includes(code)) networking.onFailed?.(pod, failure)
      throw failure
    } finally {
      metrics?.finished(command, code, performance.now() - start)
    }
  }

  #inBackground(operation: string, work: () => Promise<void>): void {
    const run = Promise.resolve()
      .then(work)
      .catch((error: unknown) => this.#context.log.error({ err: error, operation }, 'background work failed'))
      .finally(() => this.#background.delete(run))
    this.#background.add(run)
  }

  /** Make records and kernel agree: the records of a crashed or foreign daemon may lag behind. */
  async #adopt(): Promise<void> {
    const { store, wiring, networking, log } = this.#context
    const links = new Map((await wiring.hostLinks()).map((link) => [link.name, link.index]))
    for (const attachment of store.list()) {
      if (links.get(attachment.hostInterface) === attachment.hostIndex) continue
      log.info({ object: attachment.hostInterface, operation: 'adopt' }, 'dropped a record whose interface is gone')
      await store.remove(attachment)
      this.#inBackground('detach', () => networking.onDetached(attachment))
    }
    for (const { pod, containerId } of (await networking.assignedPods?.()) ?? []) {
      const hostInterface = hostInterfaceName(pod.namespace, pod.name, 'eth0')
      const hostIndex = links.get(hostInterface)
      if (hostIndex === undefined || containerId === null || store.byHostInterface(hostInterface) !== undefined)
        continue
      const record = { containerId, ifname: 'eth0', netns: '', hostInterface, hostIndex, pod, runtimeUid: null }
      await store.put({ ...record, createdAt: Date.now() })
      log.info({ object: hostInterface, operation: 'adopt' }, 'adopted the interface of an earlier daemon')
    }
  }
}
