// test/cluster/kubectl.test.ts on the real control plane.
import { chooseControlPlane } from '../support/control-plane.ts'

chooseControlPlane('real')
await import('../cluster/kubectl.test.ts')
