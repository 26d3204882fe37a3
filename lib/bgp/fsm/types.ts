// What goes into the state machine of a peer and what comes out of it.
import type { Family } from '../../ip/index.ts'
import type {
  Capabilities,
  GracefulRestartCapability,
  LongLivedFamily,
  Message,
  OpenMessage,
  RouteRefreshMessage,
  SessionError,
  UpdateContext,
  UpdateMessage,
} from '../codec/index.ts'

/** RFC 4271 §8.2.2. With two connections in a collision, that of the one that is further. */
export type PeerState = 'idle' | 'connect' | 'active' | 'openSent' | 'openConfirm' | 'established'

/** The connection this speaker opened, or the one the peer did. There are two only until a collision is resolved. */
export type Side = 'out' | 'in'

export type TimerName = 'connectRetry' | 'idleHold' | `${'hold' | 'keepalive'}:${Side}`

export interface MachineConfig {
  readonly localAs: number
  readonly remoteAs: number
  /** BGP identifier, nonzero. */
  readonly identifier: number
  /** Seconds offered: 0, or 3 and more. */
  readonly holdTime: number
  /** Never connect, wait for the peer to. */
  readonly passive: boolean
  /** Seconds from a failed attempt to the next one, at most (a quarter less by jitter). */
  readonly connectRetryTime: number
  /** Families to carry. */
  readonly families: readonly Family[]
  /** Offered in an OPEN sent now; those of restart change in time. */
  readonly capabilities: () => Capabilities
}

/** What two OPEN messages agree on. */
export interface Session extends UpdateContext {
  readonly side: Side
  readonly remote: OpenMessage
  /** Seconds; 0: no keepalives, and the session is never given up for silence. */
  readonly holdTime: number
  /** Bytes of the largest message either way. */
  readonly maxBytes: number
  readonly routeRefresh: boolean
  readonly enhancedRouteRefresh: boolean
  /** The peer's, when this side offered graceful restart, too. */
  readonly gracefulRestart: GracefulRestartCapability | null
  /** The peer's, when this side offered long-lived graceful restart, too; empty otherwise. */
  readonly longLived: readonly LongLivedFamily[]
  /** Both sides start a graceful restart on NOTIFICATION, too (RFC 8538). */
  readonly notificationRestart: boolean
}

export type DownKind = 'transport' | 'restarted' | 'holdTimer' | 'notificationSent' | 'notificationReceived' | 'stopped'

export interface Down {
  readonly session: Session
  readonly kind: DownKind
  /** For people. */
  readonly detail: string
  /** The peer's routes are to be kept as stale, if it asked for that (RFC 4724 §4.2, RFC 8538 §4). */
  readonly graceful: boolean
}

export type MachineEvent =
  /** Events 1, 3, and 4 to 7 as the configuration says. */
  | { readonly type: 'start' }
  /**
   * Events 2 and 8. With a notification, the peer is told; with null the connection just ends, which a peer with graceful
   * restart takes for a restart.
   */
  | { readonly type: 'stop'; readonly notification: { readonly subcode: number; readonly data: Uint8Array } | null }
  /** Events 9, 10, 11, 13. */
  | { readonly type: 'timer'; readonly timer: TimerName }
  /** Event 16: the connection that `connect` asked for is open. */
  | { readonly type: 'connected' }
  /** Event 17: the peer has opened a connection. `accept` or `refuse` answers. */
  | { readonly type: 'incoming' }
  /** Event 18: it could not be opened, was reset, or the peer closed it. */
  | { readonly type: 'failed'; readonly side: Side; readonly detail: string }
  /** Events 19, 24 to 27, and ROUTE-REFRESH. */
  | { readonly type: 'message'; readonly side: Side; readonly message: Message }
  /** Events 21, 22 and 28. */
  | { readonly type: 'error'; readonly side: Side; readonly error: SessionError }

export type MachineAction =
  /** Open a connection; `connected` or `failed` of side "out" answers. */
  | { readonly do: 'connect' }
  /** The peer's connection takes the place "in", which is free. */
  | { readonly do: 'accept' }
  /** The peer's connection is not wanted: send this and close it. */
  | { readonly do: 'refuse'; readonly bytes: Buffer }
  | { readonly do: 'send'; readonly side: Side; readonly bytes: Buffer }
  /** Close it, after what was sent; or give up opening it. Nothing more of that side is to come in. */
  | { readonly do: 'close'; readonly side: Side }
  /** Set anew, or stop for null. */
  | { readonly do: 'timer'; readonly timer: TimerName; readonly seconds: number | null }
  | { readonly do: 'up'; readonly session: Session }
  | { readonly do: 'deliver'; readonly message: UpdateMessage | RouteRefreshMessage }
  | { readonly do: 'down'; readonly down: Down }
