// Collecting what no sandbox owns any more: GC by the runtime's list of valid attachments, and our own sweep for pods that
// are gone and host interfaces nobody recorded. Both leave young things alone (an ADD may have just made them), go on
// after an error and report all errors at the end (R-SRV-15).
import { attachmentKey } from './attachments.ts'
import type { CniContext } from './context.ts'
import { detach } from './del.ts'
import { cniCode, CniError } from './errors.ts'
import { hostInterfaceName } from './names.ts'
import type { CniCall } from './requests.ts'
import type { Attachment } from './types.ts'

/** Nothing younger is ever collected, milliseconds. */
export const minimumAge = 60_000

/** Collects; remembers when it first saw an interface without a record. */
export class GarbageCollector {
  readonly #context: CniContext
  readonly #minimumAge: number
  /** Host interface index -> when it was first seen without a record. */
  readonly #orphans = new Map<number, number>()

  constructor(context: CniContext, minimumAgeMs: number = minimumAge) {
    this.#context = context
    this.#minimumAge = minimumAgeMs
  }

  /** @throws CniError 103 naming everything that could not be removed */
  async collect(call: CniCall): Promise<void> {
    if (call.validAttachments === null) {
      throw new CniError(cniCode.invalidConfig, 'missing cni.dev/attachments: GC needs the list of valid attachments')
    }
    const valid = new Set(call.validAttachments.map(({ containerId, ifname }) => attachmentKey(containerId, ifname)))
    const failures = await this.#removeAll(
      this.#context.store.list().filter(({ containerId, ifname }) => !valid.has(attachmentKey(containerId, ifname))),
    )
    failures.push(...(await this.#removeOrphans()))
    if (failures.length === 0) return
    throw new CniError(cniCode.dataPlaneFailure, `GC could not remove ${failures.length} objects`, failures.join('; '))
  }

  /** Our own sweep; failures are logged. */
  async sweep(): Promise<void> {
    const { networking, store, log } = this.#context
    const gone: Attachment[] = []
    for (const attachment of store.list()) {
      if ((await networking.isPodGone?.(attachment)) === true) gone.push(attachment)
    }
    const failures = [...(await this.#removeAll(gone)), ...(await this.#removeOrphans())]
    if (failures.length > 0) log.error({ operation: 'sweep', failures }, 'some leftovers could not be removed')
  }

  async #removeAll(attachments: readonly Attachment[]): Promise<string[]> {
    const failures: string[] = []
    await Promise.all(
      attachments
        .filter(({ createdAt }) => Date.now() - createdAt >= this.#minimumAge)
        .map(async (attachment) => {
          try {
            await detach(this.#context, attachment)
            this.#context.log.info(
              { object: attachment.hostInterface, operation: 'collect' },
              'collected an attachment',
            )
          } catch (error) {
            failures.push(`${attachment.hostInterface}: ${String(error)}`)
          }
        }),
    )
    return failures
  }

  /**
   * Host interfaces that no record and no pod of this node explains, seen for long enough. A pod counts whatever the state
   * of its addresses: what an earlier daemon wired for it has no record, and may be in use until the pod is gone.
   */
  async #removeOrphans(): Promise<string[]> {
    const { networking, store, wiring, log } = this.#context
    const links = await wiring.hostLinks()
    const pods = networking.knownPods?.() ?? null
    const expected = new Set([...(pods ?? [])].map((pod) => hostInterfaceName(pod.namespace, pod.name, 'eth0')))
    const orphans = links.filter(
      ({ name, index }) => store.byHostInterface(name)?.hostIndex !== index && !expected.has(name),
    )
    const present = new Set(orphans.map(({ index }) => index))
    for (const index of [...this.#orphans.keys()]) if (!present.has(index)) this.#orphans.delete(index)
    const failures: string[] = []
    for (const { name, index } of orphans) {
      const since = this.#orphans.get(index)
      if (since === undefined) this.#orphans.set(index, Date.now())
      // While an ADD of that name runs, the interface is about to get its record.
      if (Date.now() - (since ?? Date.now()) < this.#minimumAge || pods === null) continue
      try {
        await this.#context.kernelJobs.run([name], false, null, async () => {
          if (store.byHostInterface(name)?.hostIndex !== index) await wiring.deleteHost(name, index)
        })
        log.warn({ object: name, operation: 'collect' }, 'removed a host interface nobody owns')
      } catch (error) {
        failures.push(`${name}: ${String(error)}`)
      }
    }
    return failures
  }
}
