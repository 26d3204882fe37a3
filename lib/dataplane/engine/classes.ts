// Which part of the mirror a record belongs to, and which keys a diff looked at.
import type { DirtyKeys } from '../diff.ts'
import type { StateClass } from '../mirror/state.ts'
import type { DataplaneRecord } from '../state.ts'

/** Whether a diff of those keys looked at the key; null stands for everything. */
export function wasExamined(key: string, examined: DirtyKeys | null): boolean {
  if (examined === null || examined.records.has(key)) return true
  return (
    (key.startsWith('rule4 ') && examined.ruleFamilies.has(4)) ||
    (key.startsWith('rule6 ') && examined.ruleFamilies.has(6))
  )
}

/** What an audit dumps anew. */
export const AUDITED: readonly StateClass[] = ['link', 'addr', 'route4', 'route6', 'rule4', 'rule6', 'proxy', 'fdb']

/** The mirror's class of a record's object. */
export function classOf(record: DataplaneRecord): StateClass {
  switch (record.kind) {
    case 'sysctl':
    case 'element':
      return 'sysctl'
    case 'link':
      return 'link'
    case 'address':
      return 'addr'
    case 'route':
      return record.family === 4 ? 'route4' : 'route6'
    case 'rule':
      return record.family === 4 ? 'rule4' : 'rule6'
    case 'proxy':
      return 'proxy'
    case 'fdb':
      return 'fdb'
  }
}
