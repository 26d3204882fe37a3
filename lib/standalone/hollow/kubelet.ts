// The kubelet, the container runtime and the daemon of all hollow nodes in one: it writes to the API what those three write
// about a pod, in their order, and nothing happens besides.
//
//   pod bound ─► its IPInstances bound to it ─► annotation (for Felix) ─► IPInstance status ─► pod status Running
//   pod deleted ─► status Succeeded ─► final deletion
//
// One watch of pods and one of IPInstances serve the whole fleet.
import { randomBytes } from 'node:crypto'
import { ANNOTATION_CALICO_POD_IPS, type IPFamily, IPINSTANCES, PODS } from '../../api/index.ts'
import { ApiError, Informer, type KubeClient, objectKey, WorkQueue } from '../../kube/index.ts'
import type { Logger } from '../../telemetry/log.ts'
import {
  finishedStatus,
  isFinished,
  type Pod,
  runningStatus,
  type SandboxState,
  timestamp,
} from '../nodes/pod-status.ts'
import { addressesOf, type BoundAddress, projectInstance, projectPod } from './projections.ts'

export interface HollowKubeletOptions {
  readonly client: KubeClient
  /** The address of a hollow node by name; undefined for other nodes. */
  readonly addressOf: (node: string) => string | undefined
  readonly defaultFamily: IPFamily
  /** Write the annotation by which Felix learns a pod's addresses, as a daemon does unless told otherwise. */
  readonly calicoAnnotation: boolean
  /** Pods worked on at once. */
  readonly concurrency: number
  readonly log: Logger
}

interface HollowSandbox extends SandboxState {
  readonly uid: string
}

export class HollowKubelet {
  readonly #options: HollowKubeletOptions
  readonly #pods: Informer<Pod>
  readonly #instances: Informer<BoundAddress>
  readonly #queue: WorkQueue
  readonly #sandboxes = new Map<string, HollowSandbox>()
  #started = 0

  constructor(options: HollowKubeletOptions) {
    const { client, addressOf, log } = options
    this.#options = options
    const isOurs = (node: string): boolean => addressOf(node) !== undefined
    this.#pods = new Informer<Pod>(client, { resource: PODS, project: (raw) => projectPod(raw, isOurs), logger: log })
    this.#instances = new Informer<BoundAddress>(client, {
      resource: IPINSTANCES,
      project: (raw) => projectInstance(raw, isOurs),
      indexes: { pod: ({ podUID }) => [podUID] },
      logger: log,
    })
    this.#queue = new WorkQueue({
      process: (key) => this.#sync(key),
      concurrency: options.concurrency,
      baseDelayMs: 100,
      maxDelayMs: 10_000,
      onError: (error, pod, failures) => {
        log[failures > 3 ? 'warn' : 'debug']({ pod, failures, err: error }, 'hollow pod cannot be brought in order')
      },
    })
  }

  /** Pods there are, pods reported as running by this process, and keys still to be worked on. */
  status(): { readonly pods: number; readonly started: number; readonly waiting: number } {
    const { waiting, inFlight } = this.#queue.health()
    return { pods: this.#pods.store.size, started: this.#started, waiting: waiting + inFlight }
  }

  async start(): Promise<void> {
    this.#pods.onChange(({ key }) => this.#queue.add(key))
    this.#instances.onChange(({ type, object }) => {
      if (type !== 'deleted') this.#queue.add(objectKey({ namespace: object.namespace, name: object.podName }))
    })
    await Promise.all([this.#pods.start().synced, this.#instances.start().synced])
    this.#queue.start()
  }

  async stop(): Promise<void> {
    await Promise.all([this.#pods.stop(), this.#instances.stop(), this.#queue.stop()])
  }

  async #sync(key: string): Promise<void> {
    const pod = this.#pods.store.get(key)
    if (this.#sandboxes.get(key)?.uid !== pod?.metadata.uid) this.#sandboxes.delete(key)
    if (pod === undefined) return
    if (pod.metadata.deletionTimestamp !== undefined) return this.#finish(key, pod)
    if (isFinished(pod) || (pod.status?.phase === 'Running' && pod.status.podIP !== undefined)) return
    // Done, and the watch has not shown it yet.
    if (this.#sandboxes.has(key)) return
    await this.#run(key, pod)
  }

  async #run(key: string, pod: Pod): Promise<void> {
    const { addressOf, calicoAnnotation, client, defaultFamily } = this.#options
    const { uid } = pod.metadata
    const node = pod.spec.nodeName ?? ''
    const host = addressOf(node) ?? ''
    if (pod.spec.hostNetwork === true) {
      const sandbox = { uid, containerId: null, addresses: [host], startedAt: timestamp() }
      await this.#report(pod, runningStatus(pod, sandbox, [host]))
      this.#sandboxes.set(key, sandbox)
      return
    }
    const bound = addressesOf(pod, this.#instances.store.byIndex('pod', uid), defaultFamily)
    // Its next IPInstance brings the pod back here.
    if (bound === null) return
    const addresses = bound.map(({ address }) => address)
    const sandbox = { uid, containerId: randomBytes(32).toString('hex'), addresses, startedAt: timestamp() }
    if (calicoAnnotation) {
      const metadata = { uid, annotations: { [ANNOTATION_CALICO_POD_IPS]: addresses.join(',') } }
      await ignoreGone(client.patch('merge', PODS, pod.metadata, { metadata }))
    }
    const status = {
      sandboxID: sandbox.containerId,
      nodeName: node,
      podNamespace: pod.metadata.namespace,
      podName: pod.metadata.name,
      updateTimestamp: sandbox.startedAt,
    }
    const reports = bound.map((instance) => client.patchStatus('merge', IPINSTANCES, instance, { status }))
    await Promise.all(reports.map(ignoreGone))
    await this.#report(pod, runningStatus(pod, sandbox, [host]))
    this.#sandboxes.set(key, sandbox)
    this.#started++
  }

  async #finish(key: string, pod: Pod): Promise<void> {
    const { name, namespace, uid, deletionGracePeriodSeconds } = pod.metadata
    if (!isFinished(pod)) await this.#report(pod, finishedStatus(pod, this.#sandboxes.get(key) ?? null))
    this.#sandboxes.delete(key)
    // Deleted with no grace already: only finalizers keep it.
    if (deletionGracePeriodSeconds === 0) return
    const options = { gracePeriodSeconds: 0, preconditions: { uid } }
    await ignoreGone(this.#options.client.delete(PODS, { namespace, name }, options))
  }

  async #report(pod: Pod, status: Record<string, unknown>): Promise<void> {
    const { namespace, name, uid } = pod.metadata
    // The uid keeps the status of a pod that was replaced meanwhile from its successor.
    const body = { metadata: { uid }, status }
    await ignoreGone(this.#options.client.patchStatus('merge', PODS, { namespace, name }, body))
  }
}

async function ignoreGone(write: Promise<unknown>): Promise<void> {
  try {
    await write
  } catch (error) {
    // Deleted, or replaced by a namesake: the watch brings what is there now.
    if (!(error instanceof ApiError && (error.isNotFound || error.isConflict))) throw error
  }
}
