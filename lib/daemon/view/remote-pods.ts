// Where every pod of the other nodes is: address → node, in typed arrays.
//
// The API server sends only metadata (name and labels; an IPInstance's name is its address), of IPInstances that are bound
// to other nodes. Per pod a few words are kept (address-index.ts); the watch's own bookkeeping keeps nothing per object.
// What concerns all pods at once (a list, the end of a hold) is done in slices, between which the event loop turns.
import { addressFromName, IPINSTANCES, LABEL_NODE, labelOf } from '../../api/index.ts'
import type { IPAddress } from '../../ip/index.ts'
import {
  longLivedAbort,
  Reflector,
  yieldToLoop,
  type KubeClient,
  type KubeObject,
  type ReflectorHealth,
  type ReflectorSink,
} from '../../kube/index.ts'
import type { Logger } from '../../telemetry/log.ts'
import { AddressIndex } from './address-index.ts'
import { REWIND_HOLD_MS } from './rewind.ts'

/** A change of place: `node` null when the address is no pod's any more. */
export type RemotePodListener = (address: IPAddress, node: string | null) => void

/** Longest work on many pods before the event loop turns, milliseconds; looked at after each portion. */
const SLICE_MS = 4
const PORTION = 256

interface Placement {
  readonly address: IPAddress
  readonly node: number
}

export class RemotePods {
  readonly synced: Promise<void>
  #index = new AddressIndex()
  readonly #names: string[] = []
  readonly #ids = new Map<string, number>()
  readonly #reflector: Reflector<Placement>
  readonly #listener: RemotePodListener
  readonly #stopping = longLivedAbort()
  #running: Promise<void> | null = null
  /** Only our memory has them, since the API server went back in time. */
  readonly #held = new Set<IPAddress>()
  #release: NodeJS.Timeout | null = null
  /** When they go, a time of performance.now(). */
  #releaseAt = 0
  readonly #log: Logger
  #markSynced: () => void = () => undefined

  /** @param nodeName the own node, whose pods are left out */
  constructor(client: KubeClient, nodeName: string, log: Logger, listener: RemotePodListener) {
    this.#listener = listener
    this.#log = log
    this.synced = new Promise((resolve) => (this.#markSynced = resolve))
    const sink: ReflectorSink<Placement> = {
      project: (raw) => this.#placement(raw),
      replace: (items, rewound) => this.#replace(items, rewound),
      apply: (type, raw) => {
        const placement = this.#placement(raw)
        if (placement === null) return
        this.#held.delete(placement.address)
        if (type !== 'DELETED') this.#set(placement)
        // An address given to another pod meanwhile belongs to that one: a late deletion must not take it away.
        else if (this.#index.get(placement.address) === placement.node) this.#remove(placement.address)
      },
      flush: () => undefined,
    }
    this.#reflector = new Reflector<Placement>(
      client,
      {
        resource: IPINSTANCES,
        // `!=` alone also selects objects without the label, which are reserved addresses.
        labelSelector: `${LABEL_NODE},${LABEL_NODE}!=${nodeName}`,
        metadataOnly: true,
        logger: log,
      },
      sink,
    )
  }

  get size(): number {
    return this.#index.size
  }

  /** Bytes held per state of the index. */
  get bytes(): number {
    return this.#index.bytes
  }

  health(): ReflectorHealth {
    return this.#reflector.health()
  }

  nodeOf(address: IPAddress): string | null {
    const id = this.#index.get(address)
    return id === undefined ? null : (this.#names[id] ?? null)
  }

  /** The addresses of the pods of some nodes: one pass over all pods, for the rare change of a node's endpoint. */
  *onNodes(nodes: ReadonlySet<string>): IterableIterator<[IPAddress, string]> {
    for (const [address, id] of this.#index.entries()) {
      const name = this.#names[id]
      if (name !== undefined && nodes.has(name)) yield [address, name]
    }
  }

  start(): void {
    this.#running ??= this.#reflector.run(this.#stopping.signal)
  }

  async stop(): Promise<void> {
    this.#stopping.abort()
    this.#keepHeld()
    await this.#running
  }

  #placement(raw: KubeObject): Placement | null {
    const address = addressFromName(raw.metadata.name ?? '')
    const node = labelOf(raw as Parameters<typeof labelOf>[0], LABEL_NODE)
    return address === null || node === '' ? null : { address, node: this.#id(node) }
  }

  #id(node: string): number {
    let id = this.#ids.get(node)
    if (id === undefined) {
      id = this.#names.push(node) - 1
      this.#ids.set(node, id)
    }
    return id
  }

  #set(placement: Placement): void {
    if (this.#index.get(placement.address) === placement.node) return
    this.#index.set(placement.address, placement.node)
    this.#listener(placement.address, this.#names[placement.node] ?? null)
  }

  #remove(address: IPAddress): void {
    this.#index.delete(address)
    this.#listener(address, null)
  }

  async #replace(items: readonly Placement[], rewound: boolean): Promise<void> {
    // Nothing else changes the index until this is over: watches follow, and held pods wait.
    this.#keepHeld()
    if (this.#index.size > 0) {
      const present = new AddressIndex()
      await this.#inSlices(items, ({ address, node }) => {
        present.set(address, node)
        this.#held.delete(address)
      })
      const gone: IPAddress[] = []
      await this.#inSlices(this.#index.entries(), ([address]) => {
        if (present.get(address) !== undefined || this.#held.has(address)) return
        if (rewound) this.#held.add(address)
        else gone.push(address)
      })
      await this.#inSlices(gone, (address) => this.#remove(address))
    }
    if (rewound && this.#held.size > 0) {
      this.#log.warn({ pods: this.#held.size }, 'the API server has forgotten pods of other nodes: kept for a time')
      this.#releaseAt = performance.now() + REWIND_HOLD_MS
    }
    await this.#inSlices(items, (placement) => this.#set(placement))
    if (this.#held.size > 0) {
      this.#release = setTimeout(() => void this.#letGo(), Math.max(0, this.#releaseAt - performance.now()))
    }
    this.#markSynced()
  }

  /** Ends the wait for the end of the hold, or the release that is under way. */
  #keepHeld(): void {
    if (this.#release !== null) clearTimeout(this.#release)
    this.#release = null
  }

  async #letGo(): Promise<void> {
    const own = this.#release
    for (const address of this.#held) {
      this.#held.delete(address)
      this.#remove(address)
      if (this.#held.size % PORTION !== 0) continue
      await yieldToLoop()
      // A list came in between: it decides.
      if (this.#release !== own) return
    }
    this.#release = null
  }

  /**
   * Does something with each, letting the event loop turn in between.
   *
   * @throws the reason for which this was stopped meanwhile
   */
  async #inSlices<T>(items: Iterable<T>, work: (item: T) => void): Promise<void> {
    let sliceEnd = performance.now() + SLICE_MS
    let left = PORTION
    for (const item of items) {
      work(item)
      if (--left > 0) continue
      left = PORTION
      if (performance.now() < sliceEnd) continue
      await yieldToLoop()
      this.#stopping.signal.throwIfAborted()
      sliceEnd = performance.now() + SLICE_MS
    }
  }
}
