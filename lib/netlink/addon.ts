// Finds and loads the addon, and says what it exports. The only file that knows it is native.
import { existsSync } from 'node:fs'
import { createRequire } from 'node:module'
import { dirname, join } from 'node:path'
import { fileURLToPath } from 'node:url'

/** A refused request: numbers are triples of (position, errno, attribute offset), with a text each. */
export type NativeRefusals = readonly [numbers: Uint32Array, texts: readonly string[]]

export interface NativeSocket {
  batch(words: Uint32Array, size: number, count: number): Promise<NativeRefusals | null>
  /** With `onPiece` a long dump comes in pieces, the last as the result; null voids those before (it starts again). */
  query(
    type: number,
    flags: number,
    body: Uint32Array,
    plain: Uint32Array | null,
    conditions: Uint32Array,
    onPiece?: (words: Uint32Array | null) => void,
  ): Promise<Uint32Array>
  interruptedDumps(): number
  close(): void
}

export interface NativeSubscription {
  close(): void
}

export interface NativeResolver extends NativeSubscription {
  setLink(index: number): void
  /** `count` records of NeighLayout with dst and MAC. */
  set(words: Uint32Array, count: number): void
  /** `count` records of NeighLayout with dst. */
  erase(words: Uint32Array, count: number): number
  stats(): Float64Array
}

export interface NativePacketSocket extends NativeSubscription {
  send(frame: Uint8Array): void
  dropped(): number
}

export interface NativeTcpOptions {
  readonly ttl: number
  readonly minTtl: number
  readonly onlyV6: boolean
  readonly md5: readonly (readonly [address: Uint8Array, prefixLength: number, key: string])[]
}

/** native/addon.cc. Errors are plain Errors with errno, operation, extack and offset. */
export interface Addon {
  readonly Socket: new (namespace: number) => NativeSocket
  readonly NftMonitor: new (
    namespace: number,
    tables: readonly string[],
    receiveBytes: number,
    deliver: (commits: number, lost: boolean, errno: number) => void,
  ) => NativeSubscription
  readonly Monitor: new (
    namespace: number,
    groups: number,
    receiveBytes: number,
    queueBytes: number,
    onWake: (words: Uint32Array, loss: number, errno: number) => void,
  ) => NativeSubscription
  readonly Resolver: new (namespace: number, onMisses: (words: Uint32Array) => void) => NativeResolver
  readonly PacketSocket: new (
    namespace: number,
    index: number,
    etherType: number,
    allMulticast: boolean,
    filter: Uint8Array,
    onFrames: (frames: Buffer[]) => void,
  ) => NativePacketSocket
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
  listenTcp(namespace: number, address: Uint8Array, port: number, options: NativeTcpOptions): Promise<number>
  connectTcp(
    namespace: number,
    address: Uint8Array,
    port: number,
    scope: number,
    local: Uint8Array | null,
    milliseconds: number,
    options: NativeTcpOptions,
  ): Promise<number>
  setTcpOptions(fd: number, isV6: boolean, options: NativeTcpOptions): void
  runCommand(
    namespace: number,
    command: readonly string[],
    environment: readonly string[],
    input: string,
    milliseconds: number,
  ): Promise<[status: number, stdout: string, stderr: string]>
  ping(namespace: number, address: Uint8Array, scope: number, milliseconds: number): Promise<number | null>
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
