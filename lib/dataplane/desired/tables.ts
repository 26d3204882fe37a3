// Which table number belongs to which subnet CIDR. Pure; spec/dataplane.md §2.1, Appendix B.2, defects 13, 14, 41.
//
// The kernel's rules are the memory: a number is inherited from the rule that selects it, so numbers survive a restart
// and a take-over from the original. Within a process a number stays reserved for its CIDR even while its table is
// empty or its rule not yet made. Two rules that share one table (the original could do that) are separated: the one
// with the lower priority keeps it. Numbers that any rule mentions or any route uses are never handed out anew.
import { equalPrefixes, prefixKey, type Prefix } from '../../ip/index.ts'
import type { Rule } from '../../netlink/types.ts'
import { FR_ACT_TO_TBL, FROM_SUBNET_MASK, FROM_SUBNET_TABLE_END, FROM_SUBNET_TABLE_FIRST } from '../constants.ts'

/** A from-subnet rule by its shape: ours, or the original's (§2.1 step 5). */
export function isFromSubnetRule(rule: Rule): boolean {
  return (
    rule.src !== null &&
    rule.dst === null &&
    rule.fwmark === 0 &&
    rule.fwmask === FROM_SUBNET_MASK &&
    rule.action === FR_ACT_TO_TBL &&
    !rule.foreignSelector &&
    rule.table >= FROM_SUBNET_TABLE_FIRST &&
    rule.table <= FROM_SUBNET_TABLE_END
  )
}

export interface TableQuestion {
  /** CIDRs of one family that need a table, in the order in which new numbers are handed out. */
  readonly wanted: readonly Prefix[]
  /** All rules of that family, by ascending priority. */
  readonly rules: readonly Rule[]
  /** Whether the table holds any route of that family. */
  readonly inUse: (table: number) => boolean
  /** What this function answered last, by prefixKey. */
  readonly previous: ReadonlyMap<string, number>
  /** Tables with a fixed purpose; the local-direct table lies inside the range. */
  readonly fixed: readonly number[]
}

export interface TableAnswer {
  /** Table by prefixKey. */
  readonly tables: ReadonlyMap<string, number>
  /** CIDRs for which no number is left. */
  readonly exhausted: readonly Prefix[]
}

export function allocateTables(question: TableQuestion): TableAnswer {
  const { wanted, rules, inUse, previous, fixed } = question
  const tables = new Map<string, number>()
  const assigned = new Set<number>(fixed)
  const take = (key: string, table: number | undefined): void => {
    if (table === undefined || tables.has(key) || assigned.has(table)) return
    if (table < FROM_SUBNET_TABLE_FIRST || table >= FROM_SUBNET_TABLE_END) return
    tables.set(key, table)
    assigned.add(table)
  }
  for (const prefix of wanted) take(prefixKey(prefix), previous.get(prefixKey(prefix)))
  const inherited = rules.filter(isFromSubnetRule)
  for (const rule of inherited) {
    const prefix = wanted.find((candidate) => rule.src !== null && equalPrefixes(candidate, rule.src))
    if (prefix !== undefined) take(prefixKey(prefix), rule.table)
  }
  const mentioned = new Set(rules.map((rule) => rule.table))
  const exhausted: Prefix[] = []
  let next = FROM_SUBNET_TABLE_FIRST
  for (const prefix of wanted) {
    const key = prefixKey(prefix)
    if (tables.has(key)) continue
    while (next < FROM_SUBNET_TABLE_END && (assigned.has(next) || mentioned.has(next) || inUse(next))) next++
    if (next >= FROM_SUBNET_TABLE_END) exhausted.push(prefix)
    else take(key, next)
  }
  return { tables, exhausted }
}
