// test/cluster/overlay.test.ts on the real control plane, with kube-proxy in nftables mode.
import { chooseControlPlane } from '../support/control-plane.ts'

chooseControlPlane('real-nftables')
await import('../cluster/overlay.test.ts')
