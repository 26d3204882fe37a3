// Which control plane the cluster tests run on. They are one suite: test/cluster runs it on the embedded one, test/kubernetes on
// the real one, by setting the variable before it imports the same files.
import type { ControlPlaneFactory } from '../../lib/standalone/index.ts'
import { realControlPlane } from './kubernetes.ts'

const variable = 'HYBRIDNET_TEST_CONTROL_PLANE'

/** Values of the variable: `real` is without kube-proxy. */
export type ControlPlaneName = 'embedded' | 'real' | 'real-iptables' | 'real-nftables'

const factories: Readonly<Record<ControlPlaneName, ControlPlaneFactory | null>> = {
  embedded: null,
  real: realControlPlane(),
  'real-iptables': realControlPlane({ proxy: 'iptables' }),
  'real-nftables': realControlPlane({ proxy: 'nftables' }),
}

/** For the tests this process imports after it. */
export function chooseControlPlane(name: ControlPlaneName): void {
  process.env[variable] = name
}

/** The part of `ClusterOptions` that says which. @throws Error naming the values of the variable there are */
export function chosenControlPlane(): { controlPlane?: ControlPlaneFactory } {
  const name = process.env[variable] ?? 'embedded'
  const found = Object.entries(factories).find(([known]) => known === name)
  if (found === undefined)
    throw new Error(`${variable}='${name}', expected one of ${Object.keys(factories).join(', ')}`)
  return found[1] === null ? {} : { controlPlane: found[1] }
}

/** Whether it is the embedded one: for what only one of them has, such as faults. */
export function isEmbedded(): boolean {
  return chosenControlPlane().controlPlane === undefined
}
