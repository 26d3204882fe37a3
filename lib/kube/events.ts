// Kubernetes Events (core/v1), as `kubectl describe` shows them. Recording never waits, never throws and never floods:
//
// - the same event again raises `count` of the one already stored (a patch), pending repeats cost one request together;
// - more than ten different messages of one object, type and reason within ten minutes become one combined event;
// - each object has a budget of 25 events, refilled by one every five minutes (client-go's spam filter);
// - a bounded queue; what does not fit, or what the server refuses, is dropped and counted.
import { longLivedAbort } from './abort.ts'
import type { Logger } from '../telemetry/log.ts'
import type { KubeClient } from './client.ts'
import { isNotFound } from './errors.ts'
import { apiVersionOf, type ObjectMeta, type ResourceType } from './types.ts'

export const eventResource: ResourceType = {
  group: '',
  version: 'v1',
  plural: 'events',
  kind: 'Event',
  namespaced: true,
}

/** What an event is about. */
export interface InvolvedObject {
  readonly apiVersion: string
  readonly kind: string
  readonly name: string
  readonly namespace?: string | undefined
  readonly uid?: string | undefined
  readonly resourceVersion?: string | undefined
}

/** The reference of an object, from its kind and metadata. */
export function involvedObject(resource: ResourceType, metadata: Partial<ObjectMeta>): InvolvedObject {
  const { name = '', namespace, uid, resourceVersion } = metadata
  return { apiVersion: apiVersionOf(resource), kind: resource.kind, name, namespace, uid, resourceVersion }
}

export interface EventRecorderOptions {
  /** `source.component`, for instance PodController. */
  readonly component: string
  /** `source.host`, the node of a node agent. */
  readonly host?: string | undefined
  /** Events waiting to be sent at most; 1000. */
  readonly queueSize?: number | undefined
  /** Events of one object at once; 25. */
  readonly burst?: number | undefined
  /** Then one per this time; 300,000. */
  readonly refillMs?: number | undefined
  readonly logger?: Logger | undefined
}

export interface EventRecorderHealth {
  readonly waiting: number
  readonly sent: number
  readonly dropped: number
}

interface Pending {
  readonly key: string
  readonly object: InvolvedObject
  readonly type: string
  readonly reason: string
  message: string
  readonly namespace: string
  readonly first: Date
  last: Date
  count: number
  /** Name of the stored event, null before the first is written. */
  stored: string | null
  queued: boolean
}

/** Longest message the API takes (core/v1 validation), and longest name (RFC 1123 subdomain). */
const messageLimit = 1024
const nameLimit = 253
const combinedPrefix = '(combined from similar events): '
const rememberedKeys = 4096
const similarLimit = 10
const similarMs = 600_000

export class EventRecorder {
  readonly #client: KubeClient
  readonly #options: EventRecorderOptions
  readonly #known = new Recent<Pending>()
  readonly #similar = new Recent<{ messages: Set<string>; since: number }>()
  readonly #budgets = new Recent<{ tokens: number; at: number }>()
  #queue: Pending[] = []
  #pumping: Promise<void> | null = null
  readonly #stopping = longLivedAbort()
  #serial = 0
  #sent = 0
  #dropped = 0

  constructor(client: KubeClient, options: EventRecorderOptions) {
    this.#client = client
    this.#options = options
  }

  /** Record that something happened to an object. Returns at once. */
  event(object: InvolvedObject, type: 'Normal' | 'Warning', reason: string, message: string): void {
    if (this.#stopping.signal.aborted || !this.#allowed(object)) {
      this.#dropped++
      return
    }
    const text = message.length > messageLimit ? `${message.slice(0, messageLimit - 3)}...` : message
    const subject = [object.apiVersion, object.kind, object.namespace, object.name, object.uid, type, reason].join('\0')
    const combined = this.#combine(subject, text)
    const key = `${subject}\0${combined ? '' : text}`
    const pending = this.#known.get(key) ?? this.#new(key, object, type, reason)
    pending.message = combined ? `${combinedPrefix}${text}`.slice(0, messageLimit) : text
    pending.last = new Date()
    pending.count++
    this.#known.set(key, pending)
    if (pending.queued) return
    if (this.#queue.length >= (this.#options.queueSize ?? 1000)) {
      this.#dropped++
      return
    }
    pending.queued = true
    this.#queue.push(pending)
    this.#pumping ??= this.#pump()
  }

