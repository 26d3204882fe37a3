// Addresses held under subnet names that do not serve at the moment (unknown, refused, orphaned, broken), or outside the
// range their subnet serves now. No serving subnet may hand them out: their pods are alive.
import type { IPAddress } from '../ip/index.ts'
import type { LedgerListener } from './ledger.ts'
import type { Phase } from './phase.ts'

export class LooseAddresses implements LedgerListener {
  readonly #count = new Map<IPAddress, number>()

  has(address: IPAddress): boolean {
    return this.#count.size > 0 && this.#count.has(address)
  }

  phaseChanged(address: IPAddress, before: Phase | null, after: Phase | null): void {
    const count = (this.#count.get(address) ?? 0) + Number(after !== null) - Number(before !== null)
    if (count > 0) this.#count.set(address, count)
    else this.#count.delete(address)
  }
}
