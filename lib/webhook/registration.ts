// Keeps the webhook configurations calling us: the authorities trusted now are written as caBundle, and written again when
// somebody removes or replaces them; ever less often when somebody keeps doing so, which is told as a metric, in the log and
// as an event of the configuration. With `create`, a configuration that is missing is made (a chart does it otherwise).
import { MUTATING_WEBHOOK_CONFIGURATIONS, VALIDATING_WEBHOOK_CONFIGURATIONS, type ResourceType } from '../api/index.ts'
import {
  EventRecorder,
  Informer,
  WorkQueue,
  involvedObject,
  isAlreadyExists,
  isInvalid,
  isNotFound,
  type KubeClient,
  type ObjectMeta,
} from '../kube/index.ts'
import type { Logger } from '../telemetry/log.ts'
import {
  bundlePatch,
  webhookConfigurations,
  type ServiceReference,
  type WebhookConfiguration,
} from './configuration.ts'
import { Fights, type FightLimits } from './fights.ts'
import type { WebhookMetrics } from './metrics.ts'

interface Kept {
  readonly resource: ResourceType
  readonly wanted: WebhookConfiguration
  readonly informer: Informer<WebhookConfiguration>
}

export interface RegistrationOptions {
  readonly client: KubeClient
  readonly log: Logger
  readonly service: ServiceReference
  readonly create: boolean
  readonly metrics: WebhookMetrics
  /** A configuration has changed, and with it perhaps what callers trust. */
  readonly onChange: () => void
  readonly fights?: FightLimits | undefined
}

export class Registration {
  readonly #options: RegistrationOptions
  readonly #kept: ReadonlyMap<string, Kept>
  readonly #queue: WorkQueue<string>
  #fights: Fights
  readonly #events: EventRecorder
  #bundle: string | null = null

  constructor(options: RegistrationOptions) {
    this.#options = options
    this.#fights = new Fights(options.fights)
    this.#events = new EventRecorder(options.client, { component: 'hybridnet-webhook', logger: options.log })
    const wanted = webhookConfigurations(options.service)
    this.#kept = new Map([
      ['validating', this.#keep(VALIDATING_WEBHOOK_CONFIGURATIONS, wanted.validating)],
      ['mutating', this.#keep(MUTATING_WEBHOOK_CONFIGURATIONS, wanted.mutating)],
    ])
    this.#queue = new WorkQueue({
      process: (key, signal) => this.#look(key, signal),
      onError: (error, key) =>
        options.log.error({ err: error, configuration: key }, 'a webhook configuration is not ours'),
    })
    for (const [key, { informer }] of this.#kept) {
      informer.onChange(() => {
        this.#queue.add(key)
        options.onChange()
      })
    }
  }

  async start(): Promise<void> {
    await Promise.all([...this.#kept.values()].map(({ informer }) => informer.start().synced))
    this.#queue.start()
    this.#all()
    this.#options.onChange()
  }

  async stop(): Promise<void> {
    await Promise.all([...this.#kept.values()].map(({ informer }) => informer.stop()))
    await this.#queue.stop()
    await this.#events.stop(1000)
  }

  /** @param authorities PEM */
  trust(authorities: string): void {
    const bundle = Buffer.from(authorities).toString('base64')
    // Our own change is no fight.
    if (bundle !== this.#bundle) this.#fights = new Fights(this.#options.fights)
    this.#bundle = bundle
    this.#all()
  }

  /** Whether the configurations there are have these authorities, as last seen. */
  trusts(authorities: string): boolean {
    const bundle = Buffer.from(authorities).toString('base64')
    return [...this.#kept.values()].every(({ informer, wanted }) => {
      if (!informer.isSynced) return false
      const found = informer.store.get(wanted.metadata.name)
      return found === undefined || bundlePatch(found, bundle) === null
    })
  }

  #all(): void {
    for (const key of this.#kept.keys()) this.#queue.add(key)
  }

  #keep(resource: ResourceType, wanted: WebhookConfiguration): Kept {
    const informer = new Informer<WebhookConfiguration>(this.#options.client, {
      resource,
      fieldSelector: `metadata.name=${wanted.metadata.name}`,
      project: (raw) => raw as unknown as WebhookConfiguration,
      logger: this.#options.log,
    })
    return { resource, wanted, informer }
  }

  async #look(key: string, signal: AbortSignal): Promise<number | void> {
    const kept = this.#kept.get(key)
    if (kept === undefined || this.#bundle === null) return
    const { client, log, create } = this.#options
    const { resource, wanted, informer } = kept
    const { name } = wanted.metadata
    const found = informer.store.get(name)
    try {
      if (found === undefined) {
        if (!create) return
        const caBundle = this.#bundle
        const webhooks = wanted.webhooks?.map((one) => ({ ...one, clientConfig: { ...one.clientConfig, caBundle } }))
        await client.create(resource, { ...wanted, webhooks }, { signal })
        log.info({ configuration: name }, 'webhook configuration created')
        return
      }
      const patch = bundlePatch(found, this.#bundle)
      if (patch === null) return
      const wait = this.#fights.wait(name, Date.now())
      if (wait > 0) return wait
      await client.patch('json', resource, { name }, patch, { signal })
      log.info({ configuration: name }, 'webhook configuration trusts our authorities')
      if (this.#fights.corrected(name, Date.now())) this.#report(kept, found)
    } catch (error) {
      // Changed or made by another meanwhile: the watch tells, and this looks again.
      if (!isAlreadyExists(error) && !isNotFound(error) && !isInvalid(error)) throw error
      log.debug({ err: error, configuration: name }, 'the webhook configuration has changed meanwhile')
      this.#queue.addAfter(key, 1000)
    }
  }

  /** @param before what somebody else had made of it */
  #report({ resource, wanted }: Kept, before: WebhookConfiguration): void {
    const { log, metrics } = this.#options
    const { name } = wanted.metadata
    const { managedFields } = before.metadata as { managedFields?: readonly { readonly manager?: string }[] | null }
    const writers = [...new Set((managedFields ?? []).map(({ manager }) => manager ?? ''))].join(', ')
    const message =
      `the caBundle of ${name} is changed again and again by somebody else (field managers: ${writers || 'unknown'}); ` +
      'keep it out of what the chart or an injector writes. It is corrected ever less often'
    metrics.fights.inc({ configuration: name })
    log.warn({ configuration: name, writers }, message)
    this.#events.event(
      involvedObject(resource, before.metadata as Partial<ObjectMeta>),
      'Warning',
      'CABundleConflict',
      message,
    )
  }
}
