// Policy rules: which priorities, which are missing, which are surplus. Pure.
//
// The order that matters: the kernel's local rule, then local pods (39999), overlay destinations (40000), marked return
// traffic (40001), then all from-subnet rules in any order, then main. A rule keeps the priority it has as long as it
// stands in its place; a new one takes the lowest free priority behind what must precede it, which on an otherwise empty
// node gives the numbers of the original (§2.1). A rule out of place is added anew where it belongs and then removed
// where it was.
import type { Rule } from '../netlink/types.ts'
import { FR_ACT_TO_TBL, TABLE_LOCAL, TABLE_MAIN } from './constants.ts'
import { FROM_SUBNET, ruleKey, type RuleRecord } from './state.ts'

export interface RuleChange {
  readonly action: 'add' | 'delete'
  readonly record: RuleRecord
  readonly priority: number
  readonly why: string
}

/** Whether the rule is one that a record can describe. */
export function isPlainRule(rule: Rule): boolean {
  return rule.action === FR_ACT_TO_TBL && rule.dst === null && !rule.foreignSelector
}

/** "from all lookup T", with no further condition. */
function isForAll(rule: Rule): boolean {
  return isPlainRule(rule) && rule.src === null && rule.fwmask === 0
}

/**
 * @param desired the wanted rules of one family
 * @param actual all rules of that family, by ascending priority
 * @param owned whether a rule nobody wants may be removed
 */
export function diffRules(
  desired: readonly RuleRecord[],
  actual: readonly Rule[],
  owned: (rule: Rule) => boolean,
): RuleChange[] {
  const have = new Map<string, Rule[]>()
  for (const rule of actual) {
    if (!isPlainRule(rule)) continue
    const key = ruleKey({ ...rule, mark: rule.fwmark, mask: rule.fwmask })
    const list = have.get(key)
    if (list === undefined) have.set(key, [rule])
    else list.push(rule)
  }
  const used = new Set(actual.map((rule) => rule.priority))
  const main = actual.find((rule) => rule.table === TABLE_MAIN && isForAll(rule))
  const end = main?.priority ?? 32766
  const changes: RuleChange[] = []
  const kept = new Set<Rule>()
  let floor = actual.find((rule) => rule.table === TABLE_LOCAL && isForAll(rule))?.priority ?? -1

  const place = (record: RuleRecord): void => {
    const candidates = have.get(ruleKey(record)) ?? []
    const inPlace = candidates.find((rule) => rule.priority > floor && rule.priority < end)
    if (inPlace !== undefined) {
      kept.add(inPlace)
      if (record.order < FROM_SUBNET) floor = inPlace.priority
      return
    }
    let priority = Math.max(0, floor + 1)
    while (used.has(priority)) priority++
    used.add(priority)
    changes.push({ action: 'add', record, priority, why: candidates.length === 0 ? 'missing' : 'out of order' })
    if (record.order < FROM_SUBNET) floor = priority
  }
  const wanted = [...desired].sort((a, b) => a.order - b.order || a.table - b.table)
  for (const record of wanted) place(record)

  const keys = new Map(wanted.map((record) => [ruleKey(record), record]))
  for (const [key, rules] of have) {
    const record = keys.get(key)
    for (const rule of rules) {
      if (kept.has(rule)) continue
      if (record !== undefined) changes.push({ action: 'delete', record, priority: rule.priority, why: 'surplus' })
      else if (owned(rule))
        changes.push({ action: 'delete', record: recordOfRule(rule), priority: rule.priority, why: 'not wanted' })
    }
  }
  return changes
}

/** The record a rule of the kernel would have. */
export function recordOfRule(rule: Rule): RuleRecord {
  return {
    kind: 'rule',
    family: rule.family,
    src: rule.src,
    mark: rule.fwmark,
    mask: rule.fwmask,
    table: rule.table,
    order: FROM_SUBNET,
    link: null,
  }
}
