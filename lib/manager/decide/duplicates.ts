// Two objects, one address: which one stays (manager.md §6.5, duplicate detector).

export interface Contender {
  readonly key: string
  readonly uid: string
  /** RFC 3339. */
  readonly created: string
  /** Its pod exists and has not finished. */
  readonly alive: boolean
  /** A sandbox runs with the address. */
  readonly inUse: boolean
  readonly terminating: boolean
}

/** The one that stays: whose pod is alive, then whose sandbox runs, then the older, then the lower UID. */
export function keeperOf(contenders: readonly Contender[]): Contender | null {
  const [first] = contenders
    .filter((contender) => !contender.terminating)
    .sort(
      (a, b) =>
        Number(b.alive) - Number(a.alive) ||
        Number(b.inUse) - Number(a.inUse) ||
        (a.created < b.created ? -1 : a.created > b.created ? 1 : 0) ||
        (a.uid < b.uid ? -1 : 1),
    )
  return first ?? null
}
