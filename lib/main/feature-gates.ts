// `--feature-gates NAME=BOOL,...` of all programs (api.md §5.6), read by the rules of Kubernetes: both gates are alpha and off;
// AllAlpha sets those that are not named themselves, AllBeta sets none; of a name given twice the last counts.
import { parseBool } from '../api/index.ts'
import { UsageError, listFlag, type Flag } from './flags.ts'

export const FEATURE_GATES = ['MultiCluster', 'VMIPRetain'] as const
export type FeatureGate = (typeof FEATURE_GATES)[number]
export type FeatureGates = Readonly<Record<FeatureGate, boolean>>

/** The flag, with what the gates do in this program. */
export function featureGatesFlag(help: string): Flag<readonly string[]> {
  return listFlag([], 'NAME=BOOL', help)
}

/**
 * @param absent gates that this program knows but does not have
 * @throws UsageError naming the entry, for a gate that is unknown, a value that is no boolean, or an absent gate turned on
 */
export function parseFeatureGates(entries: readonly string[], absent: readonly FeatureGate[] = []): FeatureGates {
  const given = new Map<string, boolean>()
  const known: readonly string[] = [...FEATURE_GATES, 'AllAlpha', 'AllBeta']
  for (const entry of entries) {
    const at = entry.indexOf('=')
    const [name, text] = at < 0 ? [entry, ''] : [entry.slice(0, at), entry.slice(at + 1)]
    const refuse = (expected: string): never => {
      throw new UsageError(`--feature-gates '${entry}': expected ${expected}`)
    }
    if (!known.includes(name)) refuse(`one of ${known.join(', ')} before the =`)
    const on = parseBool(text, true)
    if (on !== parseBool(text, false)) refuse(`${name}=true or ${name}=false`)
    given.set(name, on)
  }
  const value = (gate: FeatureGate): boolean => given.get(gate) ?? given.get('AllAlpha') ?? false
  const missing = absent.find(value)
  if (missing !== undefined) {
    const way = given.has(missing) ? 'leave it out' : `add ${missing}=false to AllAlpha`
    throw new UsageError(`--feature-gates '${entries.join()}': this program does not have ${missing} yet; ${way}`)
  }
  return { MultiCluster: value('MultiCluster'), VMIPRetain: value('VMIPRetain') }
}
