// A certificate somebody else keeps, in files (cert-manager's Secret as a volume): read at the start, and again when they
// change. A kubelet changes a volume by moving a symbolic link, so directories are watched; a look every minute is for file
// systems that tell nothing. What cannot be served, such as a pair half written, is reported and the earlier one served on.
import { createPrivateKey } from 'node:crypto'
import { watch, type FSWatcher } from 'node:fs'
import { readFile } from 'node:fs/promises'
import { dirname } from 'node:path'
import type { Logger } from '../../telemetry/log.ts'
import { certificatesIn } from './plan.ts'

export interface CertificateFiles {
  /** PEM: the certificate, and those between it and its authority. */
  readonly cert: string
  readonly key: string
  /** PEM: what the API server is told to trust; '' when somebody else tells it. */
  readonly authorities: string
}

export interface FilesOptions {
  readonly paths: CertificateFiles
  readonly log: Logger
  /** Called with each state of the files that can be served and differs from the one before. Contents, not paths. */
  readonly onChange: (contents: CertificateFiles) => void
}

const LOOK_MS = 60_000
const SOON_MS = 100

export class FileKeeper {
  readonly #options: FilesOptions
  #watchers: FSWatcher[] = []
  #interval: NodeJS.Timeout | null = null
  #soon: NodeJS.Timeout | null = null
  #served = ''
  #problem = ''
  #stopped = false

  constructor(options: FilesOptions) {
    this.#options = options
  }

  /** @throws Error when there is nothing that can be served */
  async start(): Promise<void> {
    const { paths } = this.#options
    await this.#look(true)
    for (const directory of new Set(Object.values(paths).filter(Boolean).map(dirname))) {
      const watcher = watch(directory, { persistent: false }, () => this.#lookSoon())
      watcher.on('error', (error) => this.#options.log.warn({ directory, err: error }, 'the directory is not watched'))
      this.#watchers.push(watcher)
    }
    this.#interval = setInterval(() => this.#lookSoon(), LOOK_MS)
    // What changed between the look and the watch.
    this.#lookSoon()
  }

  stop(): void {
    this.#stopped = true
    for (const watcher of this.#watchers) watcher.close()
    if (this.#interval !== null) clearInterval(this.#interval)
    if (this.#soon !== null) clearTimeout(this.#soon)
  }

  #lookSoon(): void {
    this.#soon ??= setTimeout(() => {
      this.#soon = null
      this.#look(false).catch((error: unknown) => {
        const problem = error instanceof Error ? error.message : String(error)
        if (problem !== this.#problem) this.#options.log.error({ err: error }, 'the earlier certificate is served on')
        this.#problem = problem
      })
    }, SOON_MS)
  }

  async #look(first: boolean): Promise<void> {
    const { paths, log, onChange } = this.#options
    const read = async (path: string): Promise<string> => (path === '' ? '' : await readFile(path, 'utf8'))
    const [cert, key, authorities] = await Promise.all([read(paths.cert), read(paths.key), read(paths.authorities)])
    const contents = { cert, key, authorities }
    const text = JSON.stringify(contents)
    if (this.#stopped || text === this.#served) return
    const problem = unservable(contents, paths)
    if (problem !== null) throw new Error(problem)
    this.#served = text
    this.#problem = ''
    onChange(contents)
    if (!first) log.info({ file: paths.cert }, 'the certificate has changed')
  }
}

/** What is wrong with the contents, null when they can be served. An end in the past is served: the caller decides. */
export function unservable(contents: CertificateFiles, paths: CertificateFiles): string | null {
  const why = (error: unknown): string => (error instanceof Error ? error.message : String(error))
  try {
    const [cert] = certificatesIn(contents.cert)
    if (cert === undefined) return `${paths.cert}: expected a certificate in PEM`
    const key = createPrivateKey(contents.key)
    if (!cert.checkPrivateKey(key)) return `${paths.key}: not the key of the certificate in ${paths.cert}`
  } catch (error) {
    return `${paths.cert} and ${paths.key}: expected a certificate and its key in PEM (${why(error)})`
  }
  try {
    const none = paths.authorities !== '' && certificatesIn(contents.authorities).length === 0
    return none ? `${paths.authorities}: expected certificates in PEM` : null
  } catch (error) {
    return `${paths.authorities}: expected certificates in PEM (${why(error)})`
  }
}
