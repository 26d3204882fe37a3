// Path attributes as data (RFC 4271 §5; RFC 1997, 4456, 8092).
import type { AsPath } from './as-path.ts'

/** 0 IGP, 1 EGP, 2 incomplete. */
export type Origin = 0 | 1 | 2

export interface Aggregator {
  readonly as: number
  readonly address: number
}

/** RFC 8092: three numbers of 32 bits. */
export type LargeCommunity = readonly [globalAdministrator: number, data1: number, data2: number]

/** An attribute this speaker does not interpret, in bytes of its own. */
export interface RawAttribute {
  readonly code: number
  /** Bits of FLAG, without that of the length's size. */
  readonly flags: number
  readonly value: Uint8Array
}

/** Of one UPDATE, shared by its routes. Next hops are with the routes. */
export interface PathAttributes {
  readonly origin?: Origin
  readonly asPath?: AsPath
  readonly med?: number
  readonly localPref?: number
  readonly atomicAggregate?: true
  readonly aggregator?: Aggregator
  readonly communities?: readonly number[]
  readonly originatorId?: number
  readonly clusterList?: readonly number[]
  readonly largeCommunities?: readonly LargeCommunity[]
  /** Optional transitive ones, extended communities among them; optional non-transitive ones that are unknown are dropped. */
  readonly others?: readonly RawAttribute[]
}
