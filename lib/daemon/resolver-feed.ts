// Which MAC on the VXLAN device stands for which address: remote pods by their node, remote nodes by their own addresses
// (spec/dataplane §3.6). The native resolver holds the table and answers the kernel; this keeps the table right.
//
// Cost: a pod event is one update. A node whose MAC changes, appears or goes costs one pass over all remote pods, and all
// nodes that change in one turn of the event loop share it.
import type { ParsedVtep } from '../api/index.ts'
import type { IPAddress } from '../ip/index.ts'

/** The table of the native resolver. */
export interface ResolverTable {
  set(entries: readonly (readonly [IPAddress, number])[]): void
  delete(addresses: readonly IPAddress[]): void
}

export interface RemotePodPlaces {
  nodeOf(address: IPAddress): string | null
  onNodes(nodes: ReadonlySet<string>): Iterable<[IPAddress, string]>
}

/** Addresses brought into the table in one turn of the event loop: some two milliseconds. */
const PORTION = 4096

export interface ResolverFeedOptions {
  readonly nodeName: string
  readonly table: ResolverTable
  readonly pods: () => RemotePodPlaces
  /**
   * Addresses that now stand behind another MAC than before: neighbours the kernel already has of them are wrong, and
   * would be for some ten seconds until they age.
   */
  readonly onMoved: (entries: readonly (readonly [IPAddress, number])[]) => void
}

export class ResolverFeed {
  readonly #options: ResolverFeedOptions
  readonly #vteps = new Map<string, ParsedVtep>()
  /** Addresses of other nodes themselves. They win over pods. */
  readonly #nodeAddresses = new Map<IPAddress, string>()
  readonly #dirtyNodes = new Set<string>()
  readonly #dirtyPods = new Set<IPAddress>()
  #scheduled: NodeJS.Immediate | null = null

  constructor(options: ResolverFeedOptions) {
    this.#options = options
  }

  /** A node's endpoint is this now; null when it has none any more. */
  vtepChanged(name: string, vtep: ParsedVtep | null): void {
    if (name === this.#options.nodeName) return
    const old = this.#vteps.get(name) ?? null
    if (vtep === null) this.#vteps.delete(name)
    else this.#vteps.set(name, vtep)
    for (const address of old?.localIPs ?? []) {
      if (this.#nodeAddresses.get(address) === name) this.#nodeAddresses.delete(address)
      this.#dirtyPods.add(address)
    }
    for (const address of vtep?.localIPs ?? []) {
      this.#nodeAddresses.set(address, name)
      this.#dirtyPods.add(address)
    }
    if (old?.mac !== vtep?.mac) this.#dirtyNodes.add(name)
    this.#schedule()
  }

  /** A remote pod has come, moved or gone. */
  podChanged(address: IPAddress): void {
    this.#dirtyPods.add(address)
    this.#schedule()
  }

  stop(): void {
    if (this.#scheduled !== null) clearImmediate(this.#scheduled)
    this.#scheduled = null
  }

  /** What an address resolves to; null when nothing is known. For status and tests. */
  macOf(address: IPAddress): number | null {
    const node = this.#nodeAddresses.get(address) ?? this.#options.pods().nodeOf(address)
    return node === null ? null : (this.#vteps.get(node)?.mac ?? null)
  }

  #schedule(): void {
    this.#scheduled ??= setImmediate(() => this.flush())
  }

  /** Bring the table up to date now, at most a portion of it; the rest follows in the next turns of the event loop. */
  flush(): void {
    this.stop()
    if (this.#dirtyNodes.size > 0) {
      for (const [address] of this.#options.pods().onNodes(this.#dirtyNodes)) this.#dirtyPods.add(address)
    }
    const set: (readonly [IPAddress, number])[] = []
    const gone: IPAddress[] = []
    let left = PORTION
    for (const address of this.#dirtyPods) {
      if (left-- === 0) break
      this.#dirtyPods.delete(address)
      const mac = this.macOf(address)
      if (mac === null) gone.push(address)
      else set.push([address, mac])
    }
    this.#dirtyNodes.clear()
    if (this.#dirtyPods.size > 0) this.#schedule()
    if (gone.length > 0) this.#options.table.delete(gone)
    if (set.length === 0) return
    this.#options.table.set(set)
    this.#options.onMoved(set)
  }
}
