// Neighbours, proxy neighbours and FDB entries <-> packed records (native/layout.h, NeighLayout).
import { familyOf, type IPAddress } from '../ip/index.ts'
import { checkIndex, checkMac, checkU32, checkU8, isGiven } from './check.ts'
import { AF_BRIDGE, AF_INET, AF_INET6, NTF_PROXY, NTF_SELF, NUD_NONE, NUD_PERMANENT } from './constants.ts'
import { NeighLayout as L, PRESENCE } from './layout.ts'
import type { Neigh } from './types.ts'
import { getAddress, has, putAddress, putWord, wordView, type WordView, type WordWriter } from './words.ts'

/** What a neighbour request says; a Neigh of a dump (kind inet or inet6) is one. */
export interface NeighSpec {
  /** Device index. */
  readonly index: number
  readonly dst: IPAddress | null
  readonly mac?: number | null
  /** NUD_*; default permanent, none for a proxy entry. */
  readonly state?: number
  /** NTF_*; NTF_PROXY (8) makes it a proxy entry. */
  readonly flags?: number
  /** RTPROT_* of the creator (NDA_PROTOCOL). */
  readonly protocol?: number
}

/** What an FDB request says; a Neigh of `fdb()` is one. */
export interface FdbSpec {
  /** Index of the VXLAN device or bridge port. */
  readonly index: number
  readonly mac: number | null
  /** Remote VTEP; absent or null for none. */
  readonly dst?: IPAddress | null
  /** NUD_*; default permanent. */
  readonly state?: number
  /** NTF_*; default self. */
  readonly flags?: number
  /** A nexthop group instead of dst (NDA_NH_ID). */
  readonly nexthopId?: number
}

function putMac(out: WordWriter, at: number, mac: number): void {
  checkMac('mac', mac)
  out.words[at + L.Mac] = Math.floor(mac / 0x1_0000_0000)
  out.words[at + L.Mac + 1] = mac >>> 0
  out.words[at + PRESENCE] = (out.words[at + PRESENCE] ?? 0) | (1 << L.HasMac)
}

/**
 * Appends the neighbour's record.
 *
 * @throws RangeError for a number out of range or a missing address
 */
export function packNeigh(out: WordWriter, neigh: NeighSpec): void {
  if (neigh.dst === null) throw new RangeError('dst is null, expected the address of the neighbour')
  checkIndex('index', neigh.index)
  const at = out.reserve(L.Words)
  const flags = checkU8('flags', neigh.flags ?? 0)
  const proxy = (flags & NTF_PROXY) !== 0
  out.words[at + L.Header] = (familyOf(neigh.dst) === 4 ? AF_INET : AF_INET6) | (flags << 8)
  out.words[at + L.Index] = neigh.index
  out.words[at + L.State] = checkU32('state', neigh.state ?? (proxy ? NUD_NONE : NUD_PERMANENT))
  putAddress(out, at, L.Dst, L.HasDst, neigh.dst)
  if (isGiven(neigh.mac) && !proxy) putMac(out, at, neigh.mac)
  if (neigh.protocol) putWord(out, at, L.Protocol, L.HasProtocol, checkU8('protocol', neigh.protocol))
}

/**
 * Appends the FDB entry's record.
 *
 * @throws RangeError for a number out of range or a missing MAC
 */
export function packFdb(out: WordWriter, entry: FdbSpec): void {
  if (entry.mac === null) throw new RangeError('mac is null, expected the MAC of the FDB entry')
  checkIndex('index', entry.index)
  const at = out.reserve(L.Words)
  out.words[at + L.Header] = AF_BRIDGE | (checkU8('flags', entry.flags ?? NTF_SELF) << 8)
  out.words[at + L.Index] = entry.index
  out.words[at + L.State] = checkU32('state', entry.state ?? NUD_PERMANENT)
  putMac(out, at, entry.mac)
  if (entry.nexthopId) putWord(out, at, L.NexthopId, L.HasNexthopId, checkU32('nexthopId', entry.nexthopId))
  else if (isGiven(entry.dst)) putAddress(out, at, L.Dst, L.HasDst, entry.dst)
}

/** Appends the record that means every entry of the device. */
export function packFdbFlush(out: WordWriter, index: number): void {
  checkIndex('index', index)
  const at = out.reserve(L.Words)
  out.words[at + L.Header] = AF_BRIDGE | (NTF_SELF << 8)
  out.words[at + L.Index] = index
}

/** The entry of the record at word `at`. */
export function unpackNeigh(view: WordView, at: number): Neigh {
  const { words } = view
  const header = words[at + L.Header] ?? 0
  const family = header & 0xff
  return {
    kind: family === AF_INET ? 'inet' : family === AF_INET6 ? 'inet6' : 'bridge',
    index: words[at + L.Index] ?? 0,
    dst: getAddress(view, at, L.Dst, L.HasDst),
    mac: has(view, at, L.HasMac) ? (words[at + L.Mac] ?? 0) * 0x1_0000_0000 + (words[at + L.Mac + 1] ?? 0) : null,
    state: words[at + L.State] ?? 0,
    flags: (header >>> 8) & 0xff,
  }
}

/** The entries of a flat dump. */
export function* unpackNeighbours(words: Uint32Array): Generator<Neigh> {
  const view = wordView(words)
  for (let at = 0; at < words.length; at += L.Words) yield unpackNeigh(view, at)
}
