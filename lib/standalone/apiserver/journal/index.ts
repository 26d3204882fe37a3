// Objects on disk: an append-only log of changes, and now and then a snapshot that makes older logs unnecessary.
//
// Durability: a write is answered when it is on disk (fdatasync; many writes share one). Watches and reads may show a change
// some milliseconds before that; so that a version shown once never means something else after a crash, the counter begins
// {@link GAP} higher after each start, and every watch and page from before gets 410.
//
// A process killed at any moment loses nothing that was answered. A disk that loses what it said it had is another matter:
// damage within a file is an error at the next start (record.ts). Of two servers on one directory the second is refused (lock.ts).
import { mkdir, open, readdir, rename, rm, type FileHandle } from 'node:fs/promises'
import { join } from 'node:path'
import { errorText } from '../../../kube/index.ts'
import type { Logger } from '../../../telemetry/log.ts'
import { Pace } from '../pace.ts'
import type { Change, Collection, Store } from '../store.ts'
import { entry, fileName, header, recover, syncDirectory, type State } from './files.ts'
import { lockDirectory } from './lock.ts'
import { encodeRecord, JournalError } from './record.ts'

export { JournalError } from './record.ts'
export type { State } from './files.ts'

/** Versions skipped at a start: more than can have been shown without being on disk. */
const GAP = 100_000
/** A log is compacted when it is larger than this and than the last snapshot. Bytes. */
const COMPACT_ABOVE = 16 * 1024 * 1024
/** Bytes of a snapshot that are written at once. */
const SLICE = 1024 * 1024

export interface JournalOptions {
  readonly directory: string
  readonly log: Logger
  /** Size of a log that makes a snapshot worthwhile, bytes; 16 MiB. */
  readonly compactAbove?: number
}

/** What a snapshot is made of. */
interface Capture {
  readonly version: number
  readonly collections: readonly (readonly [string, Collection])[]
}

interface Opened {
  readonly file: FileHandle
  readonly state: State | null
  readonly files: readonly string[]
}

interface Waiter {
  readonly resolve: () => void
  readonly reject: (error: Error) => void
}

export class Journal {
  /** What an earlier life left; null when there was none. */
  readonly state: State | null
  readonly #directory: string
  readonly #log: Logger
  readonly #compactAbove: number
  #store: Store | null = null
  #unsubscribe: () => void = () => undefined
  readonly #lock: FileHandle
  #file: FileHandle
  #logBytes = 0
  #snapshotBytes = 0
  /** Files that a snapshot makes unnecessary. */
  #old: readonly string[]
  #pending: Buffer[] = []
  #waiters: Waiter[] = []
  #writing: Promise<void> | null = null
  #compacting: Promise<void> | null = null
  /** Asks for a new log, and for what the store was when it began. */
  #rotation: ((capture: Capture) => void) | null = null
  #failure: JournalError | null = null
  #closed = false

  private constructor(options: JournalOptions, lock: FileHandle, { file, state, files }: Opened) {
    this.#directory = options.directory
    this.#log = options.log
    this.#compactAbove = options.compactAbove ?? COMPACT_ABOVE
    this.#lock = lock
    this.#file = file
    this.#old = files
    this.state = state
  }

  /**
   * Read what is in a directory (made if there is none) and begin a new log.
   *
   * @throws JournalError when a file is damaged, or another server uses the directory
   */
  static async open(options: JournalOptions): Promise<Journal> {
    await mkdir(options.directory, { recursive: true, mode: 0o700 })
    const lock = await lockDirectory(options.directory)
    try {
      return new Journal(options, lock, await openFiles(options))
    } catch (error) {
      await lock.close()
      throw error
    }
  }

  /** Why nothing can be written any more; null while all is well. */
  get failure(): JournalError | null {
    return this.#failure
  }

