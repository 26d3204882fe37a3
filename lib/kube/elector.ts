// Leader election on a coordination.k8s.io/v1 Lease, with client-go's protocol: holder, duration, renew time; updates by
// resource version. Its clocks are never compared between machines: another's lease has run out when *this* process has
// watched it unchanged for its duration.
//
// Fencing. Leadership counts from the moment before the renewing request was sent. `isLeader()` is false as soon as the
// renew deadline has passed since then, whatever timers, the event loop or a suspended machine did meanwhile; it never
// becomes true again, and `signal` is aborted. As the deadline (10 s) is shorter than the lease (15 s), writes sent while
// `isLeader()` and bounded by `writeTimeoutMs` are over before anybody else can lead. An elector leads once: after a
// loss make a new one, or exit.
import { longLivedAbort } from './abort.ts'
import { hostname } from 'node:os'
import { randomUUID } from 'node:crypto'
import type { Logger } from '../telemetry/log.ts'
import { jittered, sleep } from './backoff.ts'
import type { KubeClient } from './client.ts'
import { FencedError, errorText, isAlreadyExists, isConflict, isNotFound } from './errors.ts'
import type { Fence } from './requester.ts'
import type { ObjectMeta, ResourceType } from './types.ts'

export const leaseResource: ResourceType = {
  group: 'coordination.k8s.io',
  version: 'v1',
  plural: 'leases',
  kind: 'Lease',
  namespaced: true,
}

export interface LeaseSpec {
  holderIdentity?: string
  leaseDurationSeconds?: number
  acquireTime?: string
  renewTime?: string
  leaseTransitions?: number
}

export interface Lease {
  metadata: ObjectMeta
  spec?: LeaseSpec
}

export interface LeaderElectorOptions {
  /** Name and namespace of the Lease. */
  readonly name: string
  readonly namespace: string
  /** Must be unique per process; host name and a random part unless given. */
  readonly identity?: string | undefined
  /** How long others wait after the last renewal they saw; 15,000. The Lease carries it in whole seconds, rounded up. */
  readonly leaseDurationMs?: number | undefined
  /** How long leadership lasts without renewal; 10,000. */
  readonly renewDeadlineMs?: number | undefined
  /** Pause between attempts; 2,000. */
  readonly retryPeriodMs?: number | undefined
  readonly logger?: Logger | undefined
  /** Another holder was observed; '' for none. */
  readonly onNewLeader?: ((identity: string) => void) | undefined
}

/** A moment on both clocks: the monotonic one stands still while the machine is suspended, the other may be set. */
interface Moment {
  readonly monotonic: number
  readonly wall: number
}

const now = (): Moment => ({ monotonic: performance.now(), wall: Date.now() })
const longest = (since: Moment): number => Math.max(performance.now() - since.monotonic, Date.now() - since.wall)
const shortest = (since: Moment): number => Math.min(performance.now() - since.monotonic, Date.now() - since.wall)

export class LeaderElector implements Fence {
  readonly identity: string
  /** Aborted when leadership is lost, or at stop(); the reason is a FencedError. */
  readonly signal: AbortSignal
  readonly writeTimeoutMs: number
  /** Resolves when this process leads; rejects when stopped before. */
  readonly acquired: Promise<void>
  /** Resolves with the reason when leadership has been lost or the elector was stopped. */
  readonly ended: Promise<Error>

  readonly #client: KubeClient
  readonly #options: LeaderElectorOptions
  readonly #leaseMs: number
  readonly #deadlineMs: number
  readonly #retryMs: number
  readonly #controller = longLivedAbort()
  #settle: { resolve: () => void; reject: (error: Error) => void } | null = null
  #running: Promise<void> | null = null
  #lease: Lease | null = null
  #observed: { text: string; at: Moment } = { text: '', at: now() }
  #holder: string | null = null
  /** Just before the request was sent that acquired or last renewed the lease; null when not leading. */
  #renewed: Moment | null = null
  #timer: NodeJS.Timeout | null = null

