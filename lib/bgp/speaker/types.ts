// What a speaker is asked for and what it tells.
import type { Family, IPAddress } from '../../ip/index.ts'
import type { NetworkNamespace } from '../../netlink/index.ts'
import type { NextHop } from '../codec/index.ts'
import type { PeerState } from '../fsm/index.ts'
import type { GatewayChange } from '../rib/index.ts'

export interface PeerConfig {
  readonly address: IPAddress
  readonly as: number
  /** Default 179. */
  readonly port?: number
  /** Source address of connections; default the kernel's choice. */
  readonly localAddress?: IPAddress
  /** Device of a link-local peer. */
  readonly index?: number
  /** Wait for the peer to connect. Default false. */
  readonly passive?: boolean
  /** TCP-MD5 (RFC 2385), 1 to 80 bytes; never appears in errors or status. */
  readonly password?: string
  /** Seconds; 0 or at least 3. Default 90. */
  readonly holdTime?: number
  /** Seconds, at most; default 5. */
  readonly connectRetryTime?: number
  /** Default both. */
  readonly families?: readonly Family[]
  /** GTSM (RFC 5082): the peer is a neighbour and sends with TTL 255, like this side. Excludes `multihop`. Default false. */
  readonly ttlSecurity?: boolean
  /** Routers on the way to an external peer, plus one. Default 1: directly connected. */
  readonly multihop?: number
  /** Seconds, 0 to 4095, that the peer keeps our routes for when we are gone; 0 turns graceful restart off. Default 300. */
  readonly gracefulRestartTime?: number
  /** Seconds, 24 bits, after those (RFC 9494); 0, the default, turns it off. */
  readonly longLivedTime?: number
  /** Routes taken as gateways. Default `none`. */
  readonly accept?: 'none' | 'default' | 'all'
  /** Default 100,000. */
  readonly maxPrefixes?: number
}

export interface PeerStatus {
  readonly address: IPAddress
  readonly as: number
  readonly state: PeerState
  /** Milliseconds since 1970; null when not established. */
  readonly establishedAt: number | null
  /** Sessions that were established since the peer was configured. */
  readonly sessions: number
  readonly lastError: string | null
  /** Families of the session, empty without one. */
  readonly families: readonly Family[]
  /** Seconds agreed on, null without a session. */
  readonly holdTime: number | null
  readonly identifier: number | null
  readonly routesIn: number
  readonly routesOut: number
  /** Families whose routes are kept from a former session. */
  readonly stale: readonly Family[]
  /** Messages of all kinds, and UPDATE messages of them. */
  readonly messagesIn: number
  readonly messagesOut: number
  readonly updatesIn: number
  readonly updatesOut: number
  /** ROUTE-REFRESH requests of the peer. */
  readonly refreshesIn: number
  /** UPDATE messages with errors that RFC 7606 lets pass, and the last of them. */
  readonly updateProblems: number
  readonly lastProblem: string | null
}

export type SpeakerEvent =
  | { readonly type: 'state'; readonly peer: IPAddress; readonly from: PeerState; readonly to: PeerState }
  | { readonly type: 'up'; readonly peer: IPAddress; readonly families: readonly Family[] }
  | {
      readonly type: 'down'
      readonly peer: IPAddress
      readonly detail: string
      /** The peer's routes are kept for the time it asked for. */
      readonly graceful: boolean
    }
  /** The peer has sent all its routes of the family. */
  | { readonly type: 'endOfRib'; readonly peer: IPAddress; readonly family: Family }
  /** Gateways of prefixes have changed. */
  | { readonly type: 'gateways'; readonly changes: readonly GatewayChange[] }
  /** Something a person should know: a message out of order, a route that does not fit, a listener that fails. */
  | { readonly type: 'problem'; readonly peer: IPAddress | null; readonly detail: string }

export interface SpeakerConfig {
  readonly namespace: NetworkNamespace
  readonly as: number
  /** BGP identifier: nonzero, unique in the AS; by custom the node's IPv4 address. */
  readonly identifier: number
  /** Next hop of announced routes per family; routes of a family without one are not announced. */
  readonly nextHops: { readonly 4?: NextHop | null; readonly 6?: NextHop | null }
  readonly onEvent: (event: SpeakerEvent) => void
  /** Port to listen on, null to accept no connections. Default 179. */
  readonly port?: number | null
  /**
   * A former process of this node has announced routes and left them with its peers (RFC 4724 §4.1): the first sessions say so, and
   * peers keep the routes until End-of-RIB. Default false.
   */
  readonly restarting?: boolean
  /** Milliseconds from a route's withdrawal until peers are told; what returns before was never away. Default 0. */
  readonly withdrawDelay?: number
  /** Gateways per prefix. Default 16. */
  readonly maxPaths?: number
  readonly hostname?: string
}
