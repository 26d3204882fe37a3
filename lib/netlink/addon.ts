// Finds and loads the addon, and says what it exports. The only file that knows it is native.
import { existsSync } from 'node:fs'
import { createRequire } from 'node:module'
import { dirname, join } from 'node:path'
import { fileURLToPath } from 'node:url'

/** A refused request: numbers are triples of (position, errno, attribute offset), with a text each. */
export type NativeRefusals = readonly [numbers: Uint32Array, texts: readonly string[]]

export interface NativeSocket {
  batch(words: Uint32Array, size: number, count: number): Promise<NativeRefusals | null>
  query(
    type: number,
    flags: number,
    body: Uint32Array,
    plain: Uint32Array | null,
    conditions: Uint32Array,
  ): Promise<Uint32Array>
  interruptedDumps(): number
  close(): void
}

/** native/addon.cc. Errors are plain Errors with errno, operation, extack and offset. */
export interface Addon {
  readonly Socket: new (namespace: number) => NativeSocket
  readonly layout: Readonly<Record<string, number>>
  openNamespace(path: string): [fd: number, inode: number]
  closeDescriptor(fd: number): void
  createNamespace(path: string): Promise<void>
  deleteNamespace(path: string): Promise<void>
  sysctl(
    namespace: number,
    paths: readonly string[],
    values: readonly string[] | null,
  ): Promise<readonly (Error | string | null)[]>
}

/** HYBRIDNET_ADDON, or build/Release/hybridnet.node in the nearest folder above (sources and bundle alike). */
function addonPath(): string {
  const named = process.env['HYBRIDNET_ADDON']
  if (named !== undefined && named !== '') return named
  const start = dirname(fileURLToPath(import.meta.url))
  for (let folder = start; ; folder = dirname(folder)) {
    const candidate = join(folder, 'build/Release/hybridnet.node')
    if (existsSync(candidate)) return candidate
    if (folder === dirname(folder)) break
  }
  throw new Error(`no build/Release/hybridnet.node above ${start}: run \`npm run build:native\` or set HYBRIDNET_ADDON`)
}

let loaded: Addon | undefined

/**
 * The addon, loaded at first use so that programs which never touch a kernel start without it.
 *
 * @throws Error when it has not been built
 */
export function addon(): Addon {
  loaded ??= createRequire(import.meta.url)(addonPath()) as Addon
  return loaded
}
