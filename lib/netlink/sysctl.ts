// Kernel settings of a network namespace, read and written from a thread inside it.
import { addon } from './addon.ts'
import { asNetlinkError, NetlinkError } from './errors.ts'
import type { NetworkNamespace } from './namespace.ts'

export interface SysctlSetting {
  /** "net/ipv4/conf/eth0.100/proxy_arp"; with dots instead of slashes no name may contain a dot. */
  readonly path: string
  readonly value: string | number
}

/**
 * A path below /proc/sys, of the network part only: the rest belongs to the machine, not to the namespace.
 *
 * @throws RangeError for anything else
 */
function normalize(path: string): string {
  const plain = path.startsWith('/proc/sys/') ? path.slice('/proc/sys/'.length) : path
  const slashed = plain.includes('/') ? plain : plain.replaceAll('.', '/')
  const parts = slashed.split('/')
  if (parts[0] !== 'net' || parts.length < 2 || parts.some((part) => part === '' || part === '.' || part === '..')) {
    throw new RangeError(`sysctl path is ${JSON.stringify(path)}, expected net/...`)
  }
  return slashed
}

async function run(
  namespace: NetworkNamespace,
  paths: readonly string[],
  values: readonly string[] | null,
): Promise<readonly (Error | string | null)[]> {
  const plain = paths.map(normalize)
  try {
    return await addon().sysctl(namespace.fd, plain, values)
  } catch (error) {
    throw asNetlinkError(error)
  }
}

/**
 * Equivalent to: `nsenter --net=NS sysctl -n PATH`
 *
 * @returns the text without its line end
 * @throws NetlinkError ENOENT when the kernel has no such setting
 */
export async function sysctlRead(namespace: NetworkNamespace, path: string): Promise<string> {
  const [value] = await run(namespace, [path], null)
  if (typeof value === 'string') return value
  throw asNetlinkError(value)
}

/**
 * Equivalent to: `nsenter --net=NS sysctl -w PATH=VALUE`
 *
 * @throws NetlinkError with the kernel's reason (EINVAL for a value it refuses)
 */
export async function sysctlWrite(namespace: NetworkNamespace, path: string, value: string | number): Promise<void> {
  const [error] = await sysctlWriteAll(namespace, [{ path, value }])
  if (error) throw error
}

/**
 * Reads many at once.
 *
 * @returns per path its value, null when the kernel has no such setting, or the error
 */
export async function sysctlReadAll(
  namespace: NetworkNamespace,
  paths: readonly string[],
): Promise<readonly (string | null | Error)[]> {
  const results = await run(namespace, paths, null)
  return results.map((result) => {
    if (!(result instanceof Error)) return result
    const error = asNetlinkError(result)
    return error instanceof NetlinkError && error.code === 'ENOENT' ? null : error
  })
}

/**
 * Writes many at once, in order; a refused one does not stop the rest.
 *
 * @returns per setting null or the error
 */
export async function sysctlWriteAll(
  namespace: NetworkNamespace,
  settings: readonly SysctlSetting[],
): Promise<readonly (Error | null)[]> {
  const paths = settings.map(({ path }) => path)
  const results = await run(
    namespace,
    paths,
    settings.map(({ value }) => String(value)),
  )
  return results.map((result) => (result instanceof Error ? asNetlinkError(result) : null))
}
