// What the kernel refused, with what was asked and its own words. Match errors by the predicates, not by their text.
import { getSystemErrorName } from 'node:util'

/** A refused request or a failed system call. */
export class NetlinkError extends Error {
  override readonly name = 'NetlinkError'
  /** "EEXIST", "ENODEV", ... */
  readonly code: string
  /** Positive errno. */
  readonly errno: number
  /** What was tried: "route replace 10.0.0.0/24 dev 7 table 39999". */
  readonly operation: string
  /** The kernel's extended-ACK text; empty when it gave none. */
  readonly extack: string
  /** Byte offset, from the message's header, of the attribute the kernel objects to; 0 when it named none. */
  readonly offset: number

  constructor(errno: number, operation: string, extack = '', offset = 0) {
    const code = errorCode(errno)
    super(`${operation}: ${extack === '' ? code : `${extack} (${code})`}`)
    this.code = code
    this.errno = errno
    this.operation = operation
    this.extack = extack
    this.offset = offset
  }
}

function errorCode(errno: number): string {
  const name = getSystemErrorName(-errno)
  // Not all of Linux's numbers are libuv's.
  return name.startsWith('E') ? name : `errno ${errno}`
}

const codes = (...names: string[]): ReadonlySet<string> => new Set(names)
const NOT_FOUND = codes('ENOENT', 'ESRCH', 'ENODEV', 'ENXIO', 'EADDRNOTAVAIL')

/** The object, its device or its table is not there: ENOENT, ESRCH (routes), ENODEV, ENXIO, EADDRNOTAVAIL (addresses). */
export function isNotFound(error: unknown): boolean {
  return error instanceof NetlinkError && NOT_FOUND.has(error.code)
}

/** The object is already there: EEXIST. */
export function isAlreadyExists(error: unknown): boolean {
  return error instanceof NetlinkError && error.code === 'EEXIST'
}

/** The plain Error of the addon as a NetlinkError; `operation` says more than the addon knows. */
export function asNetlinkError(error: unknown, operation?: string): Error {
  if (!(error instanceof Error)) return new Error(`${operation ?? 'netlink'}: ${String(error)}`)
  const { errno, operation: native, extack, offset } = error as Partial<NetlinkError>
  if (typeof errno !== 'number' || error instanceof NetlinkError) return error
  const what = operation === undefined ? (native ?? 'netlink') : operation
  const detail = extack !== undefined && extack !== '' ? extack : operation === undefined ? '' : (native ?? '')
  return new NetlinkError(errno, what, detail, offset)
}
