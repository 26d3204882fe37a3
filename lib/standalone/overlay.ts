// The overlay network a standalone cluster starts with: what the chart's `init` values make, for both families.
import { NETWORKS, SUBNETS } from '../api/index.ts'
import type { KubeClient } from '../kube/index.ts'

export interface OverlayOptions {
  readonly network: string
  /** VXLAN network identifier. */
  readonly vni: number
  /** Subnets by name, for instance `overlay-v4: 100.64.0.0/16`. */
  readonly subnets: Readonly<Record<string, string>>
}

/** The overlay of `hybridnet demo` and `hybridnet standalone`. */
export const defaultOverlay: OverlayOptions = {
  network: 'overlay',
  vni: 4,
  subnets: { 'overlay-v4': '100.64.0.0/16', 'overlay-v6': 'fd64::/64' },
}

/** What programs need so that pods that ask for nothing get an address of each family on the overlay. */
export const overlayEnvironment: Readonly<Record<string, string>> = {
  DEFAULT_NETWORK_TYPE: 'Overlay',
  DEFAULT_IP_FAMILY: 'DualStack',
}

/** Create the Network and its Subnets. @throws ApiError when one of them exists */
export async function createOverlay(client: KubeClient, options: OverlayOptions = defaultOverlay): Promise<void> {
  const { network, vni, subnets } = options
  await client.create(NETWORKS, { metadata: { name: network }, spec: { type: 'Overlay', mode: 'VXLAN', netID: vni } })
  for (const [name, cidr] of Object.entries(subnets)) {
    const range = { version: cidr.includes(':') ? '6' : '4', cidr }
    await client.create(SUBNETS, { metadata: { name }, spec: { network, range, config: { autoNatOutgoing: true } } })
  }
}
