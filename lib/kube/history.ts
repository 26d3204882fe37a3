// What all informers of one client know together of the server's history. Resource versions come from one counter, so that one of them
// can see by a version another has seen that the server went back in time (restored from a backup, replaced), even when its own last
// version has been passed again already. Kinds that a server keeps elsewhere (`--etcd-servers-overrides`, aggregated servers) count for
// themselves; a reflector finds out at its first list and then compares with itself only.
import { isOlder } from './versions.ts'

export class ServerHistory {
  #newest = ''
  #rewinds = 0
  readonly #listeners = new Set<() => void>()

  /** The newest version any informer has seen since the last rewind; empty before the first. */
  get newest(): string {
    return this.#newest
  }

  /** How often the server was seen to have gone back. */
  get rewinds(): number {
    return this.#rewinds
  }

  saw(version: string): void {
    if (this.#newest === '' || isOlder(this.#newest, version)) this.#newest = version
  }

  /** The server is at `version`, which is older than what was seen: whoever listens looks again. */
  rewound(version: string): void {
    this.#rewinds++
    this.#newest = version
    for (const listener of [...this.#listeners]) listener()
  }

  /** @returns ends it */
  onRewind(listener: () => void): () => void {
    this.#listeners.add(listener)
    return () => this.#listeners.delete(listener)
  }
}
