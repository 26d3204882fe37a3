// What the handlers of the commands share.
import type { Logger } from '../../telemetry/log.ts'
import type { AttachmentStore } from './attachments.ts'
import type { CniMetrics, Stage } from './metrics.ts'
import type { JobQueue } from './queue.ts'
import type { Attachment, PodNetworking } from './types.ts'
import type { PodWiring } from './wiring.ts'

export interface CniContext {
  readonly networking: PodNetworking
  readonly store: AttachmentStore
  readonly wiring: PodWiring
  readonly log: Logger
  readonly metrics: CniMetrics | null
  /** Kernel work: one job per host interface, a bounded number at once. */
  readonly kernelJobs: JobQueue
  /** Most milliseconds an ADD waits for addresses and readiness together. */
  readonly addTimeout: number
  /** Run something whose outcome the caller does not wait for; a failure is logged, stopping waits for it. */
  background(operation: string, work: () => Promise<void>): void
}

/** `work`, its time observed as a stage of ADD. */
export async function timed<T>(context: CniContext, stage: Stage, work: () => Promise<T>): Promise<T> {
  const start = performance.now()
  try {
    return await work()
  } finally {
    context.metrics?.stage(stage, performance.now() - start)
  }
}

/** Drop the record of an attachment whose interface is gone, and tell the rest of the daemon. */
export async function forget(context: CniContext, attachment: Attachment): Promise<void> {
  await context.store.remove(attachment)
  context.background('detach', () => context.networking.onDetached(attachment))
}

/** How an attachment is called in logs. */
export function describeAttachment(attachment: Attachment): string {
  const { pod } = attachment
  return `${pod.namespace}/${pod.name} ${attachment.ifname} (${attachment.hostInterface}) of ${attachment.containerId}`
}
