// Services through kube-proxy in iptables mode.
import { chooseControlPlane } from '../support/control-plane.ts'

chooseControlPlane('real-iptables')
await import('./services.suite.ts')
