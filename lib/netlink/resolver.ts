// The neighbour resolver (spec: design §4, dataplane §3.6): with app_solicit=1 the kernel asks, by a multicast RTM_GETNEIGH, who
// has an address on the VXLAN device; a native thread answers from a table kept up to date here. A first packet never waits
// for the JavaScript event loop.
//
// An entry of the table takes at most 18 bytes (IPv4) or 35 (IPv6). Addresses asked for in vain are reported once a second
// each, and answered by themselves when they are set within 10 seconds.
//
// Not here: who decides what MAC stands for an address (lib/daemon), the device's sysctls, ageing (the kernel's).
import { formatAddress, type IPAddress } from '../ip/index.ts'
import { addon, type NativeResolver } from './addon.ts'
import { checkIndex } from './check.ts'
import { asNetlinkError } from './errors.ts'
import { NeighLayout } from './layout.ts'
import { packNeigh } from './neigh.ts'
import type { NetworkNamespace } from './namespace.ts'
import { WordWriter, wordView } from './words.ts'

export interface ResolverOptions {
  /** The kernel asked for these and the table does not know them. At most 1024 at a time. */
  readonly onMiss: (addresses: readonly IPAddress[]) => void
}

export interface ResolverStats {
  /** Neighbours given to the kernel. */
  readonly answered: number
  /** Questions without an answer, reported. */
  readonly missed: number
  /** The same again within a second, not reported. */
  readonly suppressed: number
  /** Not reported because onMiss had 1024 to take already. */
  readonly dropped: number
  /** Times the kernel's questions overran the receive buffer; each is followed by a scan. */
  readonly overruns: number
  /** Answers the kernel did not take (ENOBUFS: its neighbour table is full). */
  readonly refused: number
  /** Dumps for unanswered entries. */
  readonly scans: number
  /** errno of the last failure, 0 for none. */
  readonly lastErrno: number
  /** Question read to answer carried out, microseconds. */
  readonly latencyMax: number
  readonly latencySum: number
  /** Entries and bytes of the table. */
  readonly entries: number
  readonly bytes: number
  /** Answers by latency: element n counts those that took up to 2^n µs (the last: longer too). */
  readonly latency: readonly number[]
}

/** Order of the counters in native/resolver.cc, Stats. */
const COUNTERS = 12
/** Entries packed at a time. */
const CHUNK = 4096

export class NeighbourResolver {
  readonly #native: NativeResolver
  #closed = false

  private constructor(namespace: NetworkNamespace, options: ResolverOptions) {
    const Native = addon().Resolver
    try {
      this.#native = new Native(namespace.fd, (words) => options.onMiss(decodeMisses(words)))
    } catch (error) {
      throw asNetlinkError(error, `open neighbour resolver in ${namespace.path}`)
    }
  }

  /**
   * Starts answering as soon as a link is set. Keeps the process alive until close().
   *
   * @throws NetlinkError when the namespace cannot be entered
   */
  static open(namespace: NetworkNamespace, options: ResolverOptions): NeighbourResolver {
    return new NeighbourResolver(namespace, options)
  }

  /** The device whose questions are answered, null for none. What it waits for already is answered at once. */
  setLink(index: number | null): void {
    this.#native.setLink(index === null ? 0 : checkIndex('index', index))
  }

  /** Says where an address is; of an address known already, where it is now. */
  set(address: IPAddress, mac: number): void
  /** The same for many (100,000 take some 40 ms of this thread: give them in portions where that matters). */
  set(entries: Iterable<readonly [IPAddress, number]>): void
  set(first: IPAddress | Iterable<readonly [IPAddress, number]>, mac?: number): void {
    if (typeof first !== 'object') {
      this.#chunk([[first, mac ?? NaN]], (words, count) => this.#native.set(words, count))
      return
    }
    this.#chunks(first, (words, count) => this.#native.set(words, count))
  }

  /** Forgets an address; the kernel keeps what it was told until that ages. Unknown ones are ignored. */
  delete(address: IPAddress): void
  delete(addresses: Iterable<IPAddress>): void
  delete(first: IPAddress | Iterable<IPAddress>): void {
    const addresses = typeof first === 'object' ? first : [first]
    const pairs = (function* () {
      for (const address of addresses) yield [address, null] as const
    })()
    this.#chunks(pairs, (words, count) => this.#native.erase(words, count))
  }

  stats(): ResolverStats {
    const values = this.#native.stats()
    const at = (index: number): number => values[index] ?? 0
    return {
      answered: at(0),
      missed: at(1),
      suppressed: at(2),
      dropped: at(3),
      overruns: at(4),
      refused: at(5),
      scans: at(6),
      lastErrno: at(7),
      latencyMax: at(8),
      latencySum: at(9),
      entries: at(10),
      bytes: at(11),
      latency: [...values.subarray(COUNTERS)],
    }
  }

  /** The thread has ended when it returns. Repeating it does nothing. */
  close(): void {
    if (this.#closed) return
    this.#closed = true
    this.#native.close()
  }

  #chunks(
    entries: Iterable<readonly [IPAddress, number | null]>,
    send: (words: Uint32Array, count: number) => void,
  ): void {
    let chunk: (readonly [IPAddress, number | null])[] = []
    for (const entry of entries) {
      chunk.push(entry)
      if (chunk.length < CHUNK) continue
      this.#chunk(chunk, send)
      chunk = []
    }
    this.#chunk(chunk, send)
  }

  #chunk(
    entries: readonly (readonly [IPAddress, number | null])[],
    send: (words: Uint32Array, count: number) => void,
  ): void {
    if (entries.length === 0) return
    const out = new WordWriter(entries.length * NeighLayout.Words)
    for (const [dst, mac] of entries) {
      try {
        // The link is the resolver's own; any index packs.
        packNeigh(out, { index: 1, dst, mac })
      } catch (error) {
        const reason = error instanceof Error ? error.message : String(error)
        throw new RangeError(`resolver entry ${formatAddress(dst)}: ${reason}`, { cause: error })
      }
    }
    send(out.words, entries.length)
  }
}

/** 6 words an address: 1 when it is IPv6, padding, the address. */
function decodeMisses(words: Uint32Array): IPAddress[] {
  const { wide } = wordView(words)
  const addresses: IPAddress[] = []
  for (let at = 0; at + 6 <= words.length; at += 6) {
    const half = (at + 2) >> 1
    addresses.push(words[at] === 1 ? ((wide[half] ?? 0n) << 64n) | (wide[half + 1] ?? 0n) : (words[at + 2] ?? 0))
  }
  return addresses
}
