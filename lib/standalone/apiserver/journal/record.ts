// Records of the journal's files, and how they are read back. Pure.
//
//   file     header record, then any number of change records
//   record   u32 length of the payload, u32 CRC-32 of the payload (both big-endian), payload: UTF-8 JSON
//
// A crash may leave the end of the last file torn: a record that is cut off, or whose last bytes never reached the disk. Such
// a tail was never acknowledged and is cut away. Anything else that cannot be read is damage: reading stops with an error,
// since what follows cannot be trusted and what is lost cannot be known.
import { crc32 } from 'node:zlib'

/** What a journal cannot be read for. The file is left as it is. */
export class JournalError extends Error {
  override readonly name = 'JournalError'
}

const HEAD = 8
/** No object is larger: bodies are limited to 3 MiB. */
const LONGEST = 64 * 1024 * 1024

/** One record as bytes. */
export function encodeRecord(json: string): Buffer {
  const bytes = Buffer.allocUnsafe(HEAD + Buffer.byteLength(json))
  bytes.write(json, HEAD)
  const payload = bytes.subarray(HEAD)
  bytes.writeUInt32BE(payload.length, 0)
  bytes.writeUInt32BE(crc32(payload), 4)
  return bytes
}

export interface Records {
  readonly payloads: readonly Buffer[]
  /** Where the last whole record ends. */
  readonly length: number
}

/**
 * The records of a file.
 *
 * @param file its name, for errors
 * @param mayBeTorn whether it is the last file, whose end a crash may have cut
 * @throws JournalError naming file, offset and what is wrong there
 */
export function decodeRecords(bytes: Buffer, file: string, mayBeTorn: boolean): Records {
  const payloads: Buffer[] = []
  let at = 0
  while (at < bytes.length) {
    const problem = problemAt(bytes, at)
    if (problem !== null) {
      if (mayBeTorn && isTail(bytes, at)) break
      throw new JournalError(
        `journal ${file}: byte ${at} of ${bytes.length}: ${problem}; restore the directory or remove it`,
      )
    }
    const end = at + HEAD + bytes.readUInt32BE(at)
    payloads.push(bytes.subarray(at + HEAD, end))
    at = end
  }
  return { payloads, length: at }
}

function problemAt(bytes: Buffer, at: number): string | null {
  if (bytes.length - at < HEAD) return `a record needs ${HEAD} bytes, there are ${bytes.length - at}`
  const length = bytes.readUInt32BE(at)
  if (length === 0 || length > LONGEST) return `a record of ${length} bytes: expected 1 to ${LONGEST}`
  if (bytes.length - at - HEAD < length)
    return `a record of ${length} bytes, of which ${bytes.length - at - HEAD} are there`
  const crc = crc32(bytes.subarray(at + HEAD, at + HEAD + length))
  const expected = bytes.readUInt32BE(at + 4)
  return crc === expected ? null : `CRC-32 ${crc.toString(16)}: expected ${expected.toString(16)}`
}

/**
 * Whether a record that cannot be read at `at` is the torn end of what was being written: no whole record follows anywhere. A
 * changed byte in the middle leaves good records behind it, whatever it did to the lengths.
 */
function isTail(bytes: Buffer, at: number): boolean {
  for (let next = at + 1; next + HEAD < bytes.length; next++) {
    // A record begins with two bytes that are nearly always zero; the check is exact, this only makes it cheap.
    if ((bytes[next] ?? 0) > LONGEST >>> 24 || bytes[next + HEAD] !== 0x7b) continue
    if (problemAt(bytes, next) === null) return false
  }
  return true
}
