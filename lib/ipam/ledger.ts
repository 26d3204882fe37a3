// Who holds which address of one subnet name. It lives as long as anything holds an address under that name, whether or
// not a usable Subnet object stands behind it at the moment: a broken edit or a re-created Subnet never forgets a holder.
//
// A release is owner-checked: it takes effect only for the very object (namespace and UID) the record names, so a late or
// repeated deletion can never free an address that meanwhile belongs to somebody else (manager.md D4).
//
// When two objects claim one address (possible over namespaces, D9), the first is the record and the others wait as rivals;
// when the holder goes, a rival takes its place and the address stays held.
//
// A record without an object that only says that a pod runs with the address (`reported`) gives way to any object.
import type { IPAddress } from '../ip/index.ts'
import { AddressMap } from './address-map.ts'
import type { RecordIndexes } from './indexes.ts'
import { nextPhase, type Phase, type PhaseEvent } from './phase.ts'
import type { AddressRecord, InstanceView, Observation, PodRef } from './types.ts'

type Held = { -readonly [Key in keyof AddressRecord]: AddressRecord[Key] }

/** Told of every change of the phase of the address's record; null stands for free. */
export interface LedgerListener {
  phaseChanged(address: IPAddress, before: Phase | null, after: Phase | null): void
}

/** The very object meant by a release. */
export interface InstanceKey {
  readonly namespace: string
  readonly uid: string
}

export class Ledger {
  readonly subnet: string
  readonly #indexes: RecordIndexes
  readonly #records = new AddressMap<Held>()
  readonly #rivals = new Map<IPAddress, Held[]>()
  readonly #onFree: (record: AddressRecord) => void
  #listener: LedgerListener

  /** @param onFree told of the last holder of an address that nobody holds any more; may report another */
  constructor(
    subnet: string,
    indexes: RecordIndexes,
    listener: LedgerListener,
    onFree: (record: AddressRecord) => void,
  ) {
    this.subnet = subnet
    this.#indexes = indexes
    this.#listener = listener
    this.#onFree = onFree
  }

  get size(): number {
    return this.#records.size
  }

  get(address: IPAddress): AddressRecord | undefined {
    return this.#records.get(address)
  }

  records(): IterableIterator<AddressRecord> {
    return this.#records.values()
  }

  /** Every further object that claims an address somebody holds. */
  *rivals(): IterableIterator<AddressRecord> {
    for (const waiting of this.#rivals.values()) yield* waiting
  }

  /** Hands all records over from the present listener to another. */
  listen(listener: LedgerListener): void {
    if (listener === this.#listener) return
    for (const record of this.#records.values()) {
      this.#listener.phaseChanged(record.address, record.phase, null)
      listener.phaseChanged(record.address, null, record.phase)
    }
    this.#listener = listener
  }

  /** A free address becomes claimed for the pod. */
  claim(address: IPAddress, network: string, pod: PodRef, mac: number): AddressRecord {
    return this.#hold(address, 'claimed', network, pod, mac)
  }

  /**
   * A held address goes to another life of its pod, or from a retained holder to another pod of the namespace.
   *
   * @param mac for an address without an object of which it is not known
   */
  bind(address: IPAddress, pod: PodRef, mac: number): void {
    const record = this.#records.get(address)
    if (record === undefined) return
    const phase = nextPhase(record.phase, 'bind')
    if (phase === null || phase === 'free') return
    if (record.uid !== '' && record.podUID !== pod.uid) record.kept = true
    const unknown = record.phase === 'reported' && record.mac === 0
    this.#describe(record, {
      namespace: pod.namespace,
      pod: pod.name,
      podUID: pod.uid,
      ...(unknown ? { mac } : {}),
    })
    this.#move(record, phase)
  }

