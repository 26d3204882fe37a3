// What really runs, whatever the API says: sandboxes with the addresses they were set up with. A pod whose object is gone, or
// was deleted by force, is not protected any more: nobody can know whether it runs (manager.md D45).
import type { Pod } from '../../../lib/api/index.ts'
import type { Store } from '../server/store.ts'

export interface Sandbox {
  readonly uid: string
  readonly pod: string
  readonly node: string
  readonly addresses: readonly string[]
}

export class Truth {
  readonly #store: Store
  readonly #byUid = new Map<string, Sandbox>()

  constructor(store: Store) {
    this.#store = store
  }

  get size(): number {
    return this.#byUid.size
  }

  sandbox(uid: string): Sandbox | undefined {
    return this.#byUid.get(uid)
  }

  sandboxes(): IterableIterator<Sandbox> {
    return this.#byUid.values()
  }

  begin(sandbox: Sandbox): void {
    this.#byUid.set(sandbox.uid, sandbox)
  }

  end(uid: string): void {
    this.#byUid.delete(uid)
  }

  /** Whether a sandbox of that life of a pod runs and its address must be left to it. */
  isProtected(uid: string): boolean {
    const sandbox = this.#byUid.get(uid)
    if (sandbox === undefined) return false
    const pod = this.#store.get<Pod>('pods', sandbox.pod)
    if (pod?.metadata.uid !== uid) return false
    return !(pod.metadata.deletionTimestamp && pod.metadata.deletionGracePeriodSeconds === 0)
  }
}
