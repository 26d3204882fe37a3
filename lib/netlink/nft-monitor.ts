// Says when somebody committed a change to an nftables table of a given name; not what changed. One socket and one
// native thread, no process: what `nft monitor` would tell, reduced to "look again".
import { addon, type NativeSubscription } from './addon.ts'
import { asNetlinkError, NetlinkError } from './errors.ts'
import type { NetworkNamespace } from './namespace.ts'

export interface NftMonitorOptions {
  /** Names of tables, of whatever family. Commits that touch no such table are not reported. */
  readonly tables: readonly string[]
  /** Receive buffer of the socket; default 2 MiB, forced where privileges allow. */
  readonly receiveBytes?: number
  /** So many commits touched watched tables since the last call; own ones among them. */
  readonly onCommits: (count: number) => void
  /** Messages were lost: any table may have changed. */
  readonly onOverrun: () => void
  /** Reading has failed for good; only close() is left to do. */
  readonly onError: (error: NetlinkError) => void
}

export class NftMonitor {
  readonly #native: NativeSubscription
  readonly #state: { closed: boolean }

  private constructor(native: NativeSubscription, state: { closed: boolean }) {
    this.#native = native
    this.#state = state
  }

  /**
   * Subscribes. Keeps the process alive until close().
   *
   * Equivalent to: `nft monitor`
   *
   * @throws NetlinkError when the namespace cannot be entered or the kernel has no nftables
   */
  static open(namespace: NetworkNamespace, options: NftMonitorOptions): NftMonitor {
    const Native = addon().NftMonitor
    const { tables, receiveBytes = 2 * 1024 * 1024 } = options
    const state = { closed: false }
    const deliver = (commits: number, lost: boolean, errno: number): void => {
      // Each callback may have closed the monitor.
      if (lost && !state.closed) options.onOverrun()
      if (commits > 0 && !state.closed) options.onCommits(commits)
      if (errno !== 0 && !state.closed) {
        options.onError(new NetlinkError(errno, `nftables monitor ${namespace.path}`))
      }
    }
    try {
      return new NftMonitor(new Native(namespace.fd, tables, receiveBytes, deliver), state)
    } catch (error) {
      throw asNetlinkError(error, `nftables monitor ${namespace.path}`)
    }
  }

  /** No callback runs afterwards. Repeating it does nothing. */
  close(): void {
    if (this.#state.closed) return
    this.#state.closed = true
    this.#native.close()
  }
}
