// The manager: waits for the lease, leads, and ends when told to or when leadership is lost. A process leads once; after a
// loss it must exit, so that no decision of an old life can meet those of a new leader (manager.md §0.2, §6.5).
import { setMaxListeners } from 'node:events'
import { LeaderElector } from '../kube/index.ts'
import type { Allocator } from '../ipam/index.ts'
import { lead, type Leading } from './leading.ts'
import { ManagerMetrics } from './metrics.ts'
import { LEASE_NAME, type ManagerOptions } from './options.ts'
import { ipamReport, type IpamReport } from './report.ts'

export interface Manager {
  /** Resolves when this process leads and its controllers run; never rejects. */
  readonly leading: Promise<void>
  /** Resolves when the manager has ended: with the error that ended it, or null after `stop`. */
  readonly ended: Promise<Error | null>
  /** Whether the controllers run. */
  isLeading(): boolean
  /** The live allocator, read-only, for debugging and tests; null while not leading. */
  readonly allocator: Allocator | null
  /** What the allocator knows, as JSON can show it; null while not leading. */
  report(): IpamReport | null
  /** Ends work in flight, gives the lease up, and resolves when nothing runs any more. Idempotent. */
  stop(): Promise<void>
}

/** Starts the manager; it becomes a candidate at once. */
export function startManager(options: ManagerOptions): Manager {
  const log = options.log.child({ component: 'manager' })
  const metrics = new ManagerMetrics(options.registry)
  metrics.leader.set(0)
  const elector = new LeaderElector(options.client, {
    name: LEASE_NAME,
    namespace: options.namespace,
    identity: options.identity,
    leaseDurationMs: options.lease?.durationMs,
    renewDeadlineMs: options.lease?.renewDeadlineMs,
    retryPeriodMs: options.lease?.retryPeriodMs,
    logger: log,
    onNewLeader: (holder) => log.info({ holder }, 'lease holder'),
  })
  // Every write in flight listens to it.
  setMaxListeners(0, elector.signal)
  let running: Leading | null = null
  let stopping: Promise<void> | null = null
  let tellLeading: () => void = () => undefined
  const leading = new Promise<void>((resolve) => (tellLeading = resolve))
  let tellEnd: (error: Error | null) => void = () => undefined
  const ended = new Promise<Error | null>((resolve) => (tellEnd = resolve))

  /** Stops controllers before the lease is given up: nobody may take over while a write of ours is on its way. */
  const end = (error: Error | null): Promise<void> => {
    stopping ??= (async () => {
      metrics.leader.set(0)
      // A candidate waits for a lease that may never come, and a new leader may still be reading: neither writes.
      if (running === null) await elector.stop()
      await started
      await running?.stop()
      running = null
      await elector.stop()
      tellEnd(error)
    })()
    return stopping
  }

  const run = async (): Promise<void> => {
    try {
      await elector.acquired
    } catch (error) {
      log.debug({ err: error }, 'not leading')
      return
    }
    try {
      running = await lead(options, options.client.fenced(elector), metrics, elector.signal)
      metrics.leader.set(1)
      tellLeading()
    } catch (error) {
      if (stopping === null) queueMicrotask(() => void end(error instanceof Error ? error : new Error(String(error))))
    }
  }

  elector.start()
  const started = run()
  void elector.ended.then((reason) => end(reason))
  const onAbort = (): void => void end(null)
  if (options.signal?.aborted) onAbort()
  options.signal?.addEventListener('abort', onAbort, { once: true })

  return {
    leading,
    ended,
    isLeading: () => running !== null && stopping === null,
    get allocator() {
      return running?.allocator ?? null
    },
    report: () => (running === null ? null : ipamReport(running.allocator, running.cluster)),
    async stop() {
      options.signal?.removeEventListener('abort', onAbort)
      await end(null)
    },
  }
}
