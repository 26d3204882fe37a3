// test/cluster/churn.test.ts on the real control plane, with kube-proxy in iptables mode.
import { chooseControlPlane } from '../support/control-plane.ts'

chooseControlPlane('real-iptables')
await import('../cluster/churn.test.ts')
