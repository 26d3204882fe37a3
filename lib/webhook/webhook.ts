// Starts and stops the parts of the webhook.
//
//   local copy ─► certificates (Secret) ─► HTTPS served ─► configurations trust them
//
// Every replica does the same; none leads.
import type { KubeClient } from '../kube/index.ts'
import type { Logger } from '../telemetry/log.ts'
import type { Registry } from '../telemetry/metrics.ts'
import { CachedReads } from './cache.ts'
import { CertificateKeeper } from './certificates/keeper.ts'
import { certificatesIn, type Material } from './certificates/plan.ts'
import type { ServiceReference } from './configuration.ts'
import { Judge, type RuleOptions } from './judge.ts'
import { WebhookMetrics } from './metrics.ts'
import { Registration } from './registration.ts'
import { WebhookServer } from './server.ts'

export interface WebhookOptions {
  readonly client: KubeClient
  readonly log: Logger
  readonly registry: Registry
  readonly rules: RuleOptions
  readonly host?: string | undefined
  /** 0: any free port. */
  readonly port: number
  /** The Service the API server calls; its names are in the certificate. */
  readonly service: ServiceReference
  readonly secretName: string
  /** Create the webhook configurations when they are missing. */
  readonly register: boolean
  readonly certificateDays?: number | undefined
  readonly authorityDays?: number | undefined
  /** Milliseconds in which every replica and API server has seen a change; ten minutes. */
  readonly settleMs?: number | undefined
  /** Part of its life after which a certificate is replaced; 0.8. */
  readonly renewAt?: number | undefined
}

export interface Webhook {
  /** Port of admission; 0 until the first certificate is there. */
  readonly port: number
  /** Rejects when admission cannot be served at all. */
  readonly failed: Promise<never>
  /** Null when able to judge, else what is missing. */
  notReady(): string | null
  stop(): Promise<void>
}

export async function startWebhook(options: WebhookOptions): Promise<Webhook> {
  const { client, log, registry, service } = options
  const metrics = new WebhookMetrics(registry)
  const cache = new CachedReads(client, log)
  const judge = new Judge({ client, cache, rules: options.rules })
  let material: Material | null = null
  const notReady = (): string | null =>
    !cache.synced ? 'the local copy of the cluster is not complete' : material === null ? 'no certificate yet' : null
  const server = new WebhookServer({ host: options.host, port: options.port, judge, metrics, log, notReady })
  const registration = new Registration({ client, log, service, create: options.register })
  let fail: (error: unknown) => void = () => undefined
  const failed = new Promise<never>((_resolve, reject) => (fail = reject))
  // Whoever awaits it sees the rejection; nobody having to is no crash.
  failed.catch(() => undefined)
  const keeper = new CertificateKeeper({
    client,
    log,
    namespace: service.namespace,
    secretName: options.secretName,
    settings: {
      names: [
        service.name,
        `${service.name}.${service.namespace}.svc`,
        `${service.name}.${service.namespace}.svc.cluster.local`,
        '127.0.0.1',
      ],
      certificateDays: options.certificateDays ?? 365,
      authorityDays: options.authorityDays ?? 3650,
      settleMs: options.settleMs ?? 600_000,
      renewAt: options.renewAt ?? 0.8,
    },
    trusted: (authorities) => registration.trusts(authorities),
    onMaterial: (now) => {
      material = now
      const [cert] = certificatesIn(now.cert)
      if (cert !== undefined) metrics.certificateEnd.set(Date.parse(cert.validTo) / 1000)
      registration.trust(now.authorities)
      server.use(now.cert, now.key).catch(fail)
    },
  })
  const stop = async (): Promise<void> => {
    await server.stop()
    await Promise.all([keeper.stop(), registration.stop(), cache.stop()])
  }
  try {
    await cache.start()
    await registration.start()
    await keeper.start()
  } catch (error) {
    await stop()
    throw error
  }
  return {
    get port() {
      return server.port
    },
    failed,
    notReady,
    stop,
  }
}
