// Device addresses <-> packed records (native/layout.h, AddrLayout).
import { familyBits, familyOf, type IPAddress } from '../ip/index.ts'
import { checkIndex, checkU32, checkU8, isGiven } from './check.ts'
import { AF_INET, AF_INET6, RT_SCOPE_UNIVERSE } from './constants.ts'
import { AddrLayout as L } from './layout.ts'
import type { Addr } from './types.ts'
import { getAddress, has, putAddress, putWord, type WordView, type WordWriter } from './words.ts'

/** What an address request says; an Addr of a dump is one. */
export interface AddrSpec {
  /** Device index. */
  readonly index: number
  readonly address: IPAddress
  readonly prefixLength: number
  /** IFA_F_*; default 0. In a delete they play no part. */
  readonly flags?: number
  /** RT_SCOPE_*; default universe. IPv6 derives its own. */
  readonly scope?: number
  /** IPv4 only; absent or null for none (`ip addr add` adds none either unless told `brd +`). */
  readonly broadcast?: number | null
}

/** Set by the kernel, never asked for. */
const STATE_FLAGS = 0x01 | 0x08 | 0x20 | 0x40 | 0x80

/**
 * Appends the address's record.
 *
 * @throws RangeError for a number out of range
 */
export function packAddr(out: WordWriter, addr: AddrSpec): void {
  const family = familyOf(addr.address)
  const { prefixLength } = addr
  if (!Number.isInteger(prefixLength) || prefixLength < 0 || prefixLength > familyBits(family)) {
    throw new RangeError(`prefixLength is ${prefixLength}, expected 0 to ${familyBits(family)}`)
  }
  checkIndex('index', addr.index)
  const at = out.reserve(L.Words)
  const scope = checkU8('scope', addr.scope ?? RT_SCOPE_UNIVERSE)
  out.words[at + L.Header] = (family === 4 ? AF_INET : AF_INET6) | (prefixLength << 8) | (scope << 16)
  out.words[at + L.Index] = addr.index
  putWord(out, at, L.Flags, L.HasFlags, checkU32('flags', addr.flags ?? 0) & ~STATE_FLAGS)
  putAddress(out, at, L.Local, L.HasLocal, addr.address)
  putAddress(out, at, L.Address, L.HasAddress, addr.address)
  if (family === 4 && isGiven(addr.broadcast)) {
    putWord(out, at, L.Broadcast, L.HasBroadcast, checkU32('broadcast', addr.broadcast))
  }
}

/** The address of the record at word `at`. */
export function unpackAddr(view: WordView, at: number): Addr {
  const { words } = view
  const header = words[at + L.Header] ?? 0
  // IFA_ADDRESS is the peer's on a point-to-point device; the device's own is IFA_LOCAL, which IPv6 sends only then.
  const address = getAddress(view, at, L.Local, L.HasLocal) ?? getAddress(view, at, L.Address, L.HasAddress)
  return {
    index: words[at + L.Index] ?? 0,
    address: address ?? 0,
    prefixLength: (header >>> 8) & 0xff,
    flags: words[at + L.Flags] ?? 0,
    scope: (header >>> 16) & 0xff,
    broadcast: has(view, at, L.HasBroadcast) ? (words[at + L.Broadcast] ?? 0) : null,
  }
}
