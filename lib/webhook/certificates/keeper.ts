// Keeps the certificates in a Secret all replicas share: whoever comes first makes them, every replica serves what the Secret
// holds and takes the next step when it is due. Between two replicas the API server decides: a create that comes second
// or an update of an old version fails, and the loser serves what the winner wrote.
import { SECRETS, type ObjectMeta } from '../../api/index.ts'
import { Informer, WorkQueue, isAlreadyExists, isConflict, isNotFound, type KubeClient } from '../../kube/index.ts'
import type { Logger } from '../../telemetry/log.ts'
import { nextStep, unusable, waitFor, type CertificateSettings, type Material } from './plan.ts'

interface Secret {
  readonly metadata: ObjectMeta
  readonly type?: string
  readonly data?: Readonly<Record<string, string>> | null
}

export interface KeeperOptions {
  readonly client: KubeClient
  readonly log: Logger
  readonly namespace: string
  readonly secretName: string
  readonly settings: CertificateSettings
  /** Called with each usable state of the Secret that differs from the one before. */
  readonly onMaterial: (material: Material) => void
  /** Whether callers are known to trust these authorities. */
  readonly trusted: (authorities: string) => boolean
}

const FIELDS = { authorities: 'ca.crt', authorityKey: 'ca.key', cert: 'tls.crt', key: 'tls.key' } as const
const KEY = 'secret'

export class CertificateKeeper {
  readonly #options: KeeperOptions
  readonly #secrets: Informer<Secret>
  readonly #queue: WorkQueue<string>
  #served = ''

  constructor(options: KeeperOptions) {
    this.#options = options
    const { client, log, namespace, secretName } = options
    this.#secrets = new Informer<Secret>(client, {
      resource: SECRETS,
      namespace,
      fieldSelector: `metadata.name=${secretName}`,
      project: (raw) => raw as unknown as Secret,
      logger: log,
    })
    this.#secrets.onChange(() => this.#queue.add(KEY))
    this.#queue = new WorkQueue({
      process: (_key, signal) => this.#look(signal),
      onError: (error) => log.error({ err: error }, 'the certificates could not be looked after'),
    })
  }

  /** Resolves when the Secret has been looked for; certificates follow by `onMaterial`. */
  async start(): Promise<void> {
    await this.#secrets.start().synced
    this.#queue.start()
    this.#queue.add(KEY)
  }

  /** What callers trust may have changed: a step may be due that waits for it. */
  look(): void {
    this.#queue.add(KEY)
  }

  async stop(): Promise<void> {
    await this.#secrets.stop()
    await this.#queue.stop()
  }

  async #look(signal: AbortSignal): Promise<void> {
    const { client, log, namespace, secretName, settings } = this.#options
    // The store may lag behind our own last write; then the update conflicts and the event brings us back.
    const secret = this.#secrets.store.get(`${namespace}/${secretName}`) ?? null
    const now = Date.now()
    const material = secret === null ? null : materialOf(secret)
    const usable = material !== null && unusable(material, now) === null
    if (usable) this.#serve(material)
    const trusted = material !== null && this.#options.trusted(material.authorities)
    const step = nextStep(material, settings, now, trusted)
    if (step === null) {
      this.#queue.addAfter(KEY, material === null ? 1000 : waitFor(material, settings, now))
      return
    }
    try {
      if (secret === null) {
        const metadata = { name: secretName, namespace }
        await client.create(SECRETS, { metadata, type: 'Opaque', data: dataOf(step.material) }, { signal })
      } else {
        const data = { ...secret.data, ...dataOf(step.material) }
        await client.update(SECRETS, { ...secret, data }, { signal })
      }
      log.info({ secret: `${namespace}/${secretName}`, reason: step.reason }, 'certificates were renewed')
    } catch (error) {
      if (isAlreadyExists(error) || isConflict(error) || isNotFound(error)) {
        log.debug({ err: error }, 'another replica was faster; its certificates are taken')
      } else throw error
      // A watch that lags: look again soon, whatever it brings.
      this.#queue.addAfter(KEY, 1000)
    }
  }

  #serve(material: Material): void {
    const text = JSON.stringify(material)
    if (text === this.#served) return
    this.#served = text
    this.#options.onMaterial(material)
  }
}

function materialOf(secret: Secret): Material {
  const read = (field: keyof Material): string => Buffer.from(secret.data?.[FIELDS[field]] ?? '', 'base64').toString()
  return {
    authorities: read('authorities'),
    authorityKey: read('authorityKey'),
    cert: read('cert'),
    key: read('key'),
  }
}

function dataOf(material: Material): Record<string, string> {
  return Object.fromEntries(
    Object.entries(FIELDS).map(([field, name]) => [
      name,
      Buffer.from(material[field as keyof Material]).toString('base64'),
    ]),
  )
}
