// Why a session ends: the code, subcode and data of a NOTIFICATION, with their names.
//
// RFC 4271 §4.5 and §6, RFC 4486 and 8538 and 9384 (Cease), RFC 6608 (state machine errors), RFC 7313 (route refresh).

export const ERROR_CODE = { header: 1, open: 2, update: 3, holdTimer: 4, fsm: 5, cease: 6, routeRefresh: 7 } as const

export const HEADER_ERROR = { notSynchronized: 1, badLength: 2, badType: 3 } as const
export const OPEN_ERROR = {
  unspecific: 0,
  unsupportedVersion: 1,
  badPeerAs: 2,
  badIdentifier: 3,
  unsupportedParameter: 4,
  unacceptableHoldTime: 6,
  unsupportedCapability: 7,
} as const
export const UPDATE_ERROR = {
  malformedAttributeList: 1,
  unrecognizedWellKnown: 2,
  missingWellKnown: 3,
  attributeFlags: 4,
  attributeLength: 5,
  invalidOrigin: 6,
  invalidNextHop: 8,
  optionalAttribute: 9,
  invalidNetwork: 10,
  malformedAsPath: 11,
} as const
/** Of the state a message came in (RFC 6608). */
export const FSM_ERROR = { unspecific: 0, inOpenSent: 1, inOpenConfirm: 2, inEstablished: 3 } as const
export const CEASE = {
  maximumPrefixes: 1,
  administrativeShutdown: 2,
  peerDeconfigured: 3,
  administrativeReset: 4,
  connectionRejected: 5,
  configurationChange: 6,
  connectionCollision: 7,
  outOfResources: 8,
  hardReset: 9,
  bfdDown: 10,
} as const
export const REFRESH_ERROR = { invalidLength: 1 } as const

const names: Readonly<Record<number, readonly [string, Readonly<Record<number, string>>]>> = {
  1: ['message header error', { 1: 'connection not synchronized', 2: 'bad message length', 3: 'bad message type' }],
  2: [
    'OPEN message error',
    {
      1: 'unsupported version number',
      2: 'bad peer AS',
      3: 'bad BGP identifier',
      4: 'unsupported optional parameter',
      6: 'unacceptable hold time',
      7: 'unsupported capability',
      11: 'role mismatch',
    },
  ],
  3: [
    'UPDATE message error',
    {
      1: 'malformed attribute list',
      2: 'unrecognized well-known attribute',
      3: 'missing well-known attribute',
      4: 'attribute flags error',
      5: 'attribute length error',
      6: 'invalid ORIGIN attribute',
      8: 'invalid NEXT_HOP attribute',
      9: 'optional attribute error',
      10: 'invalid network field',
      11: 'malformed AS_PATH',
    },
  ],
  4: ['hold timer expired', {}],
  5: [
    'finite state machine error',
    {
      1: 'unexpected message in OpenSent',
      2: 'unexpected message in OpenConfirm',
      3: 'unexpected message in Established',
    },
  ],
  6: [
    'cease',
    {
      1: 'maximum number of prefixes reached',
      2: 'administrative shutdown',
      3: 'peer de-configured',
      4: 'administrative reset',
      5: 'connection rejected',
      6: 'other configuration change',
      7: 'connection collision resolution',
      8: 'out of resources',
      9: 'hard reset',
      10: 'BFD down',
    },
  ],
  7: ['ROUTE-REFRESH message error', { 1: 'invalid message length' }],
}

/** "cease: administrative shutdown"; numbers where IANA's registry is ahead of this table. */
export function describeError(code: number, subcode: number): string {
  const entry = names[code]
  if (entry === undefined) return `error code ${code}, subcode ${subcode}`
  const [name, subcodes] = entry
  if (subcode === 0) return name
  return `${name}: ${subcodes[subcode] ?? `subcode ${subcode}`}`
}

const NOTHING = new Uint8Array(0)

/** Ends the session; the peer is told by a NOTIFICATION of this code, subcode and data. */
export class SessionError extends Error {
  readonly code: number
  readonly subcode: number
  /** What the RFC wants beside the codes, at most as long as fits one message. */
  readonly data: Uint8Array

  /** @param detail what was found and what was expected, for people; the peer does not see it */
  constructor(code: number, subcode: number, detail: string, data: Uint8Array = NOTHING) {
    super(`${describeError(code, subcode)}: ${detail}`)
    this.name = 'SessionError'
    this.code = code
    this.subcode = subcode
    this.data = data
  }
}
