// What is written on a pod when it is created (api.md §4.4): its configuration as annotations, so that manager and nodes need
// not work it out again, and node labels that keep it off nodes where it could not have an address. Only these keys
// are touched: every other field, known or not, stays as it came.
//
// A pod that is bound to a node already gets no node selector: the kubelet would refuse it for one it does not match.
import {
  ANNOTATION_HANDLED_BY_WEBHOOK,
  ANNOTATION_IP_FAMILY,
  ATTACHED,
  LABEL_BGP_ATTACHMENT,
  LABEL_DUAL_STACK_QUOTA,
  LABEL_IPV4_QUOTA,
  LABEL_IPV6_QUOTA,
  LABEL_OVERLAY_ATTACHMENT,
  LABEL_UNDERLAY_ATTACHMENT,
  NETWORK_TYPE,
  QUOTA_NONEMPTY,
  SPECIFIED_NETWORK,
  SPECIFIED_SUBNET,
  TAINT_NETWORK_UNAVAILABLE,
  resolveWishes,
  wishesNothing,
  wishesOf,
  type IPFamily,
  type Network,
  type Pod,
  type Resolved,
} from '../../api/index.ts'
import type { Decision, PatchOperation } from '../decision.ts'
import type { PodReads } from '../reads.ts'
import { denyOption, keptFor, namedObjects, remedyOf, retainedOf, type PodRuleOptions } from './pod.ts'

export interface Mutation {
  readonly decision: Decision
  readonly patch: readonly PatchOperation[]
}

type Texts = Readonly<Record<string, string>>

const QUOTA_LABELS: Readonly<Record<IPFamily, string>> = {
  IPv4Only: LABEL_IPV4_QUOTA,
  IPv6Only: LABEL_IPV6_QUOTA,
  DualStack: LABEL_DUAL_STACK_QUOTA,
}

/** @throws Error when the pod's namespace cannot be found: its wishes are then unknown */
export async function mutatePod(
  pod: Pod,
  namespace: string,
  reads: PodReads,
  options: PodRuleOptions,
): Promise<Mutation> {
  if (pod.spec?.hostNetwork === true) return { decision: { allowed: true, warnings: [] }, patch: tolerate(pod) }
  const topology = await reads.topology()
  const retained = retainedOf(await keptFor(pod, namespace, reads, options))
  const refuse = (decision: Decision): Mutation => ({ decision, patch: [] })
  if (retained !== null && retained.problem !== null) {
    const wayOut = 'delete the IPInstances of the pod that are too many'
    return refuse(denyOption(pod, SPECIFIED_NETWORK, retained.problem, wayOut))
  }
  const own = wishesOf(pod)
  const inherits = retained === null && wishesNothing(own)
  const inherited = inherits ? await reads.namespaceWishes(namespace) : null
  if (inherits && inherited === null) throw new Error(`namespace ${JSON.stringify(namespace)} cannot be read`)
  const resolved = resolveWishes(own, inherited, retained, options, namedObjects(topology))
  if (resolved.value === null) {
    const where = inherits ? `, as namespace ${JSON.stringify(namespace)} asks for` : ''
    return refuse(denyOption(pod, resolved.option, resolved.error + where, remedyOf(resolved.option)))
  }
  const network = resolved.value.network === '' ? null : topology.network(resolved.value.network)
  const selector = pod.spec?.nodeName ? {} : selectorFor(resolved.value, network, retained !== null)
  const annotations = {
    ...(resolved.value.network === '' ? {} : { [SPECIFIED_NETWORK]: resolved.value.network }),
    ...(resolved.value.subnets.length === 0 ? {} : { [SPECIFIED_SUBNET]: resolved.value.subnets.join('/') }),
    [NETWORK_TYPE]: resolved.value.type,
    [ANNOTATION_IP_FAMILY]: resolved.value.family,
    [ANNOTATION_HANDLED_BY_WEBHOOK]: 'true',
  }
  return {
    decision: { allowed: true, warnings: overwritten(pod.spec?.nodeSelector ?? {}, selector) },
    patch: [
      ...setTexts('/metadata/annotations', pod.metadata.annotations, annotations),
      ...setTexts('/spec/nodeSelector', pod.spec?.nodeSelector, selector),
    ],
  }
}

/** Labels of the nodes on which the pod can have its addresses. */
function selectorFor({ type, family }: Resolved, network: Network | null, retained: boolean): Texts {
  if (type === 'Overlay') return { [LABEL_OVERLAY_ATTACHMENT]: ATTACHED }
  if (type === 'GlobalBGP') return { [LABEL_BGP_ATTACHMENT]: ATTACHED }
  const place = network === null ? { [LABEL_UNDERLAY_ATTACHMENT]: ATTACHED } : (network.spec?.nodeSelector ?? {})
  return retained ? place : { ...place, [QUOTA_LABELS[family]]: QUOTA_NONEMPTY }
}

/** What the user asked for and will not get; told as warnings, since a pod elsewhere would have no address. */
function overwritten(before: Texts, after: Texts): readonly string[] {
  return Object.entries(after).flatMap(([key, value]) => {
    const asked = before[key]
    if (asked === undefined || asked === value) return []
    return [
      `spec.nodeSelector[${key}] was "${asked}" and is now "${value}", as the pod's network is only on such nodes`,
    ]
  })
}

/** Host-network pods run where the pod network does not work yet: what repairs it must be able to start. */
function tolerate(pod: Pod): readonly PatchOperation[] {
  const value = { key: TAINT_NETWORK_UNAVAILABLE, operator: 'Exists', effect: 'NoSchedule' }
  const tolerations = pod.spec?.tolerations
  const there = tolerations?.some(
    (one) => one.key === value.key && one.operator === value.operator && one.effect === value.effect && !one.value,
  )
  if (there === true) return []
  if (!tolerations) return [{ op: 'add', path: '/spec/tolerations', value: [value] }]
  return [{ op: 'add', path: '/spec/tolerations/-', value }]
}

/** Set keys of a map of texts that may not be there yet (RFC 6901 for the keys). */
function setTexts(path: string, before: Texts | null | undefined, wanted: Texts): PatchOperation[] {
  const entries = Object.entries(wanted).filter(([key, value]) => before?.[key] !== value)
  if (entries.length === 0) return []
  if (!before) return [{ op: 'add', path, value: Object.fromEntries(entries) }]
  return entries.map(([key, value]) => ({
    op: key in before ? 'replace' : 'add',
    path: `${path}/${key.replaceAll('~', '~0').replaceAll('/', '~1')}`,
    value,
  }))
}
