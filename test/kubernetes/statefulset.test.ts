// test/cluster/statefulset.test.ts on the real control plane, with kube-proxy in iptables mode.
import { chooseControlPlane } from '../support/control-plane.ts'

chooseControlPlane('real-iptables')
await import('../cluster/statefulset.test.ts')
