// What the fleet keeps of pods and IPInstances, and when a pod has all its addresses. Pure.
import {
  ANNOTATION_IP_FAMILY,
  type IPFamily,
  type IPInstance,
  isTerminating,
  parseIPFamily,
  versionsOf,
} from '../../api/index.ts'
import type { KubeObject } from '../../kube/index.ts'
import type { Pod } from '../nodes/pod-status.ts'

/** A pod of the fleet, reduced to what its status is made of; null when it is on no hollow node. */
export function projectPod(raw: KubeObject, isOurs: (node: string) => boolean): Pod | null {
  const { metadata, spec, status } = raw as unknown as Pod
  if (spec.nodeName === undefined || !isOurs(spec.nodeName)) return null
  const family = metadata.annotations?.[ANNOTATION_IP_FAMILY]
  const { name, namespace, uid, deletionTimestamp, deletionGracePeriodSeconds } = metadata
  return {
    metadata: {
      name,
      namespace,
      uid,
      ...(deletionTimestamp === undefined ? {} : { deletionTimestamp }),
      ...(deletionGracePeriodSeconds === undefined ? {} : { deletionGracePeriodSeconds }),
      ...(family === undefined ? {} : { annotations: { [ANNOTATION_IP_FAMILY]: family } }),
    },
    spec: {
      nodeName: spec.nodeName,
      ...(spec.hostNetwork === true ? { hostNetwork: true } : {}),
      containers: (spec.containers ?? []).map(({ name, image }) => ({ name, ...(image ? { image } : {}) })),
    },
    status: {
      ...(status?.phase === undefined ? {} : { phase: status.phase }),
      ...(status?.podIP === undefined ? {} : { podIP: status.podIP }),
      ...(status?.conditions === undefined ? {} : { conditions: status.conditions }),
    },
  }
}

/** An IPInstance bound to a pod of a hollow node. */
export interface BoundAddress {
  readonly namespace: string
  readonly name: string
  readonly podName: string
  readonly podUID: string
  /** Without the prefix length. */
  readonly address: string
  readonly version: string
}

/** null while it is bound to no hollow node, or on its way out. */
export function projectInstance(raw: KubeObject, isOurs: (node: string) => boolean): BoundAddress | null {
  const { metadata, spec } = raw as unknown as IPInstance
  const { nodeName, podName, podUID } = spec?.binding ?? {}
  if (!nodeName || !isOurs(nodeName) || !podName || !podUID || isTerminating(raw as never)) return null
  const [address = ''] = (spec?.address.ip ?? '').split('/', 1)
  return {
    namespace: metadata.namespace ?? '',
    name: metadata.name,
    podName,
    podUID,
    address,
    version: spec?.address.version ?? '',
  }
}

/**
 * The addresses of a pod, IPv4 first, once there is one of each family it is to have; null before. As in a CNI ADD, with
 * one difference: only the pod's own ip-family annotation and the default are looked at, not its namespace's.
 */
export function addressesOf(
  pod: Pod,
  bound: readonly BoundAddress[],
  defaultFamily: IPFamily,
): readonly BoundAddress[] | null {
  const family = parseIPFamily(pod.metadata.annotations?.[ANNOTATION_IP_FAMILY], defaultFamily) ?? defaultFamily
  const addresses: BoundAddress[] = []
  for (const version of versionsOf(family)) {
    const one = bound.find((instance) => instance.version === String(version))
    if (one === undefined) return null
    addresses.push(one)
  }
  return addresses
}
