// Pod sandboxes of one node: a network namespace each, wired by the CNI plugins. This is what a container runtime (CRI) does
// for a kubelet, without containers.
//
// A sandbox lives as long as the runtime remembers its attachment: from before the first plugin of ADD runs until the last
// plugin of DEL succeeded and the namespace file is gone. After a restart recover() finds all of them again.
import { randomBytes, randomUUID } from 'node:crypto'
import { existsSync } from 'node:fs'
import { join } from 'node:path'
import { createNamespace, deleteNamespace, NetworkNamespace } from '../../netlink/index.ts'
import { type Attachment, type CapabilityArguments, podArguments, resultAddresses } from './cni-config.ts'
import { WorkQueue } from '../../kube/index.ts'
import type { Logger } from '../../telemetry/log.ts'
import type { CniRuntime } from './cni-runtime.ts'
import { EchoServer } from './echo.ts'
import { namespaceDirectory } from '../sandbox.ts'
import { type SandboxState, timestamp } from './pod-status.ts'

/** Name of every pod's interface. */
const podInterface = 'eth0'

/** Who a sandbox is for. */
export interface SandboxOwner {
  readonly namespace: string
  readonly name: string
  readonly uid: string
}

export interface Sandbox extends SandboxState {
  readonly owner: SandboxOwner
  readonly containerId: string
  readonly attachment: Attachment
  readonly echo: EchoServer
}

export class SandboxManager {
  readonly #runtime: CniRuntime
  readonly #echoPort: number
  /** Failed attempts whose DEL failed, too: it is tried until it succeeds, as a kubelet's sandbox GC does. */
  readonly #leftovers: WorkQueue<Attachment>

  /** @param echoPort TCP port of the responder in each sandbox, see echo.ts */
  constructor(runtime: CniRuntime, echoPort: number, log: Logger) {
    this.#runtime = runtime
    this.#echoPort = echoPort
    this.#leftovers = new WorkQueue<Attachment>({
      process: (attachment, signal) => this.#discard(attachment, signal),
      baseDelayMs: 500,
      maxDelayMs: 30_000,
      onError: (error, { containerId }, failures) =>
        log.warn({ container: containerId, failures, err: error }, 'failed sandbox cannot be removed'),
    }).start()
  }

  /** Stop trying to remove failed attempts; recover() of a later life finds them. */
  stop(): Promise<void> {
    return this.#leftovers.stop()
  }

  /**
   * Make a namespace and wire it. A failed attempt is undone: its DEL runs (again and again, if need be) and its namespace
   * is removed.
   *
   * @param capabilities what plugins that ask for it are given, see capabilities.ts
   * @param signal gives it up: what was made so far is then for recover() to find
   * @throws Error of the step that failed
   */
  async create(owner: SandboxOwner, capabilities: CapabilityArguments, signal: AbortSignal): Promise<Sandbox> {
    const containerId = randomBytes(32).toString('hex')
    const attachment: Attachment = {
      containerId,
      netns: join(namespaceDirectory, `cni-${randomUUID()}`),
      ifname: podInterface,
      args: podArguments({ ...owner, containerId }),
      capabilities,
    }
    // It comes with lo up, for which runtimes have the `loopback` plugin.
    await createNamespace(attachment.netns)
    try {
      const result = await this.#runtime.add(attachment, signal)
      return await this.#running(owner, attachment, resultAddresses(result))
    } catch (error) {
      // Before the next attempt, as containerd does; when it fails, later. A kubelet that stops leaves it to its successor.
      if (signal.aborted) throw error
      await this.#discard(attachment, signal).catch(() => this.#leftovers.addAfter(attachment, 500))
      throw error
    }
  }

  /** DEL, then the namespace. What is gone already is no error; an error leaves the sandbox to be removed again. */
  async remove(sandbox: Sandbox, signal: AbortSignal): Promise<void> {
    await sandbox.echo.close()
    await this.#discard(sandbox.attachment, signal)
  }

  /**
   * The sandboxes of an earlier life of this kubelet. Those `wanted` are taken over as they are; the others, and those that
   * never got ready, are removed.
   */
  async recover(wanted: (owner: SandboxOwner) => boolean): Promise<Sandbox[]> {
    const kept: Sandbox[] = []
    for (const { attachment, result } of await this.#runtime.remembered()) {
      const owner = ownerOf(attachment)
      if (result !== null && existsSync(attachment.netns) && wanted(owner)) {
        kept.push(await this.#running(owner, attachment, resultAddresses(result)))
      } else {
        // Its plugin may be down as well; pods that are new need not wait for it.
        await this.#discard(attachment).catch(() => this.#leftovers.addAfter(attachment, 500))
      }
    }
    return kept
  }

  /** Tell the plugins which attachments are valid (GC). Only while no sandbox is being made or removed (CNI 1.1.0, GC). */
  collect(sandboxes: readonly Sandbox[]): Promise<void> {
    return this.#runtime.collect(sandboxes.map(({ attachment }) => attachment))
  }

  async #running(owner: SandboxOwner, attachment: Attachment, addresses: readonly string[]): Promise<Sandbox> {
    const namespace = NetworkNamespace.open(attachment.netns)
    try {
      const echo = await EchoServer.listen(namespace, this.#echoPort)
      const { containerId } = attachment
      return { owner, containerId, attachment, echo, addresses, startedAt: timestamp() }
    } finally {
      namespace.close()
    }
  }

  async #discard(attachment: Attachment, signal?: AbortSignal): Promise<void> {
    await this.#runtime.del(attachment, signal)
    if (existsSync(attachment.netns)) await deleteNamespace(attachment.netns)
  }
}

function ownerOf(attachment: Attachment): SandboxOwner {
  const value = (key: string): string => attachment.args.find(([name]) => name === key)?.[1] ?? ''
  return { namespace: value('K8S_POD_NAMESPACE'), name: value('K8S_POD_NAME'), uid: value('K8S_POD_UID') }
}
