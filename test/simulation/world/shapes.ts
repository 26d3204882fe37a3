// Objects of the simulated cluster as they are written, and short questions about them.
import {
  ANNOTATION_IP_FAMILY,
  ANNOTATION_IP_RETAIN,
  FINALIZER_IP_ALLOCATED,
  NETWORK_TYPE,
  type IPFamily,
  type IPInstance,
  type Pod,
} from '../../../lib/api/index.ts'
import type { KubeObject } from '../../../lib/kube/index.ts'

export interface SetShape {
  readonly namespace: string
  readonly name: string
  readonly family: IPFamily
  /** null: no annotation. */
  readonly retain: boolean | null
}

export interface PodShape {
  readonly namespace: string
  readonly name: string
  readonly family: IPFamily
  readonly network: 'Overlay' | 'Underlay'
}

export function podObject(shape: PodShape, owner: KubeObject | null, retain: boolean | null): KubeObject {
  const { namespace, name, family, network } = shape
  return {
    metadata: {
      namespace,
      name,
      annotations: {
        [ANNOTATION_IP_FAMILY]: family,
        [NETWORK_TYPE]: network,
        ...(retain === null ? {} : { [ANNOTATION_IP_RETAIN]: String(retain) }),
      },
      ...(owner === null
        ? {}
        : {
            ownerReferences: [
              {
                apiVersion: 'apps/v1',
                kind: owner.kind ?? '',
                name: owner.metadata.name ?? '',
                uid: owner.metadata.uid ?? '',
                controller: true,
                blockOwnerDeletion: true,
              },
            ],
          }),
    },
    spec: { containers: [{ name: 'main' }] },
  }
}

export function networkObject(
  name: string,
  type: 'Overlay' | 'Underlay',
  selector?: Record<string, string>,
): KubeObject {
  const spec = {
    type,
    netID: type === 'Overlay' ? 4 : 100,
    ...(selector === undefined ? {} : { nodeSelector: selector }),
  }
  return { metadata: { name }, spec }
}

export function subnetObject(name: string, network: string, cidr: string, end?: string): KubeObject {
  const version = cidr.includes(':') ? '6' : '4'
  return { metadata: { name }, spec: { network, range: { version, cidr, ...(end === undefined ? {} : { end }) } } }
}

export const familiesOfPod = (pod: Pod): IPFamily =>
  (pod.metadata.annotations?.[ANNOTATION_IP_FAMILY] ?? 'IPv4Only') as IPFamily

export const podKeyOf = (pod: { metadata: { namespace?: string; name: string } }): string =>
  `${pod.metadata.namespace ?? ''}/${pod.metadata.name}`

export const addressOf = (instance: IPInstance): string => instance.spec?.address.ip.split('/')[0] ?? ''

export const isHeld = (object: KubeObject | Pod): boolean =>
  (object.metadata.finalizers ?? []).includes(FINALIZER_IP_ALLOCATED)

export const isLeaving = (object: { metadata: { deletionTimestamp?: string | null } }): boolean =>
  Boolean(object.metadata.deletionTimestamp)

/** Whether the pod's end has been reported. */
export const isFinished = (pod: Pod): boolean => ['Succeeded', 'Failed'].includes(pod.status?.phase ?? '')
