// What is to be done for a pod that is bound to a node and not leaving (manager.md §2.3, §2.7, §2.8): from what it wants,
// what it holds and what is retained for it, to one plan. Pure. "Held" are the records of this very life of the pod, in
// memory, claims in flight included; so a crash or a lost answer between two creates is found and completed (D6), and
// more addresses than the pod can use are found and dropped (D11).
import { retainedConfiguration, type IPFamily } from '../../api/index.ts'
import { familyOf, formatAddress, type Family, type IPAddress } from '../../ip/index.ts'
import { familiesOf, type AddressRecord, type FamilyRequest } from '../../ipam/index.ts'

/** A record and what its object says of its use. */
export interface Holding {
  readonly record: AddressRecord
  /** A sandbox runs with it. */
  readonly inUse: boolean
}

export interface PodFacts {
  readonly uid: string
  /** Records under the pod's name, of any life. */
  readonly holdings: readonly Holding[]
  /** The kubelet has reported an address: what the pod has is what it runs with. */
  readonly running: boolean
  readonly stateful: boolean
  readonly retain: boolean
  /**
   * Of the VirtualMachine whose pod it is, null for others. Its holdings are then those of the machine, whichever of its pods
   * has them.
   */
  readonly machine: string | null
  /** Addresses the pod must get by its ip-pool; null without one. */
  readonly pool: readonly IPAddress[] | null
}

export interface Wanted {
  readonly network: string
  readonly subnets: readonly string[]
  readonly family: IPFamily
}

export type PodPlan =
  /** It has what it needs. */
  | { readonly kind: 'served' }
  /** Records to get rid of first; the pod is looked at again when they are gone. */
  | { readonly kind: 'drop'; readonly records: readonly AddressRecord[] }
  /** Claims whose object is not known to exist: write them (again). */
  | { readonly kind: 'write'; readonly records: readonly AddressRecord[] }
  /** Pick addresses of `family`; with the MAC the pod has, if any. */
  | {
      readonly kind: 'allocate'
      readonly network: string
      readonly family: FamilyRequest
      readonly subnets: readonly string[]
      readonly mac: number | null
    }
  /** Take exactly these, replacing what else the pod's name holds. */
  | {
      readonly kind: 'assign'
      readonly network: string
      readonly family: FamilyRequest
      readonly addresses: readonly { readonly address: IPAddress; readonly subnet?: string }[]
      readonly force: boolean
      readonly mac: number | null
      readonly drop: readonly AddressRecord[]
    }
  | { readonly kind: 'refuse'; readonly reason: string }

const gone = (record: AddressRecord): boolean => record.phase === 'releasing' || record.phase === 'quarantined'
/** An object of it exists, or is about to. */
const isHeld = (record: AddressRecord): boolean => !gone(record) && record.phase !== 'reported'

/** IPv4 first, then by address: the same records always give the same plan. */
function inOrder(records: readonly AddressRecord[]): AddressRecord[] {
  return [...records].sort(
    (a, b) => familyOf(a.address) - familyOf(b.address) || (a.address < b.address ? -1 : a.address > b.address ? 1 : 0),
  )
}

export function requestOf(families: readonly Family[]): FamilyRequest {
  return families.length === 2 ? 'DualStack' : families[0] === 6 ? 'IPv6Only' : 'IPv4Only'
}

/** Network and family of what is retained for a pod that comes back; null when nothing is. */
export function retainedOf(
  facts: Pick<PodFacts, 'uid' | 'holdings' | 'stateful' | 'retain' | 'machine' | 'pool'>,
): { readonly network: string; readonly family: FamilyRequest; readonly problem: string | null } | null {
  if (!(facts.stateful || facts.machine !== null) || !facts.retain || facts.pool !== null) return null
  const records = inOrder(facts.holdings.map(({ record }) => record).filter((record) => !gone(record)))
    // Only what outlived a pod decides, bound again to this one or not yet; what was made for this life may be half of
    // what it asked for.
    .filter((record) => record.kept || record.podUID !== facts.uid)
  const [first] = records
  if (first === undefined) return null
  return retainedConfiguration(records)
}

/** Whether the pod has an address of its own life already, whatever its configuration says now (D29). */
export function holdsSomething(facts: PodFacts): boolean {
  return facts.holdings.some(({ record }) => record.podUID === facts.uid && record.phase === 'live')
}

/**
 * What comes before anything a pod may want: the addresses it runs with, or was bound to when the API server went back in
 * time, of which there is no IPInstance, get theirs again, whatever its configuration says by now. null when it has none such.
 *
 * @param facts `addresses`: what the kubelet has reported
 */
export function planAgain(
  facts: Pick<PodFacts, 'uid' | 'holdings'> & { readonly addresses: readonly IPAddress[] },
): PodPlan | null {
  const { uid, holdings, addresses } = facts
  const own = inOrder(holdings.map(({ record }) => record).filter((record) => record.podUID === uid))
  const runsWith = own.filter((record) => addresses.includes(record.address))
  // Somebody has deleted its object: it is the pod's until it is gone, whose end brings the pod back.
  if (runsWith.some(gone)) return { kind: 'served' }
  const claims = runsWith.filter((record) => record.phase === 'claimed')
  if (claims.length > 0) return { kind: 'write', records: claims }
  const again = new Map<Family, AddressRecord>()
  for (const record of addresses.length > 0 ? runsWith : own) {
    const family = familyOf(record.address)
    const [first] = again.values()
    const has = own.some((other) => familyOf(other.address) === family && isHeld(other))
    if (record.phase !== 'reported' || has || again.has(family)) continue
    if (first === undefined || first.network === record.network) again.set(family, record)
  }
  const [first] = again.values()
  if (first === undefined) return null
  const records = [...again.values()]
  return {
    kind: 'assign',
    network: first.network,
    family: requestOf([...again.keys()]),
    addresses: records.map(({ address, subnet }) => ({ address, subnet })),
    force: false,
    mac: macOf(own),
    drop: [],
  }
}

