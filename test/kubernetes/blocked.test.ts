// test/cluster/blocked.test.ts on the real control plane.
import { chooseControlPlane } from '../support/control-plane.ts'

chooseControlPlane('real')
await import('../cluster/blocked.test.ts')
