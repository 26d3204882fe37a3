// A kubelet without containers: it registers a node, gives each pod bound to it a network namespace wired by the CNI plugins,
// reports what came of it, and takes it down again. One WorkQueue key per pod, level-triggered: each pass compares the pod in
// the API with the sandbox there is.
//
// Kept from the real one, because a network plugin depends on it: a failed ADD is followed by its DEL and tried again with a
// new container id, slower each time; a deleted pod disappears from the API only after its DEL succeeded; a pod of the same
// name is a new pod; leftovers of an earlier life are taken over or removed at start.
//
// Containers are emulated (containers.ts), probes are real (probes.ts). Not here: images, volumes, init containers, evictions
// under pressure, static pods.
import { PODS } from '../../api/index.ts'
import {
  ApiError,
  EventRecorder,
  Informer,
  involvedObject,
  type KubeClient,
  objectKey,
  WorkQueue,
} from '../../kube/index.ts'
import type { Logger } from '../../telemetry/log.ts'
import type { NetworkNamespace } from '../../netlink/index.ts'
import type { CniRuntime } from './cni-runtime.ts'
import { Containers } from './containers.ts'
import { capabilitiesOf } from './capabilities.ts'
import { NodeRegistration } from './node-registration.ts'
import { creatingStatus, finishedStatus, isFinished, type Pod, runningStatus, timestamp } from './pod-status.ts'
import { type Sandbox, SandboxManager } from './sandboxes.ts'

/** A real kubelet stops what an emptied API server does not list; this one gives whoever restores the objects five minutes. */
const REWIND_HOLD_MS = 300_000

export interface KubeletOptions {
  readonly client: KubeClient
  readonly nodeName: string
  /** The node's, where probes come from. */
  readonly namespace: NetworkNamespace
  /** The node's addresses, the preferred first. */
  readonly addresses: readonly string[]
  readonly labels?: Readonly<Record<string, string>>
  readonly runtime: CniRuntime
  /** Of this boot of the node, as in /proc/sys/kernel/random/boot_id. */
  readonly bootId: string
  /** Of the machine, as in /etc/machine-id. */
  readonly machineId: string
  /** Milliseconds between heartbeats. Default 10,000. */
  readonly heartbeatMs?: number
  /** TCP port of the responder in each pod. */
  readonly echoPort: number
  readonly log: Logger
}

export class Kubelet {
  readonly #options: KubeletOptions
  readonly #log: Logger
  readonly #pods: Informer<Pod>
  readonly #queue: WorkQueue
  readonly #registration: NodeRegistration
  readonly #manager: SandboxManager
  readonly #events: EventRecorder
  /** namespace/name → the sandbox of the pod of that name, also of one that was replaced and still has to go. */
  readonly #sandboxes = new Map<string, Sandbox>()
  /** uid → the containers of a pod that has its network. */
  readonly #containers = new Map<string, Containers>()
  /** uid → when the status of a pod in the node's network was first reported. */
  readonly #hostPods = new Map<string, string>()
  #watcher: { close(): void } | null = null

