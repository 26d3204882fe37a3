// What the manager keeps of a pod. Pods it never handles (host network, not bound to a node) are not kept at all.
import {
  ANNOTATION_HANDLED_BY_WEBHOOK,
  ANNOTATION_IP_POOL,
  ANNOTATION_IP_RETAIN,
  ANNOTATION_MAC_POOL,
  FINALIZER_IP_ALLOCATED,
  annotationOf,
  controllerOf,
  hasFinalizer,
  isTerminating,
  parseBool,
  type OwnerReference,
  type Pod,
  wishesOf,
  type Wishes,
} from '../../api/index.ts'
import { tryParseAddress, type IPAddress } from '../../ip/index.ts'

export interface PodView {
  readonly key: string
  readonly namespace: string
  readonly name: string
  readonly uid: string
  readonly created: string
  readonly nodeName: string
  readonly terminating: boolean
  /** Deleted without grace: by somebody who does not wait for its kubelet, or by the kubelet at the end. */
  readonly forced: boolean
  /** Carries our finalizer. */
  readonly held: boolean
  readonly controller: OwnerReference | null
  /**
   * Nothing of it runs any more: no container runs, and the kubelet has said its last word. Until then one that has reported
   * nothing, or containers that wait, may have a sandbox.
   */
  readonly stopped: boolean
  /** The pod will never run again: evicted, failed with nothing running, or succeeded with every container reported. */
  readonly finished: boolean
  /** The kubelet has reported an address: a sandbox exists. */
  readonly hasAddress: boolean
  /** The addresses it has reported, as far as they can be read. */
  readonly addresses: readonly IPAddress[]
  /** A container runs, as far as the kubelet has said. */
  readonly running: boolean
  readonly handledByWebhook: boolean
  readonly wishes: Wishes
  readonly ipPool: string
  readonly macPool: string
  readonly ipRetain: string
}

/** What the pod runs with, as far as its kubelet has said: nothing of it may be given to another pod. */
export function usedBy(pod: PodView): readonly IPAddress[] {
  return pod.finished || (pod.terminating && pod.stopped) ? [] : pod.addresses
}

export function podView(pod: Pod): PodView | null {
  const { metadata, spec, status } = pod
  if (spec?.hostNetwork === true || !spec?.nodeName) return null
  const statuses = status?.containerStatuses ?? []
  const idle = !statuses.some((container) => Boolean(container.state?.running))
  const reported = new Set(statuses.map((container) => container.name))
  const failed = status?.phase === 'Failed' && (status.reason === 'Evicted' || idle)
  const succeeded =
    status?.phase === 'Succeeded' && (spec.containers ?? []).every((container) => reported.has(container.name))
  // The kubelet deletes without grace, too, when nothing is left on the node.
  const forced = isTerminating(pod) && metadata.deletionGracePeriodSeconds === 0
  const ended = statuses.length > 0 && statuses.every((container) => Boolean(container.state?.terminated))
  return {
    key: `${metadata.namespace ?? ''}/${metadata.name}`,
    namespace: metadata.namespace ?? '',
    name: metadata.name,
    uid: metadata.uid ?? '',
    created: metadata.creationTimestamp ?? '',
    nodeName: spec.nodeName,
    terminating: isTerminating(pod),
    forced,
    held: hasFinalizer(pod, FINALIZER_IP_ALLOCATED),
    controller: controllerOf(pod),
    stopped: idle && (ended || forced || failed || succeeded),
    finished: failed || succeeded,
    hasAddress: Boolean(status?.podIP),
    addresses: reportedAddresses(status),
    running: !idle,
    handledByWebhook: parseBool(annotationOf(pod, ANNOTATION_HANDLED_BY_WEBHOOK), false),
    wishes: wishesOf(pod),
    ipPool: annotationOf(pod, ANNOTATION_IP_POOL),
    macPool: annotationOf(pod, ANNOTATION_MAC_POOL),
    ipRetain: annotationOf(pod, ANNOTATION_IP_RETAIN),
  }
}

function reportedAddresses(status: Pod['status']): readonly IPAddress[] {
  const texts = new Set([...(status?.podIPs ?? []).map(({ ip }) => ip), status?.podIP ?? ''])
  return [...texts].map(tryParseAddress).filter((address) => address !== null)
}
