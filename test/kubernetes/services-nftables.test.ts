// Services through kube-proxy in nftables mode.
import { chooseControlPlane } from '../support/control-plane.ts'

chooseControlPlane('real-nftables')
await import('./services.suite.ts')
