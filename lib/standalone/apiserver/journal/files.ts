// The files of a journal and what they say when read in order.
//
//   VERSION.snapshot   all objects as they were at VERSION; complete as soon as it has its name
//   VERSION.log        the changes after VERSION, until the next log begins
//
// State = newest snapshot + every log not older than it, in order. Only the last log may have a torn end.
import { open, readFile, readdir, type FileHandle } from 'node:fs/promises'
import { join } from 'node:path'
import type { KubeObject } from '../types.ts'
import { decodeRecords, JournalError } from './record.ts'

const format = 1

/** What was kept: by collection and key. */
export interface State {
  readonly version: number
  readonly collections: ReadonlyMap<string, ReadonlyMap<string, KubeObject>>
}

export interface Recovery {
  readonly state: State
  /** Bytes of a torn end that were cut away. */
  readonly tornBytes: number
  /** Files that were read; older ones are left over from a compaction that did not finish. */
  readonly files: readonly string[]
}

interface Header {
  readonly format: number
  readonly kind: 'snapshot' | 'log'
  readonly version: number
}

/** One change: `o` null for a deletion. */
interface Entry {
  readonly v: number
  readonly c: string
  readonly k: string
  readonly o: KubeObject | null
}

export const fileName = (version: number, kind: Header['kind']): string =>
  `${String(version).padStart(16, '0')}.${kind}`

/** Payload of the first record of a file. */
export const header = (version: number, kind: Header['kind']): string => JSON.stringify({ format, kind, version })

/** Payload of a change. @param json the object, already serialized; null for a deletion */
export const entry = (version: number, collection: string, key: string, json: string | null): string =>
  `{"v":${version},"c":${JSON.stringify(collection)},"k":${JSON.stringify(key)},"o":${json ?? 'null'}}`

/**
 * Read a journal. A torn end of the last log is cut off, so that what is written next follows whole records.
 *
 * @throws JournalError naming file, place and what is wrong; nothing has been changed then
 */
export async function recover(directory: string): Promise<Recovery | null> {
  const names = (await readdir(directory)).filter((name) => /^\d{16}\.(snapshot|log)$/.test(name)).sort()
  const versionOf = (name: string): number => Number(name.slice(0, 16))
  const snapshot = names.filter((name) => name.endsWith('.snapshot')).at(-1)
  const logs = names.filter(
    (name) => name.endsWith('.log') && (snapshot === undefined || versionOf(name) >= versionOf(snapshot)),
  )
  if (snapshot === undefined && logs.length === 0) return null
  const collections = new Map<string, Map<string, KubeObject>>()
  let version = 0
  let tornBytes = 0
  const apply = (text: Buffer, file: string): void => {
    const { v, c, k, o } = parse<Entry>(text, file)
    if (!Number.isSafeInteger(v) || typeof c !== 'string' || typeof k !== 'string' || typeof o !== 'object') {
      throw new JournalError(`journal ${file}: expected a change, got ${text.toString().slice(0, 100)}`)
    }
    version = Math.max(version, v)
    let collection = collections.get(c)
    if (collection === undefined) collections.set(c, (collection = new Map<string, KubeObject>()))
    if (o === null) collection.delete(k)
    else collection.set(k, o)
  }
  for (const name of [...(snapshot === undefined ? [] : [snapshot]), ...logs]) {
    const path = join(directory, name)
    const bytes = await readFile(path)
    const { payloads, length } = decodeRecords(bytes, path, name === logs.at(-1))
    const [first, ...rest] = payloads
    if (first === undefined) {
      // Not even its header reached the disk.
      if (name !== logs.at(-1)) throw new JournalError(`journal ${path}: it has no header`)
    } else {
      checkHeader(parse<Header>(first, path), name, path)
      version = Math.max(version, versionOf(name))
      for (const payload of rest) apply(payload, path)
    }
    if (length < bytes.length) {
      tornBytes = bytes.length - length
      await cut(path, length)
    }
  }
  return version === 0 ? null : { state: { version, collections }, tornBytes, files: names }
}

function checkHeader(found: Partial<Header>, name: string, path: string): void {
  if (found.format !== format) {
    throw new JournalError(`journal ${path}: format ${String(found.format)}: expected ${format}`)
  }
  if (fileName(found.version ?? -1, found.kind ?? 'log') !== name) {
    throw new JournalError(`journal ${path}: its header is that of ${String(found.kind)} ${String(found.version)}`)
  }
}

function parse<T>(bytes: Buffer, path: string): T {
  try {
    return JSON.parse(bytes.toString()) as T
  } catch (error) {
    throw new JournalError(`journal ${path}: a record is no JSON: ${String(error)}`, { cause: error })
  }
}

async function cut(path: string, length: number): Promise<void> {
  const file = await open(path, 'r+')
  try {
    await file.truncate(length)
    await file.datasync()
  } finally {
    await file.close()
  }
}

/** Make names in a directory durable. */
export async function syncDirectory(directory: string): Promise<void> {
  const handle: FileHandle = await open(directory, 'r')
  try {
    await handle.sync()
  } finally {
    await handle.close()
  }
}
