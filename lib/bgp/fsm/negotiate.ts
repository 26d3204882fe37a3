// What two OPEN messages agree on, or why they do not (RFC 4271 §6.2, RFC 5492, RFC 6286).
import { formatAddress, type Family } from '../../ip/index.ts'
import {
  AFI_IPV6,
  ERROR_CODE,
  IPV4_UNICAST,
  MAX_EXTENDED_MESSAGE_BYTES,
  MAX_MESSAGE_BYTES,
  OPEN_ERROR,
  SessionError,
  unicast,
  type Capabilities,
  type OpenMessage,
} from '../codec/index.ts'
import type { MachineConfig, Session, Side } from './types.ts'

/**
 * @param local the capabilities in our OPEN of this connection
 * @throws SessionError "OPEN message error"
 */
export function negotiate(config: MachineConfig, local: Capabilities, remote: OpenMessage, side: Side): Session {
  const external = config.localAs !== config.remoteAs
  if (remote.as !== config.remoteAs) {
    throw new SessionError(
      ERROR_CODE.open,
      OPEN_ERROR.badPeerAs,
      `the peer is of AS ${remote.as}, expected ${config.remoteAs}`,
    )
  }
  // RFC 6286 §2.3: within one AS identifiers are unique.
  if (!external && remote.identifier === config.identifier) {
    const text = formatAddress(remote.identifier)
    throw new SessionError(ERROR_CODE.open, OPEN_ERROR.badIdentifier, `the peer has our own identifier ${text}`)
  }
  const theirs = remote.capabilities
  const offered = theirs.families.length === 0 ? [IPV4_UNICAST] : theirs.families
  const families = new Set(
    config.families.map((family: Family) => unicast(family)).filter((code) => offered.includes(code)),
  )
  if (families.size === 0) {
    throw new SessionError(ERROR_CODE.open, OPEN_ERROR.unsupportedCapability, 'no address family in common')
  }
  const both = (has: (capabilities: Capabilities) => boolean): boolean => has(local) && has(theirs)
  return {
    side,
    remote,
    external,
    families,
    holdTime: Math.min(config.holdTime, remote.holdTime),
    fourOctetAs: both(({ fourOctetAs }) => fourOctetAs !== null),
    extendedNextHop: both(({ extendedNextHop }) =>
      extendedNextHop.some(({ family, nextHopAfi }) => family === IPV4_UNICAST && nextHopAfi === AFI_IPV6),
    ),
    maxBytes: both(({ extendedMessage }) => extendedMessage) ? MAX_EXTENDED_MESSAGE_BYTES : MAX_MESSAGE_BYTES,
    routeRefresh: both(({ routeRefresh }) => routeRefresh),
    enhancedRouteRefresh: both(({ enhancedRouteRefresh }) => enhancedRouteRefresh),
    gracefulRestart: local.gracefulRestart === null ? null : theirs.gracefulRestart,
    // RFC 9494 §4.1: without the capability of RFC 4724 this one has no meaning.
    longLived: both((each) => each.longLived !== null && each.gracefulRestart !== null) ? (theirs.longLived ?? []) : [],
    notificationRestart: both(({ gracefulRestart }) => gracefulRestart?.notification === true),
  }
}
