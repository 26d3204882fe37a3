// Policy rules <-> packed records (native/layout.h, RuleLayout).
import { familyBits, familyOf, type Family, type IPAddress, type Prefix } from '../ip/index.ts'
import { checkU32, checkU8, isGiven } from './check.ts'
import { AF_INET, AF_INET6, FR_ACT_TO_TBL } from './constants.ts'
import { RuleLayout as L } from './layout.ts'
import type { Rule } from './types.ts'
import { getAddress, has, putAddress, putWord, type WordView, type WordWriter } from './words.ts'

/** What a rule request says; a Rule of a dump is one. In a delete, what is absent matches anything. */
export interface RuleSpec {
  readonly family: Family
  /** Absent: the kernel takes one below the lowest (never what a daemon wants). */
  readonly priority?: number
  readonly src?: Prefix | null
  readonly dst?: Prefix | null
  readonly fwmark?: number
  /** Mark bits looked at; 0 or absent for none. */
  readonly fwmask?: number
  readonly table?: number
  /** FR_ACT_*; default "to table". */
  readonly action?: number
  /** RTPROT_* of the creator. */
  readonly protocol?: number
}

function lengthOf(field: string, family: Family, prefix: Prefix | null | undefined): number {
  if (!isGiven(prefix)) return 0
  if (familyOf(prefix.address) !== family) throw new RangeError(`${field} is not an IPv${family} prefix`)
  if (prefix.length < 0 || prefix.length > familyBits(family)) {
    throw new RangeError(`${field}.length is ${prefix.length}, expected at most ${familyBits(family)}`)
  }
  return prefix.length
}

/**
 * Appends the rule's record.
 *
 * @throws RangeError for a number out of range or a prefix of the other family
 */
export function packRule(out: WordWriter, rule: RuleSpec): void {
  const srcLength = lengthOf('src', rule.family, rule.src)
  const dstLength = lengthOf('dst', rule.family, rule.dst)
  const at = out.reserve(L.Words)
  const action = checkU8('action', rule.action ?? FR_ACT_TO_TBL)
  const family = rule.family === 4 ? AF_INET : AF_INET6
  out.words[at + L.Header] = family | (srcLength << 8) | (dstLength << 16) | (action << 24)
  if (isGiven(rule.src) && srcLength > 0) putAddress(out, at, L.Src, L.HasSrc, rule.src.address)
  if (isGiven(rule.dst) && dstLength > 0) putAddress(out, at, L.Dst, L.HasDst, rule.dst.address)
  if (rule.priority !== undefined) putWord(out, at, L.Priority, L.HasPriority, checkU32('priority', rule.priority))
  if (rule.table) putWord(out, at, L.Table, L.HasTable, checkU32('table', rule.table))
  if (rule.fwmask) {
    // Always together: a mark without a mask would mean the mask 0xffffffff.
    putWord(out, at, L.Fwmark, L.HasFwmark, checkU32('fwmark', rule.fwmark ?? 0))
    putWord(out, at, L.Fwmask, L.HasFwmask, checkU32('fwmask', rule.fwmask))
  }
  if (rule.protocol) putWord(out, at, L.Protocol, L.HasProtocol, checkU8('protocol', rule.protocol))
}

function prefix(address: IPAddress | null, length: number): Prefix | null {
  return address === null ? null : { address, length }
}

/** The rule of the record at word `at`. */
export function unpackRule(view: WordView, at: number): Rule {
  const { words } = view
  const header = words[at + L.Header] ?? 0
  return {
    family: (header & 0xff) === AF_INET ? 4 : 6,
    priority: words[at + L.Priority] ?? 0,
    src: prefix(getAddress(view, at, L.Src, L.HasSrc), (header >>> 8) & 0xff),
    dst: prefix(getAddress(view, at, L.Dst, L.HasDst), (header >>> 16) & 0xff),
    fwmark: words[at + L.Fwmark] ?? 0,
    fwmask: has(view, at, L.HasFwmask) ? (words[at + L.Fwmask] ?? 0) : 0,
    table: words[at + L.Table] ?? 0,
    action: header >>> 24,
    protocol: words[at + L.Protocol] ?? 0,
    foreignSelector: words[at + L.Foreign] !== 0,
  }
}
