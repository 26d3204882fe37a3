// test/cluster/demo.test.ts on the real control plane, with kube-proxy in nftables mode.
import { chooseControlPlane } from '../support/control-plane.ts'

chooseControlPlane('real-nftables')
await import('../cluster/demo.test.ts')
