/** Why the allocator refused. Stable: callers choose back-off, wake-up and texts by it. */
export type IpamErrorCode =
  /** The request itself is wrong: an empty name, a wrong number of subnets or addresses for the family. */
  | 'invalid-request'
  /** A subnet's own description contradicts itself (gateway outside the CIDR, prefix too long, ...). */
  | 'invalid-subnet'
  | 'network-not-found'
  | 'subnet-not-found'
  /** Every subnet of the family is full, private, or not serving. Worth a retry when capacity appears. */
  | 'no-available-subnet'
  /** The subnet that was named is full. Worth a retry when capacity appears. */
  | 'subnet-full'
  /** The subnet or network is going away or refused: it keeps its addresses but gives out no more. */
  | 'not-serving'
  /** No subnet of the network can hold that address (excluded, gateway, out of range). */
  | 'address-not-found'
  /** Somebody else holds the address. */
  | 'address-not-available'

/** Thrown for a request the allocator cannot meet. Nothing was changed when it is thrown. */
export class IpamError extends Error {
  readonly code: IpamErrorCode

  constructor(code: IpamErrorCode, message: string) {
    super(message)
    this.name = 'IpamError'
    this.code = code
  }

  /** Whether the same request can succeed later with no change of configuration, when an address comes free. */
  get isCapacity(): boolean {
    return this.code === 'no-available-subnet' || this.code === 'subnet-full'
  }
}
