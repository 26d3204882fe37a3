// DER (X.690), encoding only, as much of it as certificates need.

/** One encoded value: tag, length, content. */
export function tlv(tag: number, ...content: readonly Buffer[]): Buffer {
  const body = Buffer.concat(content)
  return Buffer.concat([Buffer.from([tag]), lengthOf(body.length), body])
}

function lengthOf(length: number): Buffer {
  if (length < 0x80) return Buffer.from([length])
  const bytes: number[] = []
  for (let rest = length; rest > 0; rest = Math.floor(rest / 256)) bytes.unshift(rest % 256)
  return Buffer.from([0x80 | bytes.length, ...bytes])
}

export const sequence = (...content: readonly Buffer[]): Buffer => tlv(0x30, ...content)
export const set = (...content: readonly Buffer[]): Buffer => tlv(0x31, ...content)
export const boolean = (value: boolean): Buffer => tlv(0x01, Buffer.from([value ? 0xff : 0]))
export const octetString = (content: Buffer): Buffer => tlv(0x04, content)
export const utf8String = (text: string): Buffer => tlv(0x0c, Buffer.from(text, 'utf8'))

/** A non-negative integer given as big-endian bytes. */
export function integer(bytes: Buffer): Buffer {
  let start = 0
  while (start < bytes.length - 1 && bytes[start] === 0) start++
  const body = bytes.subarray(start)
  // A leading one bit would make it negative.
  return (body[0] ?? 0) >= 0x80
    ? tlv(0x02, Buffer.from([0]), body)
    : tlv(0x02, body.length === 0 ? Buffer.from([0]) : body)
}

/** @param unused bits at the end that do not count, 0 to 7 */
export const bitString = (content: Buffer, unused = 0): Buffer => tlv(0x03, Buffer.from([unused]), content)

/** A dotted object identifier. */
export function oid(dotted: string): Buffer {
  const [first = 0, second = 0, ...rest] = dotted.split('.').map(Number)
  const bytes: number[] = []
  for (const arc of [first * 40 + second, ...rest]) {
    const groups = [arc % 128]
    for (let left = Math.floor(arc / 128); left > 0; left = Math.floor(left / 128)) groups.unshift((left % 128) | 0x80)
    bytes.push(...groups)
  }
  return tlv(0x06, Buffer.from(bytes))
}

/** UTCTime until 2049, GeneralizedTime after, as RFC 5280 §4.1.2.5 wants. */
export function time(date: Date): Buffer {
  const digits = date.toISOString().replaceAll(/[-:T]|\.\d+Z$/g, '')
  return date.getUTCFullYear() < 2050
    ? tlv(0x17, Buffer.from(`${digits.slice(2)}Z`))
    : tlv(0x18, Buffer.from(`${digits}Z`))
}

/** A context-specific tag; `constructed` for one around other values. */
export const context = (number: number, constructed: boolean, ...content: readonly Buffer[]): Buffer =>
  tlv(0x80 | (constructed ? 0x20 : 0) | number, ...content)
