// The errors a CNI call can end with: the codes of the CNI specification and of this plugin (node-agent.md §2.9), each
// with a constructor that says what it is about. `retryable` tells the runtime (and our metrics) whether the same call can
// succeed later without anybody doing anything.

/** Error codes: 1 to 99 are the specification's, 100 on are ours. */
export const cniCode = {
  incompatibleVersion: 1,
  unsupportedField: 2,
  unknownContainer: 3,
  invalidEnvironment: 4,
  ioFailure: 5,
  decodingFailure: 6,
  invalidConfig: 7,
  invalidNamespace: 8,
  tryAgain: 11,
  notAvailable: 50,
  notAvailableAffectingPods: 51,
  podGone: 100,
  invalidNetworkConfiguration: 101,
  inconsistentAddresses: 102,
  dataPlaneFailure: 103,
  gatewayUnreachable: 104,
  addressConflict: 105,
  apiWriteRefused: 106,
  internal: 999,
} as const

export type CniCode = (typeof cniCode)[keyof typeof cniCode]

/** A CNI call that failed, as the runtime will see it. */
export class CniError extends Error {
  override readonly name = 'CniError'
  readonly code: CniCode
  /** Longer explanation: what was expected, the kernel's text; '' when the message says all. */
  readonly details: string
  readonly retryable: boolean

  constructor(code: CniCode, message: string, details = '', options?: ErrorOptions) {
    super(message, options)
    this.code = code
    this.details = details
    this.retryable = code === cniCode.tryAgain || code === cniCode.notAvailable
  }

  /** The error object of the version 2 protocol. */
  toJSON(): { code: number; msg: string; details: string; retryable: boolean } {
    return { code: this.code, msg: this.message, details: this.details, retryable: this.retryable }
  }
}

/** 11: not yet; the runtime should try again. */
export function tryAgain(message: string, details = ''): CniError {
  return new CniError(cniCode.tryAgain, message, details)
}

/** 100: the pod was deleted, or re-created under another UID. */
export function podGone(message: string, details = ''): CniError {
  return new CniError(cniCode.podGone, message, details)
}

/** 101: annotations, Network or Subnet ask for something that cannot be. */
export function invalidNetworkConfiguration(message: string, details = ''): CniError {
  return new CniError(cniCode.invalidNetworkConfiguration, message, details)
}

/** 102: the IPInstances of the pod contradict each other. */
export function inconsistentAddresses(message: string, details = ''): CniError {
  return new CniError(cniCode.inconsistentAddresses, message, details)
}

/** 103: the kernel refused. `cause` carries its text. */
export function dataPlaneFailure(operation: string, cause: unknown): CniError {
  const text = cause instanceof Error ? cause.message : String(cause)
  return new CniError(cniCode.dataPlaneFailure, `${operation}: ${text}`, '', { cause })
}

/** 104: the gateway of a VLAN subnet does not answer. */
export function gatewayUnreachable(message: string, details = ''): CniError {
  return new CniError(cniCode.gatewayUnreachable, message, details)
}

/** 105: somebody else already answers for the pod's address. */
export function addressConflict(message: string, details = ''): CniError {
  return new CniError(cniCode.addressConflict, message, details)
}

/** 106: the API server refused a write the pod depends on. */
export function apiWriteRefused(message: string, details = ''): CniError {
  return new CniError(cniCode.apiWriteRefused, message, details)
}

/** Any error as a CniError: itself, or 999 with its message. */
export function toCniError(error: unknown): CniError {
  if (error instanceof CniError) return error
  const message = error instanceof Error ? error.message : String(error)
  return new CniError(cniCode.internal, `internal error: ${message}`, '', { cause: error })
}

/** Unchanged if a CniError, else wrapped by `wrap`. */
export function asCniError(error: unknown, wrap: (error: unknown) => CniError): CniError {
  return error instanceof CniError ? error : wrap(error)
}
