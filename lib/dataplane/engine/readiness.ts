// When a pod address would be served: what CNI ADD waits for (spec/dataplane.md §7.3 step 9.4).
import { contains, familyOf, type IPAddress } from '../../ip/index.ts'
import { compare } from '../compare.ts'
import type { KernelState } from '../mirror/state.ts'
import { isFromSubnetRule } from '../desired/index.ts'
import { linksOf } from '../state.ts'
import type { DesiredModel } from './model.ts'
import type { Netfilter } from './netfilter.ts'

/**
 * The records of the pod stand in the mirror, and so does the rule of its subnet with the routes of its table. What
 * stands on the pod's own veth is left out: ADD makes that device itself and may not have done so yet.
 */
export function podReady(address: IPAddress, model: DesiredModel, state: KernelState, netfilter: Netfilter): boolean {
  const key = model.podOf(address)
  const pod = key === undefined ? undefined : model.input.pods.get(key)
  if (pod === undefined) return false
  for (const wanted of model.store.keysOf(`pod ${pod.key}`)) {
    const record = model.store.get(wanted)?.record
    if (record === undefined || record.kind === 'rule') continue
    if (record.kind === 'element') {
      // The set of local pods only guards what comes in from an underlay.
      if (pod.mode !== 'VXLAN' && !netfilter.has(record)) return false
      continue
    }
    if (pod.hostLink !== null && linksOf(record).includes(pod.hostLink)) continue
    if (linksOf(record).some((link) => state.link(link) === undefined) || compare(record, state) !== null) return false
  }
  return ruleStands(address, model, state)
}

function ruleStands(address: IPAddress, model: DesiredModel, state: KernelState): boolean {
  const family = familyOf(address)
  const rule = state
    .rules(family)
    .find((candidate) => isFromSubnetRule(candidate) && candidate.src !== null && contains(candidate.src, address))
  if (rule === undefined || rule.src === null) return false
  return [...model.tables[family].values()].includes(rule.table)
}
