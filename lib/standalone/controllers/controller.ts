// What the controllers have in common: a queue of keys fed by watches, events, and an end.
import {
  ApiError,
  EventRecorder,
  involvedObject,
  type Informer,
  type KubeClient,
  objectKey,
  type ObjectMeta,
  type ResourceType,
  WorkQueue,
} from '../../kube/index.ts'
import type { Logger } from '../../telemetry/log.ts'
import type { Caches } from './caches.ts'
import { controllerOf } from './claim.ts'
import { type LabelSelector, selects } from './selector.ts'
import type { Meta } from './types.ts'

export interface ControllerOptions {
  readonly client: KubeClient
  readonly caches: Caches
  readonly log: Logger
}

export abstract class Controller {
  protected readonly client: KubeClient
  protected readonly caches: Caches
  protected readonly log: Logger
  protected readonly queue: WorkQueue
  readonly #events: EventRecorder

  /** @param name as kube-controller-manager calls it, such as `replicaset-controller` */
  protected constructor({ client, caches, log }: ControllerOptions, name: string) {
    this.client = client
    this.caches = caches
    this.log = log.child({ controller: name })
    this.#events = new EventRecorder(client, { component: name, logger: log })
    this.queue = new WorkQueue({
      process: (key) => this.sync(key),
      concurrency: 4,
      baseDelayMs: 10,
      maxDelayMs: 5000,
      onError: (error, object, failures, retryMs) => {
        // A conflict is the ordinary way of finding out that the cache is a moment behind.
        const level = error instanceof ApiError && error.status === 409 ? 'debug' : 'warn'
        this.log[level]({ object, failures, retryMs, err: error }, 'cannot be brought in order')
      },
    })
  }

  /** Begin; the caches are filled. */
  start(): void {
    this.watch()
    this.queue.start()
  }

  async stop(): Promise<void> {
    await this.queue.stop()
    await this.#events.stop(200)
  }

  /** Feed the queue. */
  protected abstract watch(): void

  /** Bring one object in order; a number asks to be called again after that many milliseconds. */
  protected abstract sync(key: string): Promise<number | void>

  protected event(
    kind: ResourceType,
    metadata: ObjectMeta,
    type: 'Normal' | 'Warning',
    reason: string,
    message: string,
  ): void {
    this.#events.event(involvedObject(kind, metadata), type, reason, message)
  }

  /** Queue the owner of each object that changes; for an orphan, everybody who might adopt it. */
  protected watchOwned<
    T extends { readonly metadata: Meta },
    O extends { readonly metadata: Meta; readonly spec: { readonly selector: LabelSelector } },
  >(owned: Informer<T>, owners: Informer<O>, changed: (object: T) => void = () => undefined): void {
    const queueOwner = ({ metadata }: T): void => {
      const uid = controllerOf(metadata)
      if (uid !== undefined) {
        for (const key of owners.store.keysByIndex('uid', uid)) this.queue.add(key)
        return
      }
      for (const owner of owners.store.byIndex('namespace', metadata.namespace)) {
        if (selects(owner.spec.selector, metadata.labels)) this.queue.add(objectKey(owner.metadata))
      }
    }
    owned.onChange(({ object, old }) => {
      changed(object)
      queueOwner(object)
      if (old !== null && controllerOf(old.metadata) !== controllerOf(object.metadata)) queueOwner(old)
    })
  }
}

/** Do something to an object that may be gone or replaced meanwhile; then the watch tells. */
export async function unlessGone(write: Promise<unknown>): Promise<boolean> {
  try {
    await write
    return true
  } catch (error) {
    if (error instanceof ApiError && (error.isNotFound || error.isConflict)) return false
    throw error
  }
}