  /** A free address becomes that of a pod which runs with it. A no-op for one that somebody holds. */
  report(address: IPAddress, network: string, pod: PodRef, mac: number): void {
    if (this.#records.get(address) === undefined) this.#hold(address, 'reported', network, pod, mac)
  }

  /** Ends a report: the address is free, and `onFree` is not told. Returns what it was; null when it was not reported. */
  withdraw(address: IPAddress): AddressRecord | null {
    const record = this.#records.get(address)
    if (record === undefined || nextPhase(record.phase, 'withdraw') === null) return null
    this.#release(record)
    return record
  }

  /** The claim's object is certain not to exist: the address is free again. Takes effect for an unconfirmed claim only. */
  abandon(address: IPAddress, podUID: string): boolean {
    const record = this.#records.get(address)
    if (record === undefined || record.podUID !== podUID) return false
    return this.#apply(record, 'abandon')
  }

  /** Puts the holder back as it was before a `bind`. */
  restore(address: IPAddress, previous: AddressRecord): void {
    const record = this.#records.get(address)
    if (record === undefined || record.uid !== previous.uid) return
    // What was seen of the object meanwhile is newer than what it was before, its going in particular.
    if (record.version > previous.version || record.phase === 'releasing' || record.phase === 'quarantined') return
    record.kept = previous.kept
    this.#describe(record, { namespace: previous.namespace, pod: previous.pod, podUID: previous.podUID })
    this.#move(record, previous.phase)
  }

  /** Applies an object as read from the API, in any order and any number of times. */
  observe(view: InstanceView): Observation {
    const record = this.#records.get(view.address)
    if (record === undefined) {
      this.#insert(this.#recordOf(view))
      return { kind: 'known' }
    }
    if (isOf(record, view) || isMadeFor(record, view)) return this.#refresh(record, view)
    if (this.withdraw(view.address) !== null) return this.observe(view)
    const rivals = this.#rivals.get(view.address)
    const rival = rivals?.find((other) => isOf(other, view))
    if (rival !== undefined) {
      this.#refresh(rival, view, true)
      return { kind: 'duplicate', holder: record }
    }
    // One name, one namespace: the API holds a single such object, so the one known before is gone.
    if (record.namespace === view.namespace && record.phase !== 'claimed') {
      if (view.version < record.version) return { kind: 'stale' }
      this.#remove(record)
      return this.observe(view)
    }
    const newcomer = this.#recordOf(view)
    this.#rivals.set(view.address, [...(rivals ?? []), newcomer])
    this.#indexes.add(newcomer)
    return { kind: 'duplicate', holder: record }
  }

  /** Books the release of a terminating object: it counts as free, and is handed out only after `gone`. */
  book(address: IPAddress, key: InstanceKey): boolean {
    const record = this.#records.get(address)
    if (record === undefined || !isOf(record, key)) return false
    return this.#apply(record, 'book')
  }

  /** The object is known to be gone from the API. */
  gone(address: IPAddress, key: InstanceKey): boolean {
    const record = this.#records.get(address)
    if (record === undefined) return false
    if (isOf(record, key)) return this.#apply(record, 'gone')
    const rivals = this.#rivals.get(address) ?? []
    const rest = rivals.filter((other) => !isOf(other, key))
    if (rest.length === rivals.length) return false
    for (const other of rivals) if (!rest.includes(other)) this.#indexes.remove(other)
    this.#setRivals(address, rest)
    return true
  }

  /** Applies an object's state to its record. */
  #refresh(record: Held, view: InstanceView, rival = false): Observation {
    if (view.version < record.version) return { kind: 'stale' }
    const event: PhaseEvent = view.terminating ? 'terminate' : view.reserved ? 'retain' : 'confirm'
    const phase = nextPhase(record.phase, event)
    // Deletion cannot be taken back: a view without it is old, whatever its version says.
    if (phase === null || phase === 'free') return { kind: 'stale' }
    // A change of the object never makes it new again.
    record.kept = (record.uid === view.uid && record.kept) || (view.kept ?? false)
    record.uid = view.uid
    record.version = view.version
    this.#describe(record, { namespace: view.namespace, pod: view.pod, podUID: view.podUID, mac: view.mac })
    if (rival) record.phase = phase
    else this.#move(record, phase)
    return { kind: 'known' }
  }

  #recordOf(view: InstanceView): Held {
    return {
      subnet: view.subnet,
      network: view.network,
      address: view.address,
      phase: view.terminating ? 'releasing' : view.reserved ? 'reserved' : 'live',
      namespace: view.namespace,
      pod: view.pod,
      podUID: view.podUID,
      mac: view.mac,
      kept: view.kept ?? false,
      uid: view.uid,
      version: view.version,
    }
  }

  #hold(address: IPAddress, phase: 'claimed' | 'reported', network: string, pod: PodRef, mac: number): AddressRecord {
    const record: Held = {
      subnet: this.subnet,
      network,
      address,
      phase,
      namespace: pod.namespace,
      pod: pod.name,
      podUID: pod.uid,
      mac,
      kept: false,
      uid: '',
      version: 0,
    }
    this.#insert(record)
    return record
  }

  #insert(record: Held): void {
    this.#records.set(record.address, record)
    this.#indexes.add(record)
    this.#listener.phaseChanged(record.address, null, record.phase)
  }

  #release(record: Held): void {
    this.#records.delete(record.address)
    this.#indexes.remove(record)
    this.#listener.phaseChanged(record.address, record.phase, null)
  }

  #remove(record: Held): void {
    this.#release(record)
    const [heir, ...rest] = this.#rivals.get(record.address) ?? []
    if (heir === undefined) return this.#onFree(record)
    this.#setRivals(record.address, rest)
    this.#indexes.remove(heir)
    this.#insert(heir)
  }

  #setRivals(address: IPAddress, rivals: Held[]): void {
    if (rivals.length === 0) this.#rivals.delete(address)
    else this.#rivals.set(address, rivals)
  }

  #apply(record: Held, event: PhaseEvent): boolean {
    const phase = nextPhase(record.phase, event)
    if (phase === null) return false
    if (phase === 'free') this.#remove(record)
    else this.#move(record, phase)
    return true
  }

  #move(record: Held, phase: Phase): void {
    const before = record.phase
    if (before === phase) return
    record.phase = phase
    this.#listener.phaseChanged(record.address, before, phase)
  }

  #describe(record: Held, fields: { namespace: string; pod: string; podUID: string; mac?: number }): void {
    record.podUID = fields.podUID
    const mac = fields.mac ?? record.mac
    if (record.namespace === fields.namespace && record.pod === fields.pod && record.mac === mac) return
    this.#indexes.remove(record)
    record.namespace = fields.namespace
    record.pod = fields.pod
    record.mac = mac
    this.#indexes.add(record)
  }
}

/** Whether the record is of that very object. A claim is of none yet: the end of an earlier object must not end it. */
function isOf(record: AddressRecord, key: InstanceKey): boolean {
  return record.uid !== '' && record.uid === key.uid && record.namespace === key.namespace
}

/**
 * Whether the object is what became of a claim: it names the same pod, and one namespace holds a single object of the name.
 * One that is being deleted is what was there before: the claim is not released with it, it waits until the name is free.
 */
function isMadeFor(record: AddressRecord, view: InstanceView): boolean {
  return record.uid === '' && record.namespace === view.namespace && record.pod === view.pod && !view.terminating
}
