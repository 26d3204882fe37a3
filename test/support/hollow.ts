// Pods that "run" without a kernel: each is bound to a node by name and reported as running and ready, or not, as a test
// wants; a deleted pod goes when its kubelet would have let it go. For tests of what watches pods.
import { PODS } from '../../lib/api/index.ts'
import { ApiError, Informer, type KubeClient, type KubeObject, objectKey, WorkQueue } from '../../lib/kube/index.ts'

type Pod = KubeObject & { readonly status?: { readonly phase?: string; readonly conditions?: readonly Condition[] } }
interface Condition {
  readonly type: string
  readonly status: string
}
interface Container {
  readonly name: string
  readonly image?: string
}
export interface HollowOptions {
  /** Whether a pod shall be ready; asked at each change of it and by {@link HollowKubelet.look}. Default: always. */
  readonly ready?: (pod: KubeObject) => boolean
  /** Where a pod goes that is not bound; null leaves it pending. Default: `hollow`, which needs no Node. */
  readonly place?: (pod: KubeObject) => string | null
}

export class HollowKubelet {
  readonly #client: KubeClient
  readonly #pods: Informer<Pod>
  readonly #queue: WorkQueue
  readonly #ready: (pod: Pod) => boolean
  readonly #place: (pod: Pod) => string | null
  #addresses = 0

  constructor(client: KubeClient, { ready = () => true, place = () => 'hollow' }: HollowOptions = {}) {
    this.#client = client
    this.#ready = ready
    this.#place = place
    this.#pods = new Informer<Pod>(client, { resource: PODS })
    this.#queue = new WorkQueue({ process: (key) => this.#sync(key), concurrency: 8, maxDelayMs: 100 })
  }

  async start(): Promise<this> {
    this.#pods.onChange(({ key }) => this.#queue.add(key))
    await this.#pods.start().synced
    this.#queue.start()
    return this
  }

  /** Ask again whether pods are ready. */
  look(): void {
    for (const key of this.#pods.store.keys()) this.#queue.add(key)
  }

  pods(): Pod[] {
    return this.#pods.store.list()
  }

  async stop(): Promise<void> {
    await Promise.all([this.#pods.stop(), this.#queue.stop()])
  }

  async #sync(key: string): Promise<void> {
    const pod = this.#pods.store.get(key)
    if (pod === undefined) return
    const { name = '', namespace = '', uid = '', deletionTimestamp } = pod.metadata
    try {
      if (deletionTimestamp !== undefined) {
        await this.#client.delete(PODS, { name, namespace }, { gracePeriodSeconds: 0, preconditions: { uid } })
        return
      }
      if ((pod['spec'] as { nodeName?: string }).nodeName === undefined) {
        const node = this.#place(pod)
        if (node === null) return
        const target = { apiVersion: 'v1', kind: 'Node', name: node }
        const body = { apiVersion: 'v1', kind: 'Binding', metadata: { name, namespace, uid }, target }
        await this.#client.raw('POST', `/api/v1/namespaces/${namespace}/pods/${name}/binding`, { body })
        return
      }
      const status = this.#ready(pod) ? 'True' : 'False'
      const before = pod.status?.conditions?.find(({ type }) => type === 'Ready')?.status
      if (pod.status?.phase === 'Running' && before === status) return
      const conditions = [{ type: 'Ready', status, lastTransitionTime: new Date().toISOString() }]
      const ip = `10.9.${Math.floor(++this.#addresses / 250)}.${(this.#addresses % 250) + 1}`
      const address = before === undefined ? { podIP: ip, podIPs: [{ ip }] } : {}
      const containers = (pod['spec'] as { containers: readonly Container[] }).containers
      const containerStatuses = containers.map(({ name, image = '' }) => ({
        name,
        image,
        imageID: '',
        restartCount: 0,
        ready: status === 'True',
        state: { running: { startedAt: new Date().toISOString().replace(/\.\d+/, '') } },
      }))
      const body = { metadata: { uid }, status: { phase: 'Running', conditions, containerStatuses, ...address } }
      await this.#client.patchStatus('merge', PODS, { name, namespace }, body)
    } catch (error) {
      // Gone or replaced meanwhile; the watch tells.
      if (error instanceof ApiError && (error.isNotFound || error.isConflict)) return
      throw new Error(`hollow pod ${objectKey(pod.metadata)}`, { cause: error })
    }
  }
}
