// What the parts of this benchmark create alike.
import type { KubeObject } from '../../lib/kube/index.ts'

/** A plain pod that is bound to its node from the beginning. */
export function podObject(name: string, nodeName: string): KubeObject {
  return {
    metadata: { name, namespace: 'default', labels: { app: 'scale' } },
    spec: { nodeName, terminationGracePeriodSeconds: 0, containers: [{ name: 'main', image: 'none' }] },
  }
}

/** Of the overlay's subnet, 100.64.0.0/10: pods of hollow nodes count from here, pods of the real node from its other end. */
export const FIRST_REMOTE = 0x6440_0001
export const FIRST_LOCAL = 0x647f_0001
