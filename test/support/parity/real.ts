// The real control plane as the sessions need it: its own scheduler and controllers, two hollow nodes.
import { readFileSync } from 'node:fs'
import { startRealControlPlane } from '../kubernetes.ts'
import type { ParityCluster } from './embedded.ts'
import { ParityNodes } from './nodes.ts'

export async function startReal(): Promise<ParityCluster> {
  const plane = await startRealControlPlane()
  const client = plane.connect()
  const nodes = await new ParityNodes(client).start()
  return {
    kubeconfig: readFileSync(plane.kubeconfig, 'utf8'),
    close: async () => {
      await nodes.stop()
      client.close()
      await plane.stop()
      await plane.close()
    },
  }
}