  constructor(options: KubeletOptions) {
    const { client, nodeName } = options
    this.#options = options
    this.#log = options.log
    this.#pods = new Informer<Pod>(client, {
      resource: PODS,
      fieldSelector: `spec.nodeName=${nodeName}`,
      rewindHoldMs: REWIND_HOLD_MS,
      logger: this.#log,
    })
    this.#manager = new SandboxManager(options.runtime, options.echoPort, this.#log)
    this.#events = new EventRecorder(client, { component: 'kubelet', host: nodeName, logger: this.#log })
    this.#queue = new WorkQueue({
      process: (key, signal) => this.#sync(key, signal),
      concurrency: 8,
      baseDelayMs: 100,
      maxDelayMs: 10_000,
      onError: (error, pod, failures) =>
        this.#log.warn({ pod, failures, err: error }, 'pod cannot be brought in order'),
    })
    this.#registration = new NodeRegistration({
      client,
      name: nodeName,
      addresses: options.addresses,
      labels: options.labels ?? {},
      bootId: options.bootId,
      machineId: options.machineId,
      heartbeatMs: options.heartbeatMs ?? 10_000,
      events: this.#events,
      networkProblem: () => this.#networkProblem(),
      log: this.#log,
    })
  }

  /** Register the node, recover the sandboxes there are, and begin with the pods. */
  async start(): Promise<void> {
    await this.#registration.start()
    this.#pods.start()
    await this.#pods.synced
    const kept = await this.#manager.recover((owner) => {
      const pod = this.#pods.store.get(objectKey(owner))
      return pod !== undefined && pod.metadata.uid === owner.uid && !isFinished(pod)
    })
    for (const sandbox of kept) this.#sandboxes.set(objectKey(sandbox.owner), sandbox)
    if (kept.length > 0) await this.#collectGarbage(kept)
    this.#pods.onChange(({ key }) => this.#queue.add(key))
    this.#queue.start()
    this.#watcher = this.#options.runtime.watchConfig(() => {
      this.refreshNode().catch((error: unknown) =>
        this.#log.debug({ err: error }, 'node status waits for the next beat'),
      )
    })
  }

  /** Stop looking after the pods; they keep their sandboxes, but not their responders. */
  async stop(): Promise<void> {
    this.#watcher?.close()
    await Promise.all([this.#registration.stop(), this.#pods.stop(), this.#queue.stop(), this.#manager.stop()])
    await Promise.all([...this.#containers.values()].map((containers) => containers.kill()))
    await Promise.all([...this.#sandboxes.values()].map((sandbox) => sandbox.echo.close()))
    await this.#events.stop(200)
  }

  /** The running sandbox of a pod; null when it has none here. */
  sandbox(namespace: string, name: string): Sandbox | null {
    return this.#sandboxes.get(objectKey({ namespace, name })) ?? null
  }

  /** Look at the CNI configuration now instead of at the next heartbeat. */
  refreshNode(): Promise<void> {
    return this.#registration.refresh()
  }

  /** Of no consequence for the pods; plugins that are not up yet have their own sweeps. */
  async #collectGarbage(kept: readonly Sandbox[]): Promise<void> {
    try {
      await this.#manager.collect(kept)
    } catch (error) {
      this.#log.warn({ err: error }, 'CNI GC failed')
    }
  }

  async #networkProblem(): Promise<string | null> {
    try {
      await this.#options.runtime.configList()
      return null
    } catch (error) {
      return error instanceof Error ? error.message : String(error)
    }
  }

  async #sync(key: string, signal: AbortSignal): Promise<void> {
    const pod = this.#pods.store.get(key)
    const present = this.#sandboxes.get(key)
    if (present !== undefined && present.owner.uid !== pod?.metadata.uid) await this.#teardown(key, present, signal)
    if (pod === undefined) return
    if (pod.metadata.deletionTimestamp !== undefined) return this.#finish(key, pod, signal)
    if (isFinished(pod)) return this.#teardown(key, this.#sandboxes.get(key), signal)
    if (pod.spec.hostNetwork === true) return this.#runHostPod(pod)
    const sandbox = this.#sandboxes.get(key) ?? (await this.#create(key, pod, signal))
    const containers = this.#containersOf(key, pod, sandbox.attachment.netns, sandbox.addresses)
    await this.#report(pod, runningStatus(pod, sandbox, this.#options.addresses, containers.reports()))
  }

  /** The containers of a pod, started when they are not yet. */
  #containersOf(key: string, pod: Pod, netns: string, addresses: readonly string[]): Containers {
    const { uid } = pod.metadata
    const present = this.#containers.get(uid)
    if (present !== undefined) return present
    const containers = new Containers({
      pod,
      target: { node: this.#options.namespace, address: addresses[0] ?? '', netns },
      onChange: () => this.#queue.add(key),
      onEvent: (type, reason, message) => this.#events.event(involvedObject(PODS, pod.metadata), type, reason, message),
    })
    this.#containers.set(uid, containers)
    return containers
  }

  async #create(key: string, pod: Pod, signal: AbortSignal): Promise<Sandbox> {
    const { namespace, name, uid } = pod.metadata
    try {
      const sandbox = await this.#manager.create({ namespace, name, uid }, capabilitiesOf(pod), signal)
      this.#sandboxes.set(key, sandbox)
      this.#log.info({ pod: key, container: sandbox.containerId, addresses: sandbox.addresses }, 'sandbox runs')
      this.#events.event(
        involvedObject(PODS, pod.metadata),
        'Normal',
        'Started',
        `Started sandbox ${sandbox.containerId}`,
      )
      return sandbox
    } catch (error) {
      if (signal.aborted) throw error
      const message = error instanceof Error ? error.message : String(error)
      const text = `Failed to create pod sandbox: ${message}`
      this.#events.event(involvedObject(PODS, pod.metadata), 'Warning', 'FailedCreatePodSandBox', text)
      await this.#report(pod, creatingStatus(pod, this.#options.addresses, message))
      throw error
    }
  }

  async #runHostPod(pod: Pod): Promise<void> {
    const { addresses } = this.#options
    const startedAt = this.#hostPods.get(pod.metadata.uid) ?? timestamp()
    this.#hostPods.set(pod.metadata.uid, startedAt)
    const containers = this.#containersOf(objectKey(pod.metadata), pod, this.#options.namespace.path, addresses)
    const state = { containerId: null, addresses, startedAt }
    await this.#report(pod, runningStatus(pod, state, addresses, containers.reports()))
  }

  /** A pod that was told to go: the end of its containers, DEL, its last status, and then the final deletion, which is the kubelet's to do. */
  async #finish(key: string, pod: Pod, signal: AbortSignal): Promise<void> {
    const { namespace, name, uid, deletionTimestamp = '' } = pod.metadata
    const sandbox = this.#sandboxes.get(key)
    const containers = this.#containers.get(uid)
    if (containers?.ended === false) {
      // The API's time is when the grace period ends. The last of them to end brings the pod back here.
      containers.terminate(Math.max(0, Date.parse(deletionTimestamp) - Date.now()))
      if (!containers.ended) return
    }
    await this.#teardown(key, sandbox, signal)
    this.#hostPods.delete(uid)
    this.#containers.delete(uid)
    if (!isFinished(pod)) await this.#report(pod, finishedStatus(pod, sandbox ?? null, containers?.reports()))
    // Deleted with no grace already: only finalizers keep it.
    if (pod.metadata.deletionGracePeriodSeconds === 0) return
    await ignoreGone(
      this.#options.client.delete(PODS, { namespace, name }, { gracePeriodSeconds: 0, preconditions: { uid } }),
    )
  }

  async #teardown(key: string, sandbox: Sandbox | undefined, signal: AbortSignal): Promise<void> {
    if (sandbox === undefined) return
    const { uid } = sandbox.owner
    await this.#containers.get(uid)?.kill()
    await this.#manager.remove(sandbox, signal)
    // A pod that is deleted tells its end by them.
    if (this.#pods.store.get(key)?.metadata.uid !== uid) this.#containers.delete(uid)
    if (this.#sandboxes.get(key) === sandbox) this.#sandboxes.delete(key)
    this.#log.info({ pod: key, container: sandbox.containerId }, 'sandbox removed')
  }

  /** Write a status unless the API shows it already. */
  async #report(pod: Pod, status: Record<string, unknown>): Promise<void> {
    if (JSON.stringify(comparable({ ...pod.status, ...status })) === JSON.stringify(comparable(pod.status ?? {})))
      return
    const { namespace, name, uid } = pod.metadata
    // The uid makes a status of a pod that was replaced meanwhile fail instead of being shown on its successor.
    await ignoreGone(
      this.#options.client.patchStatus('merge', PODS, { namespace, name }, { metadata: { uid }, status }),
    )
  }
}

/** Deep-sorted by key: what the API returns has another order than what was sent. */
function comparable(value: unknown): unknown {
  if (Array.isArray(value)) return value.map(comparable)
  if (typeof value !== 'object' || value === null) return value
  return Object.fromEntries(
    Object.entries(value)
      .filter(([, member]) => member !== undefined)
      .sort(([a], [b]) => (a < b ? -1 : 1))
      .map(([key, member]) => [key, comparable(member)]),
  )
}

async function ignoreGone(write: Promise<unknown>): Promise<void> {
  try {
    await write
  } catch (error) {
    // Deleted, or replaced by a namesake: the watch brings what is there now.
    if (!(error instanceof ApiError && (error.isNotFound || error.isConflict || isOtherUid(error)))) throw error
  }
}

/** A patch with the uid of a pod that was replaced changes, to the API server, the uid: that is invalid (422). */
function isOtherUid({ isInvalid, statusDetails }: ApiError): boolean {
  return isInvalid && (statusDetails?.causes ?? []).some(({ field }) => field === 'metadata.uid')
}