  constructor(client: KubeClient, options: LeaderElectorOptions) {
    this.#client = client
    this.#options = options
    this.#leaseMs = options.leaseDurationMs ?? 15_000
    this.#deadlineMs = options.renewDeadlineMs ?? 10_000
    this.#retryMs = options.retryPeriodMs ?? 2_000
    if (!(this.#leaseMs > this.#deadlineMs)) {
      throw new RangeError(
        `lease duration ${this.#leaseMs} ms must be more than the renew deadline ${this.#deadlineMs} ms`,
      )
    }
    if (!(this.#deadlineMs > 1.2 * this.#retryMs && this.#retryMs > 0)) {
      throw new RangeError(
        `renew deadline ${this.#deadlineMs} ms must exceed 1.2 × the retry period ${this.#retryMs} ms`,
      )
    }
    this.identity = options.identity ?? `${hostname()}_${randomUUID()}`
    this.writeTimeoutMs = Math.floor((this.#leaseMs - this.#deadlineMs) * 0.8)
    this.signal = this.#controller.signal
    this.acquired = new Promise((resolve, reject) => (this.#settle = { resolve, reject }))
    this.acquired.catch(() => undefined)
    this.ended = new Promise((resolve) => {
      this.signal.addEventListener('abort', () => resolve(this.signal.reason as Error), { once: true })
    })
  }

  /** Identity of the holder last observed; null before the first look, '' when nobody holds the lease. */
  get holder(): string | null {
    return this.#holder
  }

  /** leaseTransitions of the lease last seen. */
  get transitions(): number {
    return this.#lease?.spec?.leaseTransitions ?? 0
  }

  /** Whether writes are allowed now. Once false after having been true, false for ever. */
  isLeader(): boolean {
    if (this.#renewed === null) return false
    if (longest(this.#renewed) < this.#deadlineMs) return true
    this.#end(new FencedError(`leadership of ${this.#name} lost: not renewed within ${this.#deadlineMs} ms`))
    return false
  }

  start(): this {
    if (this.signal.aborted) throw new Error(`elector of ${this.#name}: started after it ended`)
    this.#running ??= this.#run()
    return this
  }

  /**
   * Give leadership up. Call it when the work done under it has stopped: with `release` (the default) another candidate
   * takes over at its next attempt instead of waiting out the lease.
   */
  async stop(options: { readonly release?: boolean } = {}): Promise<void> {
    const led = this.isLeader()
    this.#end(new FencedError(`elector of ${this.#name} was stopped`))
    await this.#running
    if (led && (options.release ?? true)) await this.#release()
  }

  get #name(): string {
    return `lease ${this.#options.namespace}/${this.#options.name}`
  }

  /** Never rejects. */
  async #run(): Promise<void> {
    while (!this.signal.aborted) {
      try {
        const leading = await this.#attempt()
        if (this.#renewed !== null && !leading) {
          this.#end(new FencedError(`leadership of ${this.#name} lost: held by '${this.#holder ?? ''}' now`))
        }
      } catch (error) {
        if (this.signal.aborted) return
        this.#options.logger?.warn({ object: this.#name, err: error }, 'lease could not be acquired or renewed')
      }
      // Candidates spread out, a leader keeps its rhythm.
      const pause = this.#renewed === null ? jittered(this.#retryMs, 1.2) : this.#retryMs
      await sleep(pause, this.signal).catch(() => undefined)
    }
  }

  /** Acquire or renew once. False when somebody else holds the lease. @throws Error when the next attempt may do better */
  async #attempt(): Promise<boolean> {
    // While leading, the lease as last written is very likely current: one request instead of two.
    if (this.#renewed !== null && this.#lease !== null) {
      try {
        return await this.#take(this.#lease)
      } catch (error) {
        if (!isConflict(error) && !isNotFound(error)) throw error
      }
    }
    const ref = { namespace: this.#options.namespace, name: this.#options.name }
    const lease = await this.#client.find<Lease>(leaseResource, ref, this.#call())
    if (lease === null) return await this.#missing()
    this.#observe(lease)
    const holder = lease.spec?.holderIdentity ?? ''
    if (holder !== '' && holder !== this.identity && this.#isValid(lease)) return false
    if (holder !== this.identity && this.#renewed !== null) return false
    try {
      return await this.#take(lease)
    } catch (error) {
      // Another candidate was faster. A leader has just read that the lease is its own: whoever writes to it without taking
      // it over ends no leadership, the deadline does.
      if (isConflict(error) && this.#renewed === null) return false
      throw error
    }
  }

  /** Somebody deleted the lease, or there never was one. */
  async #missing(): Promise<boolean> {
    if (this.#renewed !== null) {
      // Deleted by a hand, or forgotten by a server that was restored. Whoever never saw it may create it at any moment; if it
      // is we who did, nobody else has. What this process knows is worth most when the server has just forgotten.
      if (await this.#create()) return true
      this.#end(new FencedError(`leadership of ${this.#name} lost: the lease was deleted, and made anew by another`))
      return false
    }
    const last = this.#lease
    const holder = last?.spec?.holderIdentity ?? ''
    // Its holder does not know yet.
    if (last !== null && holder !== '' && holder !== this.identity && this.#isValid(last)) return false
    return await this.#create()
  }

  async #create(): Promise<boolean> {
    const sent = now()
    const time = microTime()
    const spec = { ...this.#spec(), acquireTime: time, renewTime: time, leaseTransitions: 0 }
    const metadata = { namespace: this.#options.namespace, name: this.#options.name }
    try {
      this.#won(await this.#client.create<Lease>(leaseResource, { metadata, spec }, this.#call()), sent)
      return true
    } catch (error) {
      if (isAlreadyExists(error)) return false
      throw error
    }
  }

  /** Write ourselves into the lease as it was last seen. @throws ApiError (isConflict) when it has changed */
  async #take(lease: Lease): Promise<boolean> {
    const sent = now()
    const old = lease.spec ?? {}
    const time = microTime()
    const ours = old.holderIdentity === this.identity
    const spec: LeaseSpec = {
      ...old,
      ...this.#spec(),
      acquireTime: ours ? (old.acquireTime ?? time) : time,
      renewTime: time,
      leaseTransitions: (old.leaseTransitions ?? 0) + (ours ? 0 : 1),
    }
    this.#won(await this.#client.update<Lease>(leaseResource, { ...lease, spec }, this.#call()), sent)
    return true
  }

  #spec(): LeaseSpec {
    return { holderIdentity: this.identity, leaseDurationSeconds: Math.ceil(this.#leaseMs / 1000) }
  }

  /** Attempts have their own rhythm: no retries beneath, no rate limit, and an end before the deadline's. */
  #call(): { signal: AbortSignal; timeoutMs: number; retries: number; unlimited: boolean } {
    const left = this.#renewed === null ? this.#deadlineMs : this.#deadlineMs - longest(this.#renewed)
    return {
      signal: this.signal,
      timeoutMs: Math.max(1, Math.min(this.#deadlineMs / 2, left)),
      retries: 0,
      unlimited: true,
    }
  }

  #won(lease: Lease, sent: Moment): void {
    this.#observe(lease)
    if (this.signal.aborted) return
    const first = this.#renewed === null
    if (!first && !this.isLeader()) return
    this.#renewed = sent
    if (!this.isLeader()) return
    if (this.#timer) clearTimeout(this.#timer)
    this.#timer = setTimeout(() => this.isLeader(), Math.max(0, this.#deadlineMs - longest(sent)) + 1)
    if (!first) return
    this.#options.logger?.info({ object: this.#name, identity: this.identity }, 'leading')
    this.#settle?.resolve()
  }

  #observe(lease: Lease): void {
    this.#lease = lease
    const text = JSON.stringify(lease.spec ?? {})
    if (text !== this.#observed.text) this.#observed = { text, at: now() }
    const holder = lease.spec?.holderIdentity ?? ''
    if (holder === this.#holder) return
    this.#holder = holder
    this.#options.onNewLeader?.(holder)
  }

  /** Whether the holder may still lead, by our own observation. */
  #isValid(lease: Lease): boolean {
    const seconds = lease.spec?.leaseDurationSeconds
    return shortest(this.#observed.at) < (seconds !== undefined ? seconds * 1000 : this.#leaseMs)
  }

  #end(reason: Error): void {
    if (this.signal.aborted) return
    if (this.#timer) clearTimeout(this.#timer)
    if (this.#renewed !== null) this.#options.logger?.warn({ object: this.#name, err: reason }, 'no longer leading')
    this.#renewed = null
    this.#settle?.reject(reason)
    this.#controller.abort(reason)
  }

  async #release(): Promise<void> {
    if (this.#lease === null) return
    const time = microTime()
    const spec = {
      ...this.#lease.spec,
      holderIdentity: '',
      leaseDurationSeconds: 1,
      acquireTime: time,
      renewTime: time,
    }
    try {
      const call = { timeoutMs: this.writeTimeoutMs, retries: 0, unlimited: true }
      this.#observe(await this.#client.update<Lease>(leaseResource, { ...this.#lease, spec }, call))
    } catch (error) {
      // The lease runs out by itself.
      this.#options.logger?.warn({ object: this.#name, error: errorText(error) }, 'lease could not be released')
    }
  }
}

/** metav1.MicroTime: RFC 3339 with six digits of a second. */
function microTime(): string {
  return new Date().toISOString().replace('Z', '000Z')
}
