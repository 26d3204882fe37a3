// What this speaker offers a peer.
import type { Family } from '../../ip/index.ts'
import { AFI_IPV6, IPV4_UNICAST, NO_CAPABILITIES, unicast, type Capabilities } from '../codec/index.ts'

export interface Offer {
  readonly as: number
  readonly families: readonly Family[]
  readonly restarting: boolean
  /** Seconds; 0: no graceful restart. */
  readonly gracefulRestartTime: number
  /** Seconds; 0: no long-lived graceful restart. */
  readonly longLivedTime: number
  readonly hostname: string | null
}

export function offerOf({
  as,
  families,
  restarting,
  gracefulRestartTime,
  longLivedTime,
  hostname,
}: Offer): Capabilities {
  // The kernel goes on forwarding whatever becomes of this process.
  const kept = families.map((family) => ({ family: unicast(family), forwarding: true }))
  const graceful = gracefulRestartTime > 0
  return {
    ...NO_CAPABILITIES,
    families: families.map((family) => unicast(family)),
    routeRefresh: true,
    enhancedRouteRefresh: true,
    extendedMessage: true,
    extendedNextHop: families.includes(4) ? [{ family: IPV4_UNICAST, nextHopAfi: AFI_IPV6 }] : [],
    fourOctetAs: as,
    gracefulRestart: graceful
      ? { restarting, notification: true, restartTime: gracefulRestartTime, families: kept }
      : null,
    longLived: graceful && longLivedTime > 0 ? kept.map((each) => ({ ...each, staleTime: longLivedTime })) : null,
    hostname: hostname === null ? null : { host: hostname, domain: '' },
  }
}