export function planPod(facts: PodFacts, wanted: Wanted): PodPlan {
  // What this life of the pod is only said to run with is `planAgain`'s.
  const alive = facts.holdings.filter(
    ({ record }) => !gone(record) && !(record.phase === 'reported' && record.podUID === facts.uid),
  )
  const own = alive.filter(({ record }) => record.podUID === facts.uid)
  if (facts.pool !== null) return planPool(facts.pool, own, alive, wanted, facts.running)
  const earlier = alive.filter(({ record }) => record.podUID !== facts.uid)
  if (facts.stateful && !facts.retain) {
    const records = inOrder(earlier.map(({ record }) => record).filter(isHeld))
    // What has no object cannot be dropped; it ends by itself.
    if (records.length > 0) return { kind: 'drop', records }
  }
  if ((facts.machine !== null || (facts.stateful && facts.retain)) && earlier.length > 0) {
    if (facts.machine !== null) {
      const held = inOrder(earlier.map(({ record }) => record).filter(isHeld))
      const elsewhere = held.filter((record) => record.phase !== 'reserved')
      if (elsewhere.length > 0) return { kind: 'refuse', reason: heldByOther(facts.machine, elsewhere) }
    }
    // All that is kept comes back together, what was re-bound before a crash included.
    const records = inOrder(alive.map(({ record }) => record))
    return {
      kind: 'assign',
      network: wanted.network,
      // What a machine has decides, also against annotations that were written without knowing it (D58).
      family: facts.machine === null ? wanted.family : requestOf(records.map(({ address }) => familyOf(address))),
      addresses: records.map(({ address, subnet }) => ({ address, subnet })),
      force: facts.machine !== null,
      mac: macOf(records),
      drop: [],
    }
  }
  if (own.length > 0) return planOwn(facts, own, wanted)
  // A plain pod of the same name that is still being collected holds its addresses until it is gone; they are not ours.
  return { kind: 'allocate', network: wanted.network, family: wanted.family, subnets: wanted.subnets, mac: null }
}

/**
 * Two pods of one machine: the target of a live migration beside its source, or a new start beside an old end. An address is at
 * one place at a time, so the second pod waits; it gets the address as soon as the first has ended (D25).
 */
function heldByOther(machine: string, records: readonly AddressRecord[]): string {
  const addresses = records.map(({ address }) => formatAddress(address)).join(', ')
  const pods = [...new Set(records.map(({ pod }) => pod))].join(', ')
  return `VirtualMachine "${machine}" has ${addresses} with its pod ${pods} until that has ended; this pod gets them then (an address does not move during a live migration)`
}

function macOf(records: readonly AddressRecord[]): number | null {
  return records.find((record) => record.mac !== 0)?.mac ?? null
}

function planOwn(facts: PodFacts, own: readonly Holding[], wanted: Wanted): PodPlan {
  // What runs is left alone: a changed default or annotation is for the next life of the pod.
  if (facts.running || own.some(({ inUse }) => inUse)) return { kind: 'served' }
  const records = inOrder(own.map(({ record }) => record))
  const families = familiesOf(wanted.family)
  const keep = new Map<Family, AddressRecord>()
  for (const record of records) {
    const family = familyOf(record.address)
    const kept = keep.get(family)
    const [first] = keep.values()
    const fits = families.includes(family) && (first === undefined || first.network === record.network)
    // An object that exists is worth more than a claim.
    if (fits && (kept === undefined || (kept.phase === 'claimed' && record.phase !== 'claimed'))) {
      keep.set(family, record)
    }
  }
  const strays = records.filter((record) => keep.get(familyOf(record.address)) !== record)
  if (strays.length > 0) return { kind: 'drop', records: strays }
  const claims = records.filter((record) => record.phase === 'claimed')
  if (claims.length > 0) return { kind: 'write', records: claims }
  const missing = families.filter((family) => !keep.has(family))
  if (missing.length === 0) return { kind: 'served' }
  const subnets = missing.flatMap((family) => wanted.subnets[families.indexOf(family)] ?? [])
  return {
    kind: 'allocate',
    network: records[0]?.network ?? wanted.network,
    family: requestOf(missing),
    subnets,
    mac: macOf(records),
  }
}

function planPool(
  pool: readonly IPAddress[],
  own: readonly Holding[],
  alive: readonly Holding[],
  wanted: Wanted,
  running: boolean,
): PodPlan {
  const inPool = (record: AddressRecord): boolean => pool.includes(record.address)
  const ready = own.filter(({ record }) => inPool(record) && record.phase === 'live')
  const others = inOrder(alive.map(({ record }) => record).filter((record) => !inPool(record) && isHeld(record)))
  if (ready.length === pool.length && others.length === 0) return { kind: 'served' }
  if (own.length > 0 && (running || own.some(({ inUse }) => inUse))) return { kind: 'served' }
  return {
    kind: 'assign',
    network: wanted.network,
    family: requestOf(pool.map(familyOf)),
    addresses: pool.map((address) => ({ address })),
    force: true,
    mac: macOf(inOrder(alive.map(({ record }) => record).filter(inPool))),
    drop: others,
  }
}
