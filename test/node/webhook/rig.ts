// An embedded API server and a replica of the webhook it calls, for tests of the server, its certificates and its life.
import { connect, type TLSSocket } from 'node:tls'
import { request } from 'node:https'
import { KubeClient } from '../../../lib/kube/index.ts'
import { startApiServer, type ApiServer } from '../../../lib/standalone/apiserver/index.ts'
import { createLogger, silentLogger } from '../../../lib/telemetry/log.ts'
import { Registry } from '../../../lib/telemetry/metrics.ts'
import { startWebhook, type Webhook, type WebhookOptions } from '../../../lib/webhook/index.ts'
import { bringUpLoopback } from '../../support/loopback.ts'

const crdDirectory = new URL('../../../charts/hybridnet/crds', import.meta.url).pathname
const log = process.env['TEST_LOG'] ? createLogger({ name: 'test', level: process.env['TEST_LOG'] }) : silentLogger()

export const RULES: WebhookOptions['rules'] = {
  networkType: 'Overlay',
  ipFamily: 'IPv4Only',
  ipRetain: true,
  statefulKinds: ['StatefulSet'],
  virtualMachines: true,
  multiCluster: false,
  capacityLimit: 0,
  handles: () => true,
}

export class Rig {
  readonly server: ApiServer
  readonly client: KubeClient
  readonly registry = new Registry()
  #webhook: Webhook | null = null
  readonly #own: KubeClient

  private constructor(server: ApiServer) {
    this.server = server
    this.client = KubeClient.connect({ server: server.url })
    this.#own = KubeClient.connect({ server: server.url, userAgent: 'webhook-under-test' })
  }

  static async start(): Promise<Rig> {
    bringUpLoopback()
    const server = await startApiServer({
      listen: [{ host: '127.0.0.1', port: 0 }],
      crdDirectory,
      resolveService: () => ({ host: '127.0.0.1', port: rig.webhook.port }),
    })
    const rig: Rig = new Rig(server)
    return rig
  }

  get webhook(): Webhook {
    if (this.#webhook === null) throw new Error('no replica serves')
    return this.#webhook
  }

  async serve(options: Partial<WebhookOptions> = {}): Promise<Webhook> {
    const webhook = await startWebhook({
      client: this.#own,
      log,
      registry: this.registry,
      rules: RULES,
      host: '127.0.0.1',
      port: 0,
      service: { namespace: 'kube-system', name: 'hybridnet-webhook', port: 443 },
      secretName: 'hybridnet-webhook-tls',
      register: true,
      ...options,
    })
    this.#webhook = webhook
    return webhook
  }

  async close(): Promise<void> {
    await this.#webhook?.stop()
    this.#own.close()
    this.client.close()
    await this.server.close()
  }
}

export interface HttpAnswer {
  readonly status: number
  readonly connection: string
  readonly body: string
}

/** One request on a connection of its own. Rejects when it gets no whole answer. */
export function ask(port: number, path: string, body: string | null = null): Promise<HttpAnswer> {
  return new Promise((resolve, reject) => {
    const call = request(
      {
        host: '127.0.0.1',
        port,
        path,
        method: body === null ? 'GET' : 'POST',
        headers: body === null ? {} : { 'content-type': 'application/json' },
        rejectUnauthorized: false,
        agent: false,
      },
      (response) => {
        let text = ''
        response.on('data', (chunk: Buffer) => (text += chunk.toString()))
        response.on('end', () => {
          if (!response.complete) return reject(new Error('the answer was cut'))
          const { connection = '' } = response.headers
          resolve({ status: response.statusCode ?? 0, connection, body: text })
        })
        response.on('error', reject)
      },
    )
    call.on('error', reject)
    call.end(body ?? undefined)
  })
}

/** A review of the creation of an Overlay Network, which reads the Networks there are. */
export function networkReview(name: string): string {
  return JSON.stringify({
    apiVersion: 'admission.k8s.io/v1',
    kind: 'AdmissionReview',
    request: {
      uid: name,
      kind: { group: 'networking.alibaba.com', version: 'v1', kind: 'Network' },
      operation: 'CREATE',
      name,
      dryRun: true,
      object: { metadata: { name }, spec: { type: 'Overlay', netID: 4 } },
    },
  })
}

/** A connection with a session and no request. */
export function idle(port: number): Promise<TLSSocket> {
  return new Promise((resolve, reject) => {
    const socket = connect({ host: '127.0.0.1', port, rejectUnauthorized: false }, () => resolve(socket))
    socket.on('error', reject)
  })
}
