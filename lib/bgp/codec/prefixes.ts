// Prefixes on the wire: a length in bits, then as many bytes as hold them (RFC 4271 §4.3, RFC 4760 §5).
import { readAddress, type Family, type Prefix } from '../../ip/index.ts'
import { ERROR_CODE, SessionError, UPDATE_ERROR } from './errors.ts'

const ipv6 = Buffer.alloc(16)

/**
 * The prefixes in bytes[start, end). Bits beyond a prefix's length have no meaning and are dropped.
 *
 * @throws SessionError "invalid network field": where the next prefix begins cannot be known any more (RFC 7606 §5.3)
 */
export function decodePrefixes(bytes: Buffer, start: number, end: number, family: Family): Prefix[] {
  const prefixes: Prefix[] = []
  const most = family === 4 ? 32 : 128
  let at = start
  while (at < end) {
    const length = bytes[at] ?? 0
    const count = (length + 7) >> 3
    if (length > most) throw invalid(`a prefix of /${length}, expected at most /${most}`)
    if (at + 1 + count > end) throw invalid(`a prefix of /${length} is cut short`)
    prefixes.push({ address: family === 4 ? ipv4At(bytes, at + 1, length) : ipv6At(bytes, at + 1, length), length })
    at += 1 + count
  }
  return prefixes
}

function invalid(detail: string): SessionError {
  return new SessionError(ERROR_CODE.update, UPDATE_ERROR.invalidNetwork, detail)
}

// Byte by byte without a loop or a copy: this runs once for every route of a full table.
function ipv4At(bytes: Buffer, at: number, length: number): number {
  if (length === 0) return 0
  let value = (bytes[at] ?? 0) * 0x1000000
  if (length > 8) value += (bytes[at + 1] ?? 0) << 16
  if (length > 16) value += (bytes[at + 2] ?? 0) << 8
  if (length > 24) value += bytes[at + 3] ?? 0
  const host = 32 - length
  return host === 0 ? value : ((value >>> host) << host) >>> 0
}

function ipv6At(bytes: Buffer, at: number, length: number): bigint {
  const count = (length + 7) >> 3
  ipv6.fill(0)
  ipv6.set(bytes.subarray(at, at + count))
  const spare = count * 8 - length
  if (spare > 0) ipv6[count - 1] = ((ipv6[count - 1] ?? 0) >> spare) << spare
  return readAddress(ipv6, 0, 6) as bigint
}
