// What the parts of one server share.
import type { Logger } from '../../telemetry/log.ts'
import type { Admission } from './admission/index.ts'
import type { Faults } from './faults/index.ts'
import type { Registry } from './registry.ts'
import type { Store } from './store.ts'

export interface Context {
  readonly store: Store
  readonly registry: Registry
  readonly log: Logger
  readonly admission: Admission
  readonly faults: Faults
  /** Milliseconds between bookmarks. */
  readonly bookmarkIntervalMs: number
  /** Ends when the server closes: open watches end with it. */
  readonly closing: AbortSignal
}
