// What all controllers have in common: a queue of keys with back-off, and errors in the log.
import { FencedError, WorkQueue } from '../../kube/index.ts'
import type { Logger } from '../../telemetry/log.ts'

export interface ControllerOptions<K> {
  readonly name: string
  readonly log: Logger
  readonly concurrency: number
  readonly process: (key: K, signal: AbortSignal) => Promise<number | void>
  /** Told of each failure besides the log. */
  readonly onError?: (error: unknown, key: K) => void
}

/** Longest pause between two attempts of a failing key; what it waits for usually wakes it earlier. */
const MAX_DELAY_MS = 30_000

export function controllerQueue<K>(options: ControllerOptions<K>): WorkQueue<K> {
  const log = options.log.child({ component: options.name })
  return new WorkQueue<K>({
    concurrency: options.concurrency,
    maxDelayMs: MAX_DELAY_MS,
    process: options.process,
    onError: (error, key, failures, delayMs) => {
      // Leadership is lost; the process is on its way out.
      if (error instanceof FencedError) return
      log[failures > 3 ? 'warn' : 'debug']({ object: key, err: error, failures, delayMs }, 'will be tried again')
      options.onError?.(error, key)
    },
  })
}