  health(): EventRecorderHealth {
    return { waiting: this.#queue.length, sent: this.#sent, dropped: this.#dropped }
  }

  /** Resolves when everything recorded so far has been sent or dropped. */
  async flush(): Promise<void> {
    while (this.#pumping) await this.#pumping
  }

  /** Send what is waiting, for at most `timeoutMs`, then end. */
  async stop(timeoutMs = 2000): Promise<void> {
    const timer = setTimeout(() => this.#stopping.abort(new Error('the event recorder was stopped')), timeoutMs)
    await this.flush()
    clearTimeout(timer)
    this.#stopping.abort(new Error('the event recorder was stopped'))
  }

  #new(key: string, object: InvolvedObject, type: string, reason: string): Pending {
    const time = new Date()
    // Events of cluster-scoped objects live in the default namespace.
    const namespace = object.namespace || 'default'
    const counters = { count: 0, stored: null, queued: false }
    return { key, object, type, reason, message: '', namespace, first: time, last: time, ...counters }
  }

  /** The object's token bucket. */
  #allowed(object: InvolvedObject): boolean {
    const key = [object.kind, object.namespace, object.name, object.uid].join('\0')
    const { burst = 25, refillMs = 300_000 } = this.#options
    const time = performance.now()
    const bucket = this.#budgets.get(key) ?? { tokens: burst, at: time }
    bucket.tokens = Math.min(burst, bucket.tokens + (time - bucket.at) / refillMs)
    bucket.at = time
    this.#budgets.set(key, bucket)
    if (bucket.tokens < 1) return false
    bucket.tokens--
    return true
  }

  /** Whether the subject has had so many different messages lately that they are one. */
  #combine(subject: string, message: string): boolean {
    const time = performance.now()
    let group = this.#similar.get(subject)
    if (!group || time - group.since > similarMs) group = { messages: new Set(), since: time }
    if (group.messages.size <= similarLimit) group.messages.add(message)
    this.#similar.set(subject, group)
    return group.messages.size > similarLimit
  }

  /** Send one after the other; never rejects. */
  async #pump(): Promise<void> {
    for (let next = this.#queue.shift(); next !== undefined; next = this.#queue.shift()) {
      next.queued = false
      try {
        this.#stopping.signal.throwIfAborted()
        await this.#send(next)
        this.#sent++
      } catch (error) {
        this.#dropped++
        const object = `${next.object.kind}/${next.namespace}/${next.object.name}`
        this.#options.logger?.debug({ object, reason: next.reason, err: error }, 'event could not be recorded')
      }
    }
    this.#pumping = null
  }

  async #send(event: Pending): Promise<void> {
    const call = { signal: this.#stopping.signal, timeoutMs: 10_000 }
    const lastTimestamp = seconds(event.last)
    if (event.stored !== null) {
      try {
        const ref = { namespace: event.namespace, name: event.stored }
        const body = { count: event.count, lastTimestamp, message: event.message }
        await this.#client.patch('merge', eventResource, ref, body, call)
        return
      } catch (error) {
        // Events expire in the server after an hour: write a new one, with the count so far.
        if (!isNotFound(error)) throw error
      }
    }
    const { component, host } = this.#options
    const suffix = `.${(BigInt(Date.now()) * 1_000_000n + BigInt(this.#serial++ % 1_000_000)).toString(16)}`
    // With its suffix the name of an object may be longer than a name may be; a cut one must still end well.
    const name = event.object.name.slice(0, nameLimit - suffix.length).replace(/[.-]+$/, '') + suffix
    await this.#client.create(
      eventResource,
      {
        metadata: { name, namespace: event.namespace },
        involvedObject: event.object,
        type: event.type,
        reason: event.reason,
        message: event.message,
        count: event.count,
        firstTimestamp: seconds(event.first),
        lastTimestamp,
        source: { component, ...(host ? { host } : {}) },
        reportingComponent: component,
        reportingInstance: host ?? '',
      },
      call,
    )
    event.stored = name
  }
}

/** metav1.Time: whole seconds. */
const seconds = (time: Date): string => time.toISOString().replace(/\.\d+Z$/, 'Z')

/** A map that forgets what was not used for longest. */
class Recent<V> {
  readonly #map = new Map<string, V>()

  get(key: string): V | undefined {
    return this.#map.get(key)
  }

  set(key: string, value: V): void {
    this.#map.delete(key)
    this.#map.set(key, value)
    if (this.#map.size <= rememberedKeys) return
    for (const oldest of this.#map.keys()) {
      this.#map.delete(oldest)
      return
    }
  }
}
