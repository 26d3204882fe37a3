// Keeps the webhook configurations calling us: the authorities trusted now are written as caBundle, and written again when
// somebody removes or replaces them. With `create`, a configuration that is missing is made (a chart does it otherwise).
import { MUTATING_WEBHOOK_CONFIGURATIONS, VALIDATING_WEBHOOK_CONFIGURATIONS, type ResourceType } from '../api/index.ts'
import { Informer, WorkQueue, isAlreadyExists, isInvalid, isNotFound, type KubeClient } from '../kube/index.ts'
import type { Logger } from '../telemetry/log.ts'
import {
  bundlePatch,
  webhookConfigurations,
  type ServiceReference,
  type WebhookConfiguration,
} from './configuration.ts'

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
}

export class Registration {
  readonly #options: RegistrationOptions
  readonly #kept: ReadonlyMap<string, Kept>
  readonly #queue: WorkQueue<string>
  #bundle: string | null = null

  constructor(options: RegistrationOptions) {
    this.#options = options
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
    for (const [key, { informer }] of this.#kept) informer.onChange(() => this.#queue.add(key))
  }

  async start(): Promise<void> {
    await Promise.all([...this.#kept.values()].map(({ informer }) => informer.start().synced))
    this.#queue.start()
    this.#all()
  }

  async stop(): Promise<void> {
    await Promise.all([...this.#kept.values()].map(({ informer }) => informer.stop()))
    await this.#queue.stop()
  }

  /** @param authorities PEM */
  trust(authorities: string): void {
    this.#bundle = Buffer.from(authorities).toString('base64')
    this.#all()
  }

  /** Whether the configurations there are have these authorities, as last seen. */
  trusts(authorities: string): boolean {
    const bundle = Buffer.from(authorities).toString('base64')
    return [...this.#kept.values()].every(({ informer, wanted }) => {
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

  async #look(key: string, signal: AbortSignal): Promise<void> {
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
      await client.patch('json', resource, { name }, patch, { signal })
      log.info({ configuration: name }, 'webhook configuration trusts our authorities')
    } catch (error) {
      // Changed or made by another meanwhile: the watch tells, and this looks again.
      if (!isAlreadyExists(error) && !isNotFound(error) && !isInvalid(error)) throw error
      log.debug({ err: error, configuration: name }, 'the webhook configuration has changed meanwhile')
      this.#queue.addAfter(key, 1000)
    }
  }
}
