// AS paths (RFC 4271 §4.3, §5.1.2), and how four-octet numbers pass through speakers of two octets (RFC 6793).
import { AS_TRANS } from './constants.ts'
import type { Writer } from './writer.ts'

export interface AsSegment {
  /** A set stands for the unordered rest of an aggregated path; it counts as one hop. */
  readonly type: 'set' | 'sequence'
  readonly asns: readonly number[]
}

/** The nearest AS first; empty for a route of the own AS. */
export type AsPath = readonly AsSegment[]

const SET = 1
const SEQUENCE = 2
/** What one octet of count holds. */
const MOST_IN_SEGMENT = 255

/**
 * Null when it is malformed (RFC 7606 §7.2): an unknown segment type, one that is empty or too long, AS 0 (RFC 7607). Confederation
 * segments are unknown: this speaker belongs to no confederation, so a peer may not send them (RFC 5065 §5).
 */
export function decodeAsPath(value: Buffer, fourOctet: boolean): AsPath | null {
  const path: AsSegment[] = []
  const size = fourOctet ? 4 : 2
  let at = 0
  while (at < value.length) {
    const type = value[at] ?? 0
    const count = value[at + 1] ?? 0
    at += 2
    if ((type !== SET && type !== SEQUENCE) || count === 0 || at + count * size > value.length) return null
    const asns: number[] = []
    for (let i = 0; i < count; i++, at += size) {
      const as = fourOctet ? value.readUInt32BE(at) : value.readUInt16BE(at)
      if (as === 0) return null
      asns.push(as)
    }
    path.push({ type: type === SET ? 'set' : 'sequence', asns })
  }
  return path
}

/** Writes the attribute's value; with two octets, numbers that do not fit become AS_TRANS. */
export function encodeAsPath(writer: Writer, path: AsPath, fourOctet: boolean): void {
  for (const { type, asns } of path) {
    for (let from = 0; from < asns.length; from += MOST_IN_SEGMENT) {
      const part = asns.slice(from, from + MOST_IN_SEGMENT)
      writer.u8(type === 'set' ? SET : SEQUENCE)
      writer.u8(part.length)
      for (const as of part) {
        if (fourOctet) writer.u32(as)
        else writer.u16(as > 0xffff ? AS_TRANS : as)
      }
    }
  }
}

/** Hops, as route selection counts them (RFC 4271 §9.1.2.2 a): a set is one. */
export function pathLength(path: AsPath): number {
  return path.reduce((sum, { type, asns }) => sum + (type === 'set' ? 1 : asns.length), 0)
}

export function pathContains(path: AsPath, as: number): boolean {
  return path.some(({ asns }) => asns.includes(as))
}

export function needsFourOctets(path: AsPath): boolean {
  return path.some(({ asns }) => asns.some((as) => as > 0xffff))
}

/** The AS the route came from: the first of a leading sequence, null for an empty path or a leading set. */
export function firstAs(path: AsPath): number | null {
  const [first] = path
  return first?.type === 'sequence' ? (first.asns[0] ?? null) : null
}

/**
 * The true path out of AS_PATH and AS4_PATH of a two-octet speaker (RFC 6793 §4.2.3): hops that speakers of two octets put before
 * AS4_PATH are taken from AS_PATH.
 */
export function mergeAs4Path(path: AsPath, as4: AsPath): AsPath {
  let missing = pathLength(path) - pathLength(as4)
  if (missing < 0) return path
  const merged: AsSegment[] = []
  for (const segment of path) {
    if (missing <= 0) break
    const taken = segment.type === 'set' ? segment.asns : segment.asns.slice(0, missing)
    merged.push({ type: segment.type, asns: taken })
    missing -= segment.type === 'set' ? 1 : taken.length
  }
  const last = merged.at(-1)
  const [first, ...rest] = as4
  if (last?.type === 'sequence' && first?.type === 'sequence') {
    merged[merged.length - 1] = { type: 'sequence', asns: [...last.asns, ...first.asns] }
    return [...merged, ...rest]
  }
  return [...merged, ...as4]
}

/** "64512 64513 {65000 65001}". */
export function formatAsPath(path: AsPath): string {
  return path.map(({ type, asns }) => (type === 'set' ? `{${asns.join(' ')}}` : asns.join(' '))).join(' ')
}
