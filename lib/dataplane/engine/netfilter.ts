// The netfilter half: keeps our nftables tables as wanted, apart from and after the netlink half.
//
// Elements come as desired records; changes gather while a transaction runs and go out as one. At start, and whenever
// somebody else may have changed something, the tables are listed once and compared: another structure is replaced whole,
// other elements are corrected, equality writes nothing. A socket tells of commits to tables of our name; each transaction
// of ours is announced exactly once, and what is beyond is somebody else's. Nothing runs at rest.
//
// Somebody who keeps changing a table is treated as in the netlink half (backoff.ts): after ten repairs of it in a minute that
// table is neither listed nor repaired for 5 s, doubling to 5 min, and reported as contested; the other one is looked at now
// and then meanwhile, as notifications do not tell them apart. What is wished for in the meantime (a pod, a subnet) is
// written at once all the same, and whatever else was broken with it.
//
// The fan-out of group frames lives in a netdev table on the VXLAN device where the kernel has egress hooks (5.16), else
// in a prio qdisc with a pedit filter; which one is probed once, on the loopback device, which cannot vanish meanwhile.
import { NftMonitor, runCommand, type NetworkNamespace } from '../../netlink/index.ts'
import type { Logger } from '../../telemetry/log.ts'
import {
  applyTransaction,
  chainDevices,
  checkTransaction,
  elementChanges,
  listTable,
  removeTable,
  replaceTable,
  structureDifference,
  type Command,
  type Elements,
  type NftOptions,
  type TableDefinition,
  type Transaction,
} from '../../nft/index.ts'
import { fanOutTable, MAIN_TABLE } from '../desired/netfilter.ts'
import type { ElementRecord } from '../state.ts'
import { Contests } from './backoff.ts'
import { replaceTcFanOut } from './tc.ts'

export interface NetfilterStatus {
  readonly inSync: boolean
  /** Transactions applied since start. */
  readonly transactions: number
  /** How group frames are rewritten; null before the probe. */
  readonly fanOut: 'nft' | 'tc' | null
  readonly error: string | null
  /** Tables written again because somebody else changed them, since start. */
  readonly repairs: number
  /** Tables somebody else keeps changing: "nft inet hybridnet". */
  readonly contested: readonly { readonly key: string; readonly repairs: number }[]
}

export interface NetfilterOptions {
  readonly namespace: NetworkNamespace
  readonly log: Logger
  /** Called when something changed for those who wait. */
  readonly onProgress: () => void
  /** Called when a change of somebody else's was undone. */
  readonly onRepair?: () => void
}

/** Between looks at a table while the other one is contested. */
const BESIDE_FIGHT_MS = 5000
const MAIN_KEY = 'nft inet hybridnet'
const FAN_OUT_KEY = 'nft netdev hybridnet'
const RETRY_FIRST_MS = 200
const RETRY_LONGEST_MS = 30_000

export class Netfilter {
  readonly #options: NetfilterOptions
  readonly #nft: NftOptions
  readonly #wanted = new Map<string, Set<string>>()
  /** Elements whose wish changed since the last transaction, by set. */
  #changed = new Map<string, Set<string>>()
  /** Elements in the kernel; null when the table has to be listed first. */
  #actual: Map<string, Set<string>> | null = null
  /** What `#actual` last was: another listing is somebody else's doing. Null before the first. */
  #known: ReadonlyMap<string, ReadonlySet<string>> | null = null
  readonly #contests = new Contests()
  /** When a table was last looked at while the other was contested, by key. */
  readonly #examined = new Map<string, number>()
  #repairs = 0
  /** Ends a hold. */
  #holdTimer: NodeJS.Timeout | null = null
  /** VXLAN device that should have a fan-out, null for none. */
  #vxlan: string | null = null
  #vxlanIndex = 0
  #fanOutDoubted = false
  /** Device whose fan-out is known to stand; undefined: to be listed first. */
  #fannedOut: string | null | undefined = undefined
  /** Index of the device whose fan-out table once stood. */
  #stood: number | null = null
  #mode: 'nft' | 'tc' | null = null
  #running: Promise<void> | null = null
  #again = false
  #doubted = true
  #stopped = false
  #started = false
  #retry: NodeJS.Timeout | null = null
  #failures = 0
  #error: string | null = null
  #transactions = 0
  #monitor: NftMonitor | null = null
  /** Own commits whose notification has not come yet. */
  #echoes = 0

