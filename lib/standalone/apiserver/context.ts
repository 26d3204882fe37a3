// What the parts of one server share.
import type { Logger } from '../../telemetry/log.ts'
import type { Admission } from './admission/index.ts'
import type { Faults } from './faults/index.ts'
import type { Journal } from './journal/index.ts'
import type { Registry } from './registry.ts'
import type { Store } from './store.ts'

export interface Context {
  readonly store: Store
  readonly registry: Registry
  readonly log: Logger
  readonly admission: Admission
  readonly faults: Faults
  /** null when objects are in memory only. */
  readonly journal: Journal | null
  /** Milliseconds between bookmarks. */
  readonly bookmarkIntervalMs: number
  /** Ends when the server closes: open watches end with it. */
  readonly closing: AbortSignal
}
