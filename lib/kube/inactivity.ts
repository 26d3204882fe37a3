// A connection that says nothing: TCP alive, server or proxy stuck. The guard gives a request its signal, and ends it when
// nothing has been received for too long.
import { RequestError } from './errors.ts'
import { linkSignals } from './requester.ts'

export class InactivityGuard {
  /** For the request: follows the caller's, and aborts with a RequestError of code STALLED after the silence. */
  readonly signal: AbortSignal | undefined
  readonly #path: string
  readonly #limitMs: number
  readonly #stalled = new AbortController()
  readonly #release: () => void
  #timer: NodeJS.Timeout | null = null
  #last = 0

  /** @param limitMs longest silence, milliseconds */
  constructor(path: string, limitMs: number, signal: AbortSignal | undefined) {
    this.#path = path
    this.#limitMs = limitMs
    const { signal: linked, release } = linkSignals(signal, this.#stalled.signal)
    this.signal = linked
    this.#release = release
  }

  /** Silence counts from now on. */
  start(): this {
    this.alive()
    this.#timer ??= setTimeout(() => this.#check(), this.#limitMs)
    return this
  }

  /** Something was received. */
  alive(): void {
    this.#last = performance.now()
  }

  /** Nothing is awaited for now: silence is no sign. */
  pause(): void {
    if (this.#timer) clearTimeout(this.#timer)
    this.#timer = null
  }

  /** The request is over. */
  close(): void {
    this.pause()
    this.#release()
  }

  /** One timer for all data: it looks how long ago the last came, and waits for the rest. */
  #check(): void {
    const idle = performance.now() - this.#last
    if (idle >= this.#limitMs) {
      const text = `nothing received for ${Math.round(idle)} ms, taken for dead`
      this.#stalled.abort(new RequestError('GET', this.#path, 'STALLED', text, false))
      return
    }
    this.#timer = setTimeout(() => this.#check(), this.#limitMs - idle + 1)
  }
}
