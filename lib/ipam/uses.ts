// Which pods run with which addresses, as far as anybody but the IPInstances says: the pods' own statuses, or what was known
// before the API server went back in time. Where no IPInstance holds such an address, a record of phase `reported` does.
//
// Only what is said is kept here; topology.ts makes and moves the records.
import { contains, type IPAddress, type Prefix } from '../ip/index.ts'
import { AddressMap } from './address-map.ts'
import type { Ledger } from './ledger.ts'
import type { PodRef } from './types.ts'

export interface Use {
  readonly address: IPAddress
  /** Who says so, in order; a pod is there once for each time it was said. Never empty. */
  pods: readonly PodRef[]
  /** Where the record is, or was. */
  ledger: Ledger | null
}

export class Uses {
  readonly #uses = new AddressMap<Use>()

  get(address: IPAddress): Use | undefined {
    return this.#uses.get(address)
  }

  add(address: IPAddress, pod: PodRef): Use {
    const known = this.#uses.get(address)
    const use = known ?? { address, pods: [], ledger: null }
    use.pods = [...use.pods, pod]
    if (known === undefined) this.#uses.set(address, use)
    return use
  }

  /** Takes back what was said once. Returns the use, perhaps with nobody left; undefined when that was never said. */
  remove(address: IPAddress, pod: PodRef): Use | undefined {
    const use = this.#uses.get(address)
    const at = use?.pods.findIndex((other) => samePod(other, pod)) ?? -1
    if (use === undefined || at < 0) return undefined
    use.pods = use.pods.filter((_, index) => index !== at)
    if (use.pods.length === 0) this.#uses.delete(address)
    return use
  }

  /** Every use inside the prefix. */
  *within(prefix: Prefix): IterableIterator<Use> {
    for (const use of this.#uses.values()) if (contains(prefix, use.address)) yield use
  }
}

export function samePod(a: PodRef, b: PodRef): boolean {
  return a.uid === b.uid && a.name === b.name && a.namespace === b.namespace
}
