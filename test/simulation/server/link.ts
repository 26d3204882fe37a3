// A process's connection to the API server: carries exchanges, with delays, losses and cuts, and streams watches. It is what
// `KubeClient.through` takes.
import { RequestError, type Answer, type Carrier, type Exchange } from '../../../lib/kube/index.ts'
import type { Dice } from '../engine/dice.ts'
import type { SimProcess } from '../engine/process.ts'
import type { Scheduler, Task } from '../engine/scheduler.ts'
import { Refusal } from './api.ts'
import { asReply, type Endpoint, type Reply } from './endpoint.ts'
import type { Fate, LinkSettings } from './faults.ts'
import type { Change, Store } from './store.ts'
import { WatchStream } from './watch-stream.ts'

/** May look at what is sent and change it, or what is answered: how tests plant bugs. */
export interface Tap {
  request?(exchange: Exchange): Exchange
  reply?(exchange: Exchange, reply: Reply): Reply
  /** What the sender is told instead of a lost answer. */
  lost?(exchange: Exchange): Reply | null
}

export interface LinkOptions {
  readonly scheduler: Scheduler
  readonly process: SimProcess
  readonly endpoint: Endpoint
  readonly store: Store
  readonly dice: Dice
  /** Read anew for each request: faults come and go. */
  readonly settings: () => LinkSettings
  readonly tap?: Tap | undefined
  readonly trace?: ((text: string) => void) | undefined
}

export class Link implements Carrier {
  readonly #options: LinkOptions
  readonly #streams = new Set<WatchStream>()
  #closed = false
  /** Nothing passes before that moment. */
  #cutUntil = 0
  #serial = 0

  constructor(options: LinkOptions) {
    this.#options = options
  }

  get settings(): LinkSettings {
    return this.#options.settings()
  }

  /** Nothing passes for that long; what is on its way is lost. */
  partition(ms: number): void {
    this.#cutUntil = Math.max(this.#cutUntil, this.#options.scheduler.now + ms)
  }

  get partitioned(): boolean {
    return this.#options.scheduler.now < this.#cutUntil
  }

