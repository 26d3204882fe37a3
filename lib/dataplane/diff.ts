// Desired state against the mirror: which operations are missing. Pure.
//
// `diffAll` looks at everything, `diffKeys` only at the keys given, with the same code per key; the engine uses the
// former at start and audits, the latter for every event. Records whose devices are missing wait; records on a device
// that this very diff (re)creates count as absent from the kernel.
import type { Family } from '../ip/index.ts'
import {
  compare,
  DOWN,
  isUp,
  recordOfAddress,
  recordOfFdb,
  recordOfRoute,
  recordOfVxlan,
  actualRecord,
  type SingleRecord,
} from './compare.ts'
import type { KernelState } from './mirror/state.ts'
import type { Operation, Waiting } from './operation.ts'
import type { Ownership } from './ownership.ts'
import { diffRules } from './rules.ts'
import { keyOf, linksOf, ruleKey, type DataplaneRecord, type LinkRecord, type RuleRecord } from './state.ts'
import type { DesiredStore } from './store.ts'

export interface DiffResult {
  readonly operations: readonly Operation[]
  readonly waiting: readonly Waiting[]
}

export interface DiffInput {
  readonly store: DesiredStore
  readonly state: KernelState
  readonly ownership: Ownership
}

/** What to look at: keys with a record of that key (wanted, formerly wanted, or seen in the kernel). */
export interface DirtyKeys {
  readonly records: ReadonlyMap<string, DataplaneRecord>
  /** Keys that were wanted until now: removed whoever wrote them. */
  readonly released: ReadonlySet<string>
  readonly ruleFamilies: ReadonlySet<Family>
}

/**
 * Everything wanted and everything of ours in the kernel.
 *
 * @param also keys released since the last comparison
 */
export function diffAll(input: DiffInput, also?: DirtyKeys): DiffResult {
  const records = new Map<string, DataplaneRecord>(also?.records)
  for (const record of ownStrays(input)) records.set(keyOf(record), record)
  for (const [key, { record }] of input.store.entries()) records.set(key, record)
  return diffKeys(input, { records, released: also?.released ?? new Set(), ruleFamilies: new Set([4, 6]) })
}

export function diffKeys(input: DiffInput, dirty: DirtyKeys): DiffResult {
  const diff = new Diff(input, dirty)
  diff.links()
  diff.singles()
  for (const family of dirty.ruleFamilies) diff.rules(family)
  return { operations: diff.operations, waiting: diff.waiting }
}

class Diff {
  readonly operations: Operation[] = []
  readonly waiting: Waiting[] = []
  readonly #input: DiffInput
  readonly #records: Map<string, DataplaneRecord>
  readonly #released: ReadonlySet<string>
  /** Devices this diff makes or sets up: what needs them need not wait. */
  readonly #coming = new Set<string>()
  /** Of those, the ones it makes: nothing of what stood on them is left. */
  readonly #remade = new Set<string>()
  /** Devices this diff removes, and all that stands on them. */
  readonly #going = new Set<string>()

  constructor(input: DiffInput, dirty: DirtyKeys) {
    this.#input = input
    this.#records = new Map(dirty.records)
    this.#released = dirty.released
  }

  links(): void {
    const { store } = this.#input
    for (const [key, probe] of this.#records) {
      if (probe.kind !== 'link') continue
      const wanted = store.get(key)?.record
      if (wanted?.kind === 'link') this.#wantedLink(key, wanted)
      else this.#unwanted(key, probe)
    }
    // All that stands on a device that comes anew has to be looked at again.
    for (const name of this.#coming) {
      for (const key of store.keysOnLink(name)) {
        const entry = store.get(key)
        if (entry !== undefined) this.#records.set(key, entry.record)
      }
    }
  }

