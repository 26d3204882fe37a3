// Network namespaces as descriptors. Holding one keeps the namespace alive; Node's own threads never enter it.
import { addon } from './addon.ts'
import { asNetlinkError } from './errors.ts'

export class NetworkNamespace {
  /** Inode of the namespace: its identity as long as it lives. */
  readonly inode: number
  /** Where it was opened. */
  readonly path: string
  #fd: number

  private constructor(path: string) {
    try {
      ;[this.#fd, this.inode] = addon().openNamespace(path)
    } catch (error) {
      throw asNetlinkError(error)
    }
    this.path = path
  }

  /** The namespace this process runs in. */
  static current(): NetworkNamespace {
    return new NetworkNamespace('/proc/thread-self/ns/net')
  }

  /**
   * @param path a bind mount (`/run/netns/NAME`) or `/proc/PID/ns/net`
   * @throws NetlinkError when there is no such file or it is not a network namespace
   */
  static open(path: string): NetworkNamespace {
    return new NetworkNamespace(path)
  }

  /**
   * The descriptor, for calls that take one.
   *
   * @throws Error after close()
   */
  get fd(): number {
    if (this.#fd < 0) throw new Error(`network namespace ${this.path} is closed`)
    return this.#fd
  }

  /** Sockets opened in the namespace stay usable. Repeating it does nothing. */
  close(): void {
    if (this.#fd < 0) return
    addon().closeDescriptor(this.#fd)
    this.#fd = -1
  }
}

/**
 * Makes a new network namespace with lo up, kept by a bind mount at `path` (whose folder must exist).
 *
 * Equivalent to: `ip netns add NAME; ip -n NAME link set lo up`, without a helper process
 *
 * @throws NetlinkError EEXIST when the file exists
 */
export async function createNamespace(path: string): Promise<void> {
  try {
    await addon().createNamespace(path)
  } catch (error) {
    throw asNetlinkError(error)
  }
}

/**
 * Unmounts and removes what createNamespace made; the namespace goes when its last user does. Nothing there is success.
 *
 * Equivalent to: `ip netns delete NAME`
 */
export async function deleteNamespace(path: string): Promise<void> {
  try {
    await addon().deleteNamespace(path)
  } catch (error) {
    throw asNetlinkError(error)
  }
}
