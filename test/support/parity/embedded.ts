// The embedded control plane as the sessions need it: our definitions, scheduler, workload controllers, two hollow nodes.
import { KubeClient } from '../../../lib/kube/index.ts'
import { startApiServer } from '../../../lib/standalone/apiserver/index.ts'
import { Controllers } from '../../../lib/standalone/controllers/index.ts'
import { Scheduler } from '../../../lib/standalone/nodes/scheduler.ts'
import { crdDirectory } from '../../../lib/standalone/project.ts'
import { silentLogger } from '../../../lib/telemetry/log.ts'
import { ParityNodes } from './nodes.ts'

export interface ParityCluster {
  /** Of an administrator, in JSON. */
  readonly kubeconfig: string
  close(): Promise<void>
}

export async function startEmbedded(): Promise<ParityCluster> {
  const server = await startApiServer({
    listen: [{ host: '127.0.0.1', port: 0 }],
    tls: {},
    crdDirectory: crdDirectory(),
  })
  const client = KubeClient.connect({
    server: server.url,
    tls: { ca: server.caCert ?? '' },
    token: server.token ?? '',
  })
  const controllers = new Controllers(client, silentLogger())
  const scheduler = new Scheduler(client, silentLogger())
  await Promise.all([controllers.start(), scheduler.start()])
  const nodes = await new ParityNodes(client).start()
  return {
    kubeconfig: server.kubeconfig(),
    close: async () => {
      await Promise.all([nodes.stop(), controllers.stop(), scheduler.stop()])
      client.close()
      await server.close()
    },
  }
}