  /** Every watch breaks, or goes silent for good. */
  breakWatches(how: 'cut' | 'mute' | 'gone'): void {
    for (const stream of [...this.#streams]) stream.break(how)
  }

  /** The server tells its watches. */
  changed(change: Change): void {
    for (const stream of this.#streams) stream.offer(change)
  }

  close(): void {
    this.#closed = true
  }

  exchange(original: Exchange): Promise<Answer> {
    const { scheduler, process, tap } = this.#options
    const exchange = tap?.request?.(original) ?? original
    const { method, path, signal } = exchange
    if (signal?.aborted) return Promise.reject(signal.reason as Error)
    if (this.#closed) return Promise.reject(new RequestError(method, path, 'CLOSED', 'the client is closed', false))
    const serial = ++this.#serial
    return new Promise((resolve, reject) => {
      let settled = false
      let abandonedAt: number | null = null
      let stream: WatchStream | null = null
      const settle = (finish: () => void): void => {
        if (settled) return
        settled = true
        clearTimeout(deadline)
        signal?.removeEventListener('abort', onAbort)
        stream?.end()
        finish()
      }
      const fail = (error: Error): void => {
        abandonedAt ??= scheduler.now
        settle(() => reject(error))
      }
      const onAbort = (): void => fail(signal?.reason as Error)
      signal?.addEventListener('abort', onAbort, { once: true })
      const deadline = setTimeout(
        () => fail(new RequestError(method, path, 'TIMEOUT', `no answer within ${exchange.timeoutMs} ms`, true)),
        exchange.timeoutMs,
      )
      const broken = (code: string, outcomeUnknown: boolean): void =>
        fail(
          new RequestError(method, path, code, code === 'ECONNREFUSED' ? 'refused' : 'connection cut', outcomeUnknown),
        )
      const back = (run: () => void, delayMs = this.#delay()): Task => scheduler.after(delayMs, process, run)

      const answered = (reply: Reply): void => {
        if (settled) return
        if (this.partitioned) return
        const { status, headers = {} } = reply
        const good = status >= 200 && status < 300
        if (good) exchange.onHead?.()
        if (good && exchange.onData) {
          try {
            exchange.onData(Buffer.from(reply.body))
          } catch (error) {
            fail(error as Error)
            return
          }
        }
        const body = Buffer.from(good && exchange.onData ? '' : reply.body)
        settle(() => resolve({ status, headers, body }))
      }
      const opened = (request: { kind: string; fromVersion: number; timeoutSeconds: number }): void => {
        if (settled || this.partitioned) return
        clearTimeout(deadline)
        exchange.onHead?.()
        stream = new WatchStream({
          ...request,
          scheduler,
          process,
          store: this.#options.store,
          dice: this.#options.dice.split(`watch ${serial}`),
          link: this,
          onData: (chunk) => {
            try {
              exchange.onData?.(chunk)
            } catch (error) {
              fail(error as Error)
            }
          },
          onEnd: (error) => {
            if (error === null) settle(() => resolve({ status: 200, headers: {}, body: Buffer.alloc(0) }))
            else fail(error)
          },
          onClosed: (closed) => this.#streams.delete(closed),
          path,
        })
        this.#streams.add(stream)
        stream.start()
      }
      const arrived = (fate: Fate): void => {
        const { afterlifeMs } = this.settings
        if (abandonedAt !== null && scheduler.now - abandonedAt > afterlifeMs) return
        if (fate === 'overload') {
          const code = this.#options.dice.chance(0.5) ? 429 : 503
          back(() => answered(asReply(new Refusal(code, 'TooManyRequests', 'overloaded'), 1)))
          return
        }
        if (fate === 'failed') {
          back(() => answered(asReply(new Refusal(500, 'InternalError', 'something failed'))))
          return
        }
        if (fate === 'conflict' && method === 'PATCH') {
          back(() => answered(asReply(new Refusal(409, 'Conflict', 'the object has been modified'))))
          return
        }
        const { endpoint } = this.#options
        let watch
        try {
          watch = endpoint.watchOf(exchange)
        } catch (error) {
          if (!(error instanceof Refusal)) throw error
          back(() => answered(asReply(error)))
          return
        }
        if (watch !== null) {
          back(() => opened(watch))
          return
        }
        const plain = endpoint.answer(exchange, process.name)
        const reply = tap?.reply?.(exchange, plain) ?? plain
        if (method !== 'GET' && !/leases|events/.test(path))
          this.#options.trace?.(
            `${process.name} ${method} ${path} ${exchange.body ?? ''} -> ${reply.status}${fate === 'delivered' ? '' : ` (${fate})`}`,
          )
        const told = fate === 'lostAfter' || fate === 'cutAfter' ? (tap?.lost?.(exchange) ?? null) : null
        if (told !== null) {
          back(() => answered(told))
          return
        }
        if (fate === 'lostAfter') return
        if (fate === 'cutAfter') back(() => broken('ECONNRESET', true))
        else if (fate === 'lateSuccess') back(() => answered(asReply(new Refusal(504, 'Timeout', 'request timed out'))))
        else back(() => answered(reply))
      }

      const fate = this.#fate()
      if (fate === 'refused') back(() => broken('ECONNREFUSED', false))
      else if (fate === 'cutBefore') back(() => broken('ECONNRESET', true))
      else if (fate !== 'lostBefore') {
        // Of the world, not of the process: what was sent arrives although its sender has died.
        scheduler.after(this.#delay(), null, () => {
          if (!this.partitioned) arrived(fate)
          else if (this.settings.afterlifeMs > 5000)
            scheduler.after(this.#cutUntil - scheduler.now, null, () => arrived(fate))
        })
      }
    })
  }

  #fate(): Fate {
    const { dice } = this.#options
    const { faults } = this.settings
    let left = dice.fraction()
    for (const fate of FATES) {
      left -= faults[fate]
      if (left < 0) return fate
    }
    return 'delivered'
  }

  #delay(): number {
    const { dice } = this.#options
    const { typicalMs, slow, slowMs } = this.settings.delays
    return dice.chance(slow) ? dice.between(0, slowMs) : dice.between(0, 2 * typicalMs)
  }
}

const FATES = [
  'refused',
  'cutBefore',
  'cutAfter',
  'lostBefore',
  'lostAfter',
  'overload',
  'failed',
  'lateSuccess',
  'conflict',
] as const