  /** Write down every change from now on. */
  follow(store: Store): void {
    this.#store = store
    this.#unsubscribe = store.subscribe('', (change) => this.#append(change))
    // Each start begins a log; they must not become many.
    if (this.#old.length > 4) this.#compact()
  }

  /** Resolves when all changes so far are on disk. @throws JournalError when they cannot be */
  synced(): Promise<void> {
    if (this.#failure !== null) return Promise.reject(this.#failure)
    if (this.#pending.length === 0 && this.#writing === null) return Promise.resolve()
    return new Promise((resolve, reject) => {
      this.#waiters.push({ resolve, reject })
      this.#write()
    })
  }

  /** Writes what is left, and closes. */
  async close(): Promise<void> {
    if (this.#closed) return
    this.#closed = true
    this.#unsubscribe()
    if (this.#failure === null) await this.#compacting
    await this.synced().catch((error: unknown) => this.#log.error({ err: error }, 'journal: the last changes are lost'))
    await this.#file.close()
    await this.#lock.close()
  }

  #append({ version, collection, type, current }: Change): void {
    if (this.#failure !== null) return
    const json = type === 'DELETED' ? null : JSON.stringify(current.object)
    this.#pending.push(encodeRecord(entry(version, collection, current.key, json)))
    this.#write()
  }

  /** Group commit: whatever comes while one batch goes to disk makes the next one. */
  #write(): void {
    if (this.#writing !== null || this.#failure !== null) return
    this.#writing = this.#writeBatches().finally(() => {
      this.#writing = null
      // Asked for after the last look.
      if (this.#hasWork()) this.#write()
    })
  }

  #hasWork(): boolean {
    return this.#pending.length > 0 || this.#waiters.length > 0 || this.#rotation !== null
  }

  /** Never rejects. */
  async #writeBatches(): Promise<void> {
    // The changes of one turn of the event loop, and whoever waits for them, go together.
    await new Promise(setImmediate)
    while (this.#hasWork()) {
      const bytes = Buffer.concat(this.#pending)
      const waiters = this.#waiters
      const rotation = this.#rotation
      const capture = rotation === null ? null : this.#capture()
      this.#pending = []
      this.#waiters = []
      this.#rotation = null
      try {
        if (bytes.length > 0) {
          await writeAll(this.#file, bytes)
          await this.#file.datasync()
          this.#logBytes += bytes.length
        }
        for (const { resolve } of waiters) resolve()
        if (capture !== null) {
          // The old log is whole before another follows it.
          const next = await newLog(this.#directory, capture.version)
          await this.#file.close()
          this.#file = next
          this.#logBytes = 0
          rotation?.(capture)
        }
      } catch (error) {
        this.#fail(error, waiters)
        return
      }
      if (this.#logBytes > Math.max(this.#compactAbove, this.#snapshotBytes) && !this.#closed) this.#compact()
    }
  }

  #capture(): Capture {
    const store = this.#store
    if (store === null) throw new Error('journal: it follows no store')
    return {
      version: store.version,
      collections: [...store.collections()].map((name) => [name, store.collection(name)] as const),
    }
  }

  #fail(error: unknown, waiters: readonly Waiter[]): void {
    this.#failure = new JournalError(`journal ${this.#directory}: ${errorText(error)}; no more writes are accepted`, {
      cause: error,
    })
    this.#log.error(
      { err: error, directory: this.#directory },
      'journal cannot be written: no more writes are accepted',
    )
    for (const { reject } of [...waiters, ...this.#waiters]) reject(this.#failure)
    this.#waiters = []
    this.#pending = []
  }

  #compact(): void {
    if (this.#store === null || this.#compacting !== null || this.#failure !== null) return
    this.#compacting = this.#snapshot()
      .catch((error: unknown) => this.#fail(error, []))
      .finally(() => (this.#compacting = null))
  }

  /** A new log, all objects as they were when it began in a snapshot, and away with what that makes unnecessary. */
  async #snapshot(): Promise<void> {
    const { version, collections } = await new Promise<Capture>((resolve) => {
      this.#rotation = resolve
      this.#write()
    })
    this.#snapshotBytes = await this.#writeSnapshot(version, collections)
    const current = [fileName(version, 'snapshot'), fileName(version, 'log')]
    for (const name of this.#old) if (!current.includes(name)) await rm(join(this.#directory, name), { force: true })
    await syncDirectory(this.#directory)
    this.#old = current
    this.#log.debug({ version, bytes: this.#snapshotBytes }, 'journal compacted')
  }

  async #writeSnapshot(version: number, collections: readonly (readonly [string, Collection])[]): Promise<number> {
    const path = join(this.#directory, fileName(version, 'snapshot'))
    const file = await open(`${path}.tmp`, 'w', 0o600)
    const pace = new Pace()
    let total = 0
    try {
      let pending = [encodeRecord(header(version, 'snapshot'))]
      let size = 0
      const flush = async (): Promise<void> => {
        total += size
        pace.done()
        await writeAll(file, Buffer.concat(pending))
        pace.renew()
        pending = []
        size = 0
      }
      for (const [name, collection] of collections) {
        for (const [key, stored] of collection.entries()) {
          const record = encodeRecord(entry(stored.version, name, key, JSON.stringify(stored.object)))
          pending.push(record)
          size += record.length
          if (size >= SLICE) await flush()
          else if (pace.due()) await pace.breathe()
        }
      }
      await flush()
      await file.datasync()
    } finally {
      pace.done()
      await file.close()
    }
    await rename(`${path}.tmp`, path)
    await syncDirectory(this.#directory)
    return total
  }
}

/** Read what is there and begin a new log. */
async function openFiles({ directory, log }: JournalOptions): Promise<Opened> {
  for (const name of await readdir(directory)) {
    // A snapshot that was not finished.
    if (name.endsWith('.snapshot.tmp')) await rm(join(directory, name), { force: true })
  }
  const found = await recover(directory)
  if (found !== null && found.tornBytes > 0) {
    log.warn(
      { directory, bytes: found.tornBytes },
      'journal: the last write was cut off and is dropped; it was never answered',
    )
  }
  const state = found === null ? null : { ...found.state, version: found.state.version + GAP }
  const version = state?.version ?? 1
  const file = await newLog(directory, version)
  return { file, state, files: [...(found?.files ?? []), fileName(version, 'log')] }
}

/** Begin a log; when this returns its name is durable. */
async function newLog(directory: string, version: number): Promise<FileHandle> {
  const file = await open(join(directory, fileName(version, 'log')), 'w', 0o600)
  await writeAll(file, encodeRecord(header(version, 'log')))
  await file.datasync()
  await syncDirectory(directory)
  return file
}

/** FileHandle.write may write less than it was given. */
async function writeAll(file: FileHandle, bytes: Buffer): Promise<void> {
  for (let at = 0; at < bytes.length;) at += (await file.write(bytes, at)).bytesWritten
}
