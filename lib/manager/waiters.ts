// Pods that wait for something other than time: an address of a network coming free, or a change of networks, subnets,
// nodes and namespaces (manager.md D12). They still retry with back-off; this only makes it soon. Wake-ups that come close
// together are one.
const GATHER_MS = 20

export class Waiters {
  readonly #wake: (pod: string) => void
  readonly #byNetwork = new Map<string, Set<string>>()
  readonly #forConfiguration = new Set<string>()
  readonly #due = new Set<string>()
  #timer: NodeJS.Timeout | null = null

  /** @param wake makes the pod (by key) be processed now */
  constructor(wake: (pod: string) => void) {
    this.#wake = wake
  }

  /** Pods that wait for addresses. */
  get size(): number {
    let size = 0
    for (const pods of this.#byNetwork.values()) size += pods.size
    return size
  }

  forAddress(network: string, pod: string): void {
    const pods = this.#byNetwork.get(network)
    if (pods === undefined) this.#byNetwork.set(network, new Set([pod]))
    else pods.add(pod)
  }

  forConfiguration(pod: string): void {
    this.#forConfiguration.add(pod)
  }

  /** The pod waits no longer. */
  forget(pod: string): void {
    this.#forConfiguration.delete(pod)
    for (const [network, pods] of this.#byNetwork) {
      if (pods.delete(pod) && pods.size === 0) this.#byNetwork.delete(network)
    }
  }

  /** Addresses of the network may have come free. */
  addressFreed(network: string): void {
    const pods = this.#byNetwork.get(network)
    if (pods === undefined) return
    this.#byNetwork.delete(network)
    this.#soon(pods)
  }

  configurationChanged(): void {
    if (this.#forConfiguration.size === 0) return
    this.#soon(this.#forConfiguration)
    this.#forConfiguration.clear()
  }

  stop(): void {
    if (this.#timer !== null) clearTimeout(this.#timer)
    this.#timer = null
  }

  #soon(pods: ReadonlySet<string>): void {
    for (const pod of pods) this.#due.add(pod)
    this.#timer ??= setTimeout(() => {
      this.#timer = null
      const due = [...this.#due]
      this.#due.clear()
      for (const pod of due) this.#wake(pod)
    }, GATHER_MS)
  }
}
