// One change to the kernel, as data.
import type { DataplaneRecord } from './state.ts'

/** `up` sets an existing device up; `replace` changes in place, for a VXLAN device by making it anew. */
export type Action = 'add' | 'replace' | 'up' | 'delete'

export interface Operation {
  readonly action: Action
  readonly key: string
  /** Wanted record; for a deletion what is there. */
  readonly record: Exclude<DataplaneRecord, { kind: 'element' }>
  /** Rules only: the preference to add at or delete from. */
  readonly priority: number | null
  /** What is wrong with the kernel's state: "missing", "has gateway 10.0.0.2", "not wanted". */
  readonly why: string
}

/** A wanted record that cannot be programmed yet. */
export interface Waiting {
  readonly key: string
  /** "link eth0.100", "a tunnel address on eth0", ... */
  readonly for: string
}