  constructor(options: NetfilterOptions) {
    this.#options = options
    const { namespace } = options
    this.#nft = { namespace: null, run: (command, how) => runCommand(namespace, command, how) }
  }

  get status(): NetfilterStatus {
    return {
      inSync: this.#started && this.#running === null && this.#retry === null && !this.#doubted && !this.#fanOutDoubted,
      transactions: this.#transactions,
      fanOut: this.#mode,
      error: this.#error,
      repairs: this.#repairs,
      contested: this.#contests.list(Date.now()).map(({ key, repairs }) => ({ key, repairs })),
    }
  }

  /** Records the wish; `sync` carries it out. */
  want(element: ElementRecord): void {
    this.#note(element)
    const set = this.#wanted.get(element.set)
    if (set === undefined) this.#wanted.set(element.set, new Set([element.value]))
    else set.add(element.value)
  }

  unwant(element: ElementRecord): void {
    this.#note(element)
    this.#wanted.get(element.set)?.delete(element.value)
  }

  #note({ set, value }: ElementRecord): void {
    const changed = this.#changed.get(set)
    if (changed === undefined) this.#changed.set(set, new Set([value]))
    else changed.add(value)
  }

  /** The device whose group frames are to be rewritten; another index is another device, with nothing attached. */
  setFanOut(vxlan: string | null, index: number): void {
    if (vxlan === this.#vxlan && index === this.#vxlanIndex) return
    if (index !== this.#vxlanIndex) this.#fanOutDoubted = true
    this.#vxlan = vxlan
    this.#vxlanIndex = index
    this.sync()
  }

  /** Whether the kernel is known to hold the element. */
  has(element: Pick<ElementRecord, 'set' | 'value'>): boolean {
    return this.#actual?.get(element.set)?.has(element.value) === true
  }

  /** The tables may have been changed by somebody else, or with the VXLAN device: list them before the next change. */
  doubt(): void {
    this.#doubted = true
    this.#fanOutDoubted = true
    this.sync()
  }

  /** Brings the kernel to what is wanted, now or, when a transaction runs, right after it. */
  sync(): void {
    if (this.#stopped || !this.#started) return
    if (this.#running !== null) {
      this.#again = true
      return
    }
    if (this.#retry !== null) clearTimeout(this.#retry)
    this.#retry = null
    this.#running = this.#loop()
  }

  start(): void {
    this.#started = true
    this.#monitor = NftMonitor.open(this.#options.namespace, {
      tables: [MAIN_TABLE.name],
      onCommits: (count) => {
        const own = Math.min(count, this.#echoes)
        this.#echoes -= own
        if (count > own) this.doubt()
      },
      onOverrun: () => {
        this.#echoes = 0
        this.doubt()
      },
      onError: (error) => this.#options.log.error({ err: error }, 'nftables notifications ended; audits go on'),
    })
    this.sync()
  }

  /** Waits for the transaction in progress. The tables stay. */
  async stop(): Promise<void> {
    this.#stopped = true
    this.#monitor?.close()
    await this.#running
    for (const timer of [this.#retry, this.#holdTimer]) if (timer !== null) clearTimeout(timer)
    this.#retry = null
  }

  /** Resolves when no transaction runs. */
  async idle(): Promise<void> {
    while (this.#running !== null) await this.#running
  }

  async #loop(): Promise<void> {
    // Those who ask in this turn of the event loop are served by the first transaction.
    await Promise.resolve()
    try {
      do {
        this.#again = false
        if (this.#doubted && !this.#heldBack(MAIN_KEY, this.#changed.size > 0)) {
          this.#doubted = false
          this.#actual = null
        }
        if (this.#fanOutDoubted && !this.#heldBack(FAN_OUT_KEY, this.#stood !== this.#vxlanIndex)) {
          this.#fanOutDoubted = false
          this.#fannedOut = undefined
        }
        await this.#syncMain()
        await this.#syncFanOut()
      } while (this.#wantsAnother())
      this.#failures = 0
      this.#error = null
    } catch (error) {
      this.#fail(error)
    } finally {
      this.#running = null
    }
    this.#options.onProgress()
  }

  /**
   * Whether what somebody else may have changed of a table has to stay for now; `#holdTimer` comes back to it. Notifications do not
   * tell the tables apart: while one is contested the other is looked at now and then.
   *
   * @param wished there is a wish for the table: it is no answer to the other writer
   */
  #heldBack(key: string, wished: boolean): boolean {
    const now = Date.now()
    const next = this.#contests.nextAt(now)
    // Nor may a change wait that failed a moment ago.
    if (next === null || wished || this.#failures > 0) return false
    const due = this.#contests.held(key, now) ? next : (this.#examined.get(key) ?? 0) + BESIDE_FIGHT_MS
    if (due <= now) {
      this.#examined.set(key, now)
      return false
    }
    if (this.#holdTimer !== null) clearTimeout(this.#holdTimer)
    this.#holdTimer = setTimeout(
      () => {
        this.#holdTimer = null
        this.sync()
      },
      Math.min(due, next) - now + 1,
    )
    return true
  }

  #noteRepair(key: string, why: string): void {
    this.#repairs++
    this.#options.onRepair?.()
    this.#options.log.info({ object: key, why }, 'repaired')
    const now = Date.now()
    if (this.#contests.note(key, now)) {
      this.#options.log.warn({ object: key }, 'somebody else keeps changing this; leaving it alone for a while')
    }
    this.#contests.prune(now)
  }

  #wantsAnother(): boolean {
    return this.#again && !this.#stopped
  }

  #fail(error: unknown): void {
    this.#doubted = true
    this.#fanOutDoubted = true
    this.#error = error instanceof Error ? error.message : String(error)
    if (this.#failures === 0) this.#options.log.error({ err: error }, 'nftables change failed; retrying')
    const delay = Math.min(RETRY_LONGEST_MS, RETRY_FIRST_MS * 2 ** this.#failures++)
    if (this.#stopped) return
    this.#retry = setTimeout(() => {
      this.#retry = null
      this.sync()
    }, delay)
  }

  async #syncMain(): Promise<void> {
    const actual = this.#actual
    if (actual === null) return this.#compareMain()
    const changed = this.#changed
    if (changed.size === 0) return
    this.#changed = new Map()
    // Only what changed: of an exact set those elements, of an interval set, which is rewritten whole, everything.
    const current = new Map<string, Set<string>>()
    const wanted = new Map<string, Set<string>>()
    for (const { name, interval } of MAIN_TABLE.sets) {
      const touched = changed.get(name)
      if (touched === undefined) continue
      const pick = (from: ReadonlySet<string> | undefined): Set<string> =>
        new Set(interval ? from : [...touched].filter((value) => from?.has(value) === true))
      current.set(name, pick(actual.get(name)))
      wanted.set(name, pick(this.#wanted.get(name)))
    }
    await this.#applyElements(current, wanted)
    for (const [name, elements] of wanted) {
      const known = actual.get(name) ?? new Set()
      for (const value of current.get(name) ?? []) known.delete(value)
      for (const value of elements) known.add(value)
      actual.set(name, known)
    }
  }

  /** Lists the table and corrects it. */
  async #compareMain(): Promise<void> {
    const listing = await listTable(this.#nft, MAIN_TABLE)
    const difference = listing === null ? 'missing' : structureDifference(MAIN_TABLE, listing)
    this.#changed = new Map()
    const wanted = this.#copyWanted()
    const known = this.#known
    let foreign = difference
    if (listing === null || difference !== null) {
      this.#options.log.info({ operation: 'nft', why: difference }, 'writing table inet hybridnet')
      await this.#apply(replaceTable(MAIN_TABLE, wanted))
    } else {
      const current = new Map([...listing.sets].map(([name, set]) => [name, set.elements]))
      if (known !== null) foreign = elementDifference(known, current)
      await this.#applyElements(current, wanted)
    }
    this.#actual = wanted
    this.#known = wanted
    if (known !== null && foreign !== null) this.#noteRepair(MAIN_KEY, foreign)
  }

  async #syncFanOut(): Promise<void> {
    const vxlan = this.#vxlan
    if (this.#fannedOut === vxlan && vxlan !== null) return
    const index = this.#vxlanIndex
    if (vxlan === null) {
      // An overlay network that is gone took its device along; its table would wait for a device of that name.
      if (this.#fannedOut === null) return
      const listing = await listTable(this.#nft, FAN_OUT_NAME)
      if (listing !== null) await this.#apply(removeTable(FAN_OUT_NAME))
      this.#fannedOut = null
      return
    }
    const table = fanOutTable(vxlan)
    this.#mode ??= (await checkTransaction(this.#nft, replaceTable(fanOutTable('lo'), new Map()))) ? 'nft' : 'tc'
    if (this.#mode === 'tc') {
      await replaceTcFanOut(this.#options.namespace, vxlan)
      this.#fannedOut = vxlan
      return
    }
    const stood = this.#stood === index
    if (!(await this.#hangsOn(table, vxlan))) {
      await this.#apply(replaceTable(table, new Map()))
      if (stood) this.#noteRepair(FAN_OUT_KEY, 'not as written')
    }
    this.#fannedOut = vxlan
    this.#stood = index
  }

  /** Whether the fan-out table is ours to the letter, and in force on the device. */
  async #hangsOn(table: TableDefinition, vxlan: string): Promise<boolean> {
    const listing = await listTable(this.#nft, table)
    if (listing === null || structureDifference(table, listing) !== null) return false
    // 6.13 to 6.15 keep the chain when the device goes and do not hang it on the next one of that name.
    const [chain] = table.chains
    if (chain === undefined) return false
    const devices = await chainDevices(this.#nft, table, chain.name)
    return devices.length === 1 && devices[0] === vxlan
  }

  #copyWanted(): Map<string, Set<string>> {
    return new Map([...this.#wanted].map(([name, elements]) => [name, new Set(elements)]))
  }

  async #applyElements(current: Elements, wanted: Elements): Promise<void> {
    const changes = elementChanges(MAIN_TABLE, current, wanted)
    if (changes.length > 0) await this.#apply([ANNOUNCED, ...changes])
  }

  /** The transaction must be one that the kernel announces whatever it finds: see `ANNOUNCED`. */
  async #apply(transaction: Transaction): Promise<void> {
    this.#echoes++
    try {
      await applyTransaction(this.#nft, transaction)
    } catch (error) {
      this.#echoes = Math.max(0, this.#echoes - 1)
      throw error
    }
    this.#transactions++
  }
}

/**
 * Changes nothing of a table that stands, and yet the kernel announces the commit. An element added that is there already, or an
 * empty set flushed, is no commit at all: its notification would be waited for, and somebody else's taken for it.
 */
const ANNOUNCED: Command = {
  do: 'add-chain',
  table: { family: MAIN_TABLE.family, name: MAIN_TABLE.name },
  chain: { name: 'mark_back4', base: null, rules: [] },
}

/** The first set that holds other elements than are known to have been written, in words. */
function elementDifference(
  known: ReadonlyMap<string, ReadonlySet<string>>,
  listed: ReadonlyMap<string, ReadonlySet<string>>,
): string | null {
  for (const { name } of MAIN_TABLE.sets) {
    const before = known.get(name) ?? NO_ELEMENTS
    const now = listed.get(name) ?? NO_ELEMENTS
    if (before.size !== now.size || ![...before].every((value) => now.has(value))) return `set ${name} was changed`
  }
  return null
}

const NO_ELEMENTS: ReadonlySet<string> = new Set()
const FAN_OUT_NAME: TableDefinition = { family: 'netdev', name: 'hybridnet', sets: [], chains: [] }
