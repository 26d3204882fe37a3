// The packed records that cross the boundary to the addon, in 32-bit words: native/layout.h says what each word holds, this
// file states the same numbers, and test/unit/netlink/layout.test.ts compares the two.
//
// A stream (requests, notifications, link dumps) puts STREAM_HEADER words before each record: type | flags << 16, length; a
// record of odd length is followed by a word of padding.

export const STREAM_HEADER = 2
/** Word of each record: bit n says field n is present, bit n + 16 that its address has 16 bytes. */
export const PRESENCE = 1

export const RouteLayout = {
  Header: 0,
  Protocol: 2,
  Flags: 3,
  Table: 4,
  Oif: 5,
  Metric: 6,
  NexthopId: 7,
  Dst: 8,
  Gateway: 12,
  PrefSrc: 16,
  Words: 20,
  HasDst: 0,
  HasTable: 1,
  HasOif: 2,
  HasMetric: 3,
  HasNexthopId: 4,
  HasGateway: 5,
  HasPrefSrc: 6,
  HasVia: 7,
} as const

export const RuleLayout = {
  Header: 0,
  Flags: 2,
  Foreign: 3,
  Priority: 4,
  Table: 5,
  Fwmark: 6,
  Fwmask: 7,
  Src: 8,
  Dst: 12,
  Protocol: 16,
  Words: 18,
  HasSrc: 0,
  HasDst: 1,
  HasPriority: 2,
  HasTable: 3,
  HasFwmark: 4,
  HasFwmask: 5,
  HasProtocol: 6,
} as const

export const NeighLayout = {
  Header: 0,
  Index: 2,
  State: 3,
  Mac: 4,
  Protocol: 6,
  NexthopId: 7,
  Dst: 8,
  Words: 12,
  HasDst: 0,
  HasMac: 1,
  HasProtocol: 2,
  HasNexthopId: 3,
} as const

export const AddrLayout = {
  Header: 0,
  Index: 2,
  Flags: 3,
  Broadcast: 4,
  Protocol: 5,
  Lifetime: 6,
  Local: 8,
  Address: 12,
  Words: 16,
  HasLocal: 0,
  HasAddress: 1,
  HasFlags: 2,
  HasBroadcast: 3,
  HasProtocol: 4,
  HasLifetime: 5,
} as const