  #wantedLink(key: string, record: LinkRecord): void {
    const { state } = this.#input
    const difference = compare(record, state)
    if (difference === null) return
    if (difference.why === DOWN) {
      this.#add('up', key, record, DOWN)
      this.#coming.add(record.name)
      return
    }
    if (state.link(record.parent) === undefined) return this.#wait(key, `link ${record.parent}`)
    if (record.type === 'vxlan') {
      if (record.identity === null) return this.#wait(key, `a tunnel address on ${record.parent}`)
      const rival = this.#rival(record.name, record.vni, record.port)
      if (rival !== null) return this.#wait(key, `device ${rival} to give up VNI ${record.vni} and port ${record.port}`)
    }
    this.#add(difference.missing ? 'add' : 'replace', key, record, difference.why)
    this.#coming.add(record.name)
    this.#remade.add(record.name)
  }

  /** A foreign device with the same VNI and port, for which the kernel would refuse ours (defect 33). */
  #rival(name: string, vni: number, port: number): string | null {
    const { state, ownership } = this.#input
    for (const link of state.links.values()) {
      if (link.name === name || link.vxlan?.vni !== vni || link.vxlan.port !== port) continue
      if (!ownership.link(link)) return link.name
      const record = recordOfVxlan(link, state)
      if (record !== null) this.#records.set(keyOf(record), record)
    }
    return null
  }

  singles(): void {
    const { store } = this.#input
    for (const [key, probe] of this.#records) {
      if (probe.kind === 'link' || probe.kind === 'rule' || probe.kind === 'element') continue
      const wanted = store.get(key)?.record
      if (wanted === undefined) this.#unwanted(key, probe)
      else if (wanted.kind !== 'link' && wanted.kind !== 'rule' && wanted.kind !== 'element') this.#wanted(key, wanted)
    }
  }

  #wanted(key: string, record: Exclude<SingleRecord, LinkRecord>): void {
    const { state } = this.#input
    const missing = this.#missingLink(record)
    if (missing !== null) return this.#wait(key, missing)
    if (linksOf(record).some((name) => this.#remade.has(name))) return this.#add('add', key, record, 'missing')
    if (record.kind === 'sysctl' && state.sysctls.get(record.path) === null && !record.optional) {
      return this.#wait(key, 'a kernel that has this setting')
    }
    const difference = compare(record, state)
    if (difference !== null) this.#add(difference.missing ? 'add' : 'replace', key, record, difference.why)
  }

  /** The device a record has to wait for. Routes need it up: the kernel refuses or drops them otherwise. */
  #missingLink(record: DataplaneRecord): string | null {
    for (const name of linksOf(record)) {
      if (this.#coming.has(name)) continue
      const link = this.#input.state.link(name)
      if (link === undefined) return `link ${name}`
      if (record.kind === 'route' && !isUp(link)) return `link ${name} to be up`
    }
    return null
  }

  #unwanted(key: string, probe: SingleRecord): void {
    const { state } = this.#input
    const actual = actualRecord(probe, state)
    if (actual === null || actual.kind === 'sysctl') return
    if (actual.kind === 'link' && actual.type === 'vlan') return
    const vanishes = (name: string): boolean => this.#remade.has(name) || this.#going.has(name)
    if (actual.kind !== 'link' && linksOf(actual).some(vanishes)) return
    if (!this.#released.has(key) && !this.#owned(actual)) return
    this.#add('delete', key, actual, 'not wanted')
    if (actual.kind === 'link') this.#going.add(actual.name)
  }

  #owned(record: SingleRecord): boolean {
    const { state, ownership } = this.#input
    switch (record.kind) {
      case 'sysctl':
        return false
      case 'link': {
        const link = state.link(record.name)
        return link !== undefined && ownership.link(link)
      }
      case 'route': {
        const route = state.route(keyOf(record))
        return route !== undefined && ownership.route(route)
      }
      case 'address': {
        const link = state.link(record.link)
        const addr = link === undefined ? undefined : state.address(link.index, record.address)
        return addr !== undefined && ownership.address(addr, record.link)
      }
      case 'proxy':
        return ownership.proxy(record.address, record.link)
      case 'fdb': {
        const link = state.link(record.link)
        const entry = link === undefined ? undefined : state.fdbEntry(link.index, record.mac, record.dst)
        return entry !== undefined && ownership.fdb(entry, record.link)
      }
    }
  }

  rules(family: Family): void {
    const { store, state, ownership } = this.#input
    const desired: RuleRecord[] = []
    for (const [, { record }] of store.entries())
      if (record.kind === 'rule' && record.family === family) desired.push(record)
    const changes = diffRules(desired, state.rules(family), (rule) => {
      const key = ruleKey({ ...rule, mark: rule.fwmark, mask: rule.fwmask })
      return this.#released.has(key) || ownership.rule(rule)
    })
    const held = new Set<string>()
    for (const { action, record } of changes) {
      const missing = action === 'add' ? this.#missingLink(record) : null
      if (missing === null) continue
      held.add(ruleKey(record))
      this.#wait(ruleKey(record), missing)
    }
    for (const { action, record, priority, why } of changes) {
      const key = ruleKey(record)
      if (!held.has(key)) this.operations.push({ action, key, record, priority, why })
    }
  }

  #add(action: Operation['action'], key: string, record: Operation['record'], why: string): void {
    this.operations.push({ action, key, record, priority: null, why })
  }

  #wait(key: string, reason: string): void {
    this.waiting.push({ key, for: reason })
  }
}

/** Objects of the kernel that would be ours, as records; wanted ones among them. Rules are not listed here. */
export function* ownStrays({ state, ownership }: Pick<DiffInput, 'state' | 'ownership'>): Generator<DataplaneRecord> {
  for (const link of state.links.values()) {
    const record = ownership.link(link) ? recordOfVxlan(link, state) : null
    if (record !== null) yield record
  }
  for (const route of state.routes()) if (ownership.route(route)) yield recordOfRoute(route, state)
  for (const addr of state.addresses()) {
    const name = state.linkName(addr.index)
    if (name !== null && ownership.address(addr, name)) yield recordOfAddress(addr, name)
  }
  for (const [index, addresses] of state.proxies()) {
    const link = state.linkName(index)
    if (link === null) continue
    for (const address of addresses) if (ownership.proxy(address, link)) yield { kind: 'proxy', link, address }
  }
  for (const link of state.links.values()) {
    for (const entry of state.fdb(link.index)) {
      if (!ownership.fdb(entry, link.name)) continue
      const record = recordOfFdb(entry, link.name)
      if (record !== null) yield record
    }
  }
}
