// What a controller has written and its cache has not shown yet. Until it has, counting the cache's objects would make
// the controller do its work twice (pkg/controller ControllerExpectations, by uid instead of by number).

/** A watch that has not shown a write after this time has lost it or is cut: look again rather than wait for ever. */
const limitMs = 30_000

interface Pending {
  readonly created: Set<string>
  readonly deleted: Set<string>
  readonly until: number
}

export class Expectations {
  readonly #pending = new Map<string, Pending>()

  /** @param owner key of the controller's object; `uid` of the object made */
  created(owner: string, uid: string): void {
    this.#of(owner).created.add(uid)
  }

  deleted(owner: string, uid: string): void {
    this.#of(owner).deleted.add(uid)
  }

  /**
   * Milliseconds to wait at most before the owner may be looked at; 0 when its cache shows all that was written.
   *
   * @param shown whether the cache has an object of a uid, and whether that is being deleted
   */
  wait(owner: string, shown: (uid: string) => 'absent' | 'present' | 'terminating'): number {
    const pending = this.#pending.get(owner)
    if (pending === undefined) return 0
    // A created object that was seen and is gone again was told by `observed`.
    for (const uid of pending.created) if (shown(uid) !== 'absent') pending.created.delete(uid)
    for (const uid of pending.deleted) if (shown(uid) !== 'present') pending.deleted.delete(uid)
    const left = pending.until - performance.now()
    if (pending.created.size + pending.deleted.size > 0 && left > 0) return left
    this.#pending.delete(owner)
    return 0
  }

  /** The watch has told of an object, even if only of its end. */
  observed(uid: string): void {
    for (const { created } of this.#pending.values()) created.delete(uid)
  }

  forget(owner: string): void {
    this.#pending.delete(owner)
  }

  #of(owner: string): Pending {
    let pending = this.#pending.get(owner)
    if (pending === undefined) {
      pending = { created: new Set(), deleted: new Set(), until: performance.now() + limitMs }
      this.#pending.set(owner, pending)
    }
    return pending
  }
}
