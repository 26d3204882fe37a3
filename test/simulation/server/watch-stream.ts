// One watch as its client sees it: events as JSON lines, in order, late, several in one chunk or one over several, with
// bookmarks, until the server ends it or it breaks.
import { RequestError } from '../../../lib/kube/index.ts'
import type { Dice } from '../engine/dice.ts'
import type { SimProcess } from '../engine/process.ts'
import type { Scheduler } from '../engine/scheduler.ts'
import type { LinkSettings } from './faults.ts'
import type { Change, Store } from './store.ts'

const BOOKMARK_MS = 60_000

export interface WatchStreamOptions {
  readonly kind: string
  readonly fromVersion: number
  readonly timeoutSeconds: number
  readonly path: string
  readonly scheduler: Scheduler
  readonly process: SimProcess
  readonly store: Store
  readonly dice: Dice
  readonly link: { readonly settings: LinkSettings; readonly partitioned: boolean }
  readonly onData: (chunk: Buffer) => void
  /** With null when the server ended it in good order. */
  readonly onEnd: (error: Error | null) => void
  readonly onClosed: (stream: WatchStream) => void
}

export class WatchStream {
  readonly #options: WatchStreamOptions
  readonly #lagMs: number
  #pending: string[] = []
  #version: number
  #scheduled = false
  #muted = false
  #ended = false

  constructor(options: WatchStreamOptions) {
    this.#options = options
    this.#version = options.fromVersion
    // A replica of the server that is behind is so for all of a watch.
    this.#lagMs = options.dice.fraction() ** 3 * options.link.settings.watchLagMs
  }

  start(): void {
    const { scheduler, store, kind, timeoutSeconds } = this.#options
    for (const change of store.since(kind, this.#version)) this.offer(change)
    scheduler.after(timeoutSeconds * 1000, null, () => this.#over())
    this.#bookmarkLater()
  }

  offer(change: Change): void {
    if (change.kind !== this.#options.kind || change.version <= this.#version || this.#ended) return
    this.#version = change.version
    this.#push(`{"type":"${change.type}","object":${change.shown.text}}\n`)
  }

  break(how: 'cut' | 'mute' | 'gone'): void {
    const { scheduler, process, path } = this.#options
    if (how === 'mute') this.#muted = true
    else if (how === 'cut') {
      scheduler.after(0, process, () => {
        if (!this.#ended) this.#options.onEnd(new RequestError('GET', path, 'ECONNRESET', 'connection cut', true))
      })
    } else {
      const status = { kind: 'Status', status: 'Failure', code: 410, reason: 'Expired', message: 'too old' }
      this.#push(`${JSON.stringify({ type: 'ERROR', object: status })}\n`)
    }
  }

  /** The client is through with it. */
  end(): void {
    if (this.#ended) return
    this.#ended = true
    this.#options.onClosed(this)
  }

  #over(): void {
    const { scheduler, process } = this.#options
    if (this.#ended || this.#muted) return
    scheduler.after(0, process, () => {
      if (this.#ended) return
      this.#flush()
      this.#options.onEnd(null)
    })
  }

  #bookmarkLater(): void {
    this.#options.scheduler.after(BOOKMARK_MS, null, () => {
      if (this.#ended) return
      // Everything up to it has been pushed.
      const metadata = { resourceVersion: String(this.#options.store.version) }
      this.#push(`${JSON.stringify({ type: 'BOOKMARK', object: { metadata } })}\n`)
      this.#bookmarkLater()
    })
  }

  #push(line: string): void {
    this.#pending.push(line)
    if (!this.#scheduled) this.#deliverLater()
  }

  #deliverLater(): void {
    const { scheduler, process, dice, link } = this.#options
    this.#scheduled = true
    const { typicalMs, slow, slowMs } = link.settings.delays
    const delay = this.#lagMs + (dice.chance(slow) ? dice.between(0, slowMs) : dice.between(0, 2 * typicalMs))
    scheduler.after(delay, process, () => this.#deliver())
  }

  #deliver(): void {
    const { dice, link } = this.#options
    this.#scheduled = false
    if (this.#ended || this.#muted) return
    // TCP sends again what was lost.
    if (link.partitioned) return this.#deliverLater()
    const { faults } = link.settings
    if (dice.chance(faults.watchMute)) return this.break('mute')
    if (dice.chance(faults.watchCut)) return this.break('cut')
    if (dice.chance(faults.watchGone)) this.break('gone')
    this.#flush()
  }

  #flush(): void {
    const { dice, onData } = this.#options
    const all = Buffer.from(this.#pending.join(''))
    this.#pending = []
    const at = dice.chance(0.1) ? dice.below(all.length) : all.length
    for (const part of [all.subarray(0, at), all.subarray(at)]) if (part.length > 0 && !this.#ended) onData(part)
  }
}
