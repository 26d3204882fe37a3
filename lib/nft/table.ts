// A table we own as a whole: how to write it, and how to tell whether the kernel still holds what we wrote.
//
// nft prints rules in words of its own, which differ by version and kernel, so rules are not compared as text. Every
// rule carries a comment with the hash of its own words and its chain's; a rule that was removed, replaced, moved or
// added by somebody else changes the sequence of comments. Pure.
import { createHash } from 'node:crypto'
import type { ListedChain, TableListing } from './list.ts'
import type { BaseChain, ChainDefinition, Command, Elements, TableDefinition, Transaction } from './types.ts'

/** The comment of one rule. */
export function ruleFingerprint(chain: ChainDefinition, rule: string): string {
  const text = JSON.stringify([chain.name, chain.base, rule])
  return `#${createHash('sha256').update(text).digest('hex').slice(0, 12)}`
}

/** Writes the whole table anew in one transaction; packets see either the old or the new one. */
export function replaceTable(definition: TableDefinition, elements: Elements): Transaction {
  const table = { family: definition.family, name: definition.name }
  const commands: Command[] = [
    // "delete" fails on a missing table, "add" never does.
    { do: 'add-table', table },
    { do: 'delete-table', table },
    { do: 'add-table', table },
    ...definition.sets.map((set): Command => ({ do: 'add-set', table, set })),
    // Chains before rules: a rule may jump to any of them.
    ...definition.chains.map((chain): Command => ({ do: 'add-chain', table, chain })),
  ]
  for (const chain of definition.chains) {
    for (const rule of chain.rules) {
      commands.push({ do: 'add-rule', table, chain: chain.name, rule, comment: ruleFingerprint(chain, rule) })
    }
  }
  for (const { name } of definition.sets) {
    const members = elements.get(name)
    if (members !== undefined && members.size > 0) {
      commands.push({ do: 'add-elements', table, set: name, elements: [...members] })
    }
  }
  return commands
}

/** Removes the table if it is there. */
export function removeTable(table: TableDefinition): Transaction {
  const name = { family: table.family, name: table.name }
  return [
    { do: 'add-table', table: name },
    { do: 'delete-table', table: name },
  ]
}

/** How the listed table differs from the definition in structure (not in elements), null when it does not. */
export function structureDifference(definition: TableDefinition, listing: TableListing): string | null {
  for (const set of definition.sets) {
    const found = listing.sets.get(set.name)
    if (found === undefined) return `set ${set.name} is missing`
    if (found.type !== set.type || found.interval !== set.interval) return `set ${set.name} has another type`
  }
  for (const name of listing.sets.keys()) {
    if (!definition.sets.some((set) => set.name === name)) return `set ${name} is foreign`
  }
  for (const chain of definition.chains) {
    const found = listing.chains.get(chain.name)
    if (found === undefined) return `chain ${chain.name} is missing`
    if (!sameBase(chain.base, found.base)) return `chain ${chain.name} has another hook, priority or policy`
    const wanted = chain.rules.map((rule) => ruleFingerprint(chain, rule))
    if (wanted.length !== found.comments.length || wanted.some((comment, i) => comment !== found.comments[i])) {
      return `rules of chain ${chain.name} were changed`
    }
  }
  for (const name of listing.chains.keys()) {
    if (!definition.chains.some((chain) => chain.name === name)) return `chain ${name} is foreign`
  }
  return null
}

/**
 * The device is not compared: nft 1.0 does not print it as JSON. It is part of the fingerprints;
 * whether the chain hangs on it is for `chainDevices`.
 */
function sameBase(wanted: BaseChain | null, found: ListedChain['base']): boolean {
  if (wanted === null || found === null) return wanted === found
  return (
    wanted.type === found.type &&
    wanted.hook === found.hook &&
    wanted.priority === found.priority &&
    wanted.policy === found.policy
  )
}

/**
 * The commands that turn one set of elements into another. Interval sets are flushed and refilled, since deleting and
 * adding neighbouring intervals in one transaction is not reliable on all kernels; they are small.
 */
export function elementChanges(definition: TableDefinition, current: Elements, wanted: Elements): Transaction {
  const table = { family: definition.family, name: definition.name }
  const commands: Command[] = []
  const empty: ReadonlySet<string> = new Set()
  for (const { name, interval } of definition.sets) {
    const have = current.get(name) ?? empty
    const want = wanted.get(name) ?? empty
    const surplus = [...have].filter((element) => !want.has(element))
    const missing = [...want].filter((element) => !have.has(element))
    if (surplus.length === 0 && missing.length === 0) continue
    if (interval) {
      commands.push({ do: 'flush-set', table, set: name })
      if (want.size > 0) commands.push({ do: 'add-elements', table, set: name, elements: [...want] })
      continue
    }
    if (surplus.length > 0) commands.push({ do: 'delete-elements', table, set: name, elements: surplus })
    if (missing.length > 0) commands.push({ do: 'add-elements', table, set: name, elements: missing })
  }
  return commands
}
