// Starts and stops the parts of the webhook.
//
//   HTTPS listens ─┬─► certificates (Secret or files) ─► configurations trust them
//    (alive)       └─► local copy                                           (ready)
//
// Every replica does the same; none leads.
import type { KubeClient } from '../kube/index.ts'
import type { Logger } from '../telemetry/log.ts'
import type { Registry } from '../telemetry/metrics.ts'
import { createAuthority, issue } from '../tls/index.ts'
import { CachedReads } from './cache.ts'
import { FileKeeper, type CertificateFiles } from './certificates/files.ts'
import { CertificateKeeper } from './certificates/keeper.ts'
import { certificatesIn, type CertificateSettings } from './certificates/plan.ts'
import type { ServiceReference } from './configuration.ts'
import type { FightLimits } from './fights.ts'
import { Judge, type RuleOptions } from './judge.ts'
import { WebhookMetrics } from './metrics.ts'
import { Registration } from './registration.ts'
import { WebhookServer, type ServerLimits } from './server.ts'

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
  /** A certificate that somebody else keeps, instead of the Secret: paths. */
  readonly certificateFiles?: CertificateFiles | undefined
  readonly limits?: Partial<ServerLimits> | undefined
  readonly fights?: FightLimits | undefined
}

export interface Webhook {
  /** Port it listens at. */
  readonly port: number
  /** Rejects when admission cannot be served at all. */
  readonly failed: Promise<never>
  /** Null when able to judge, else what is missing. */
  notReady(): string | null
  /** Finishes the reviews in hand, bounded; then nothing runs any more. */
  stop(): Promise<void>
}

/**
 * Listens, and then reads what it needs: alive at once, ready when the local copy is complete and a certificate is there.
 *
 * @throws Error when the address cannot be bound, or the certificate files cannot be served
 */
export async function startWebhook(options: WebhookOptions): Promise<Webhook> {
  const { client, log, registry, service, certificateFiles } = options
  const metrics = new WebhookMetrics(registry)
  const cache = new CachedReads(client, log)
  const judge = new Judge({ client, cache, rules: options.rules })
  let served = false
  const notReady = (): string | null =>
    !served ? 'no certificate yet' : !cache.synced ? 'the local copy of the cluster is not complete' : null
  const server = new WebhookServer({
    host: options.host,
    port: options.port,
    judge,
    metrics,
    log,
    notReady,
    limits: options.limits,
  })
  let fail: (error: unknown) => void = () => undefined
  const failed = new Promise<never>((_resolve, reject) => (fail = reject))
  // Whoever awaits it sees the rejection; nobody having to is no crash.
  failed.catch(() => undefined)

  /** @param authorities what callers are to trust; '' when somebody else tells them */
  const serve = (cert: string, key: string, authorities: string): void => {
    const [first] = certificatesIn(cert)
    if (first !== undefined) metrics.certificateEnd.set(Date.parse(first.validTo) / 1000)
    if (authorities !== '') registration.trust(authorities)
    server.use(cert, key).catch(fail)
    if (!served) log.info({ port: server.port }, 'admission is served')
    served = true
  }
  const registration = new Registration({
    client,
    log,
    service,
    metrics,
    create: options.register,
    onChange: () => keeper?.look(),
    fights: options.fights,
  })
  const files =
    certificateFiles === undefined
      ? null
      : new FileKeeper({
          paths: certificateFiles,
          log,
          onChange: ({ cert, key, authorities }) => serve(cert, key, authorities),
        })
  const keeper =
    files !== null
      ? null
      : new CertificateKeeper({
          client,
          log,
          namespace: service.namespace,
          secretName: options.secretName,
          settings: settingsOf(options),
          trusted: (authorities) => registration.trusts(authorities),
          onMaterial: ({ cert, key, authorities }) => serve(cert, key, authorities),
        })

  const stop = async (): Promise<void> => {
    files?.stop()
    await server.stop()
    await Promise.all([keeper?.stop(), registration.stop(), cache.stop()])
  }
  try {
    // Something must answer probes before the API server can be reached; nobody trusts this certificate with a review.
    const nobody = issue(createAuthority('hybridnet-webhook, starting', 1), {
      commonName: service.name,
      subjectAltNames: namesOf(service),
      usage: 'server',
      days: 1,
    })
    await server.use(nobody.cert, nobody.key)
    await files?.start()
  } catch (error) {
    await stop()
    throw error
  }
  const starting = [cache.start(), registration.start(), ...(keeper === null ? [] : [keeper.start()])]
  for (const part of starting) {
    // They read until they can or are stopped, and only the latter is told.
    part.catch((error: unknown) => log.debug({ err: error }, 'stopped before the first list'))
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

function namesOf({ name, namespace }: ServiceReference): readonly string[] {
  return [name, `${name}.${namespace}.svc`, `${name}.${namespace}.svc.cluster.local`, '127.0.0.1']
}

function settingsOf(options: WebhookOptions): CertificateSettings {
  return {
    names: namesOf(options.service),
    certificateDays: options.certificateDays ?? 365,
    authorityDays: options.authorityDays ?? 3650,
    settleMs: options.settleMs ?? 600_000,
    renewAt: options.renewAt ?? 0.8,
  }
}
