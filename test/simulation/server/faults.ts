// What can happen to a request on its way, as probabilities. All zero is a faultless server.

export interface FaultRates {
  /** The connection is refused: certainly not received. */
  readonly refused: number
  /** Cut before the server read it. */
  readonly cutBefore: number
  /** Carried out, and the answer cut off. */
  readonly cutAfter: number
  /** Never arrives, and nobody says so. */
  readonly lostBefore: number
  /** Carried out, and the answer never arrives. */
  readonly lostAfter: number
  /** 429 or 503 with Retry-After, not carried out. */
  readonly overload: number
  /** 500, not carried out. */
  readonly failed: number
  /** 504 although it was carried out. */
  readonly lateSuccess: number
  /** 409 of a write that nothing is wrong with: the server gave up its own retries. */
  readonly conflict: number
  /** A watch is cut, per delivery. */
  readonly watchCut: number
  /** A watch goes silent for good, per delivery. */
  readonly watchMute: number
  /** A watch is told 410, per delivery. */
  readonly watchGone: number
}

export const NO_FAULTS: FaultRates = {
  refused: 0,
  cutBefore: 0,
  cutAfter: 0,
  lostBefore: 0,
  lostAfter: 0,
  overload: 0,
  failed: 0,
  lateSuccess: 0,
  conflict: 0,
  watchCut: 0,
  watchMute: 0,
  watchGone: 0,
}

export type Fate = Exclude<keyof FaultRates, 'watchCut' | 'watchMute' | 'watchGone'> | 'delivered'

/** Delays on the way there and back, milliseconds. */
export interface Delays {
  readonly typicalMs: number
  /** Probability of a slow one. */
  readonly slow: number
  readonly slowMs: number
}

export interface LinkSettings {
  readonly faults: FaultRates
  readonly delays: Delays
  /** How far behind a watch shows what happened, at most, milliseconds. */
  readonly watchLagMs: number
  /**
   * How long after the client gave a request up it may still be carried out: what is in the sockets' buffers outlives
   * the program that wrote it. Beyond what the fence allows for (5 s) nothing but the duplicate detector helps.
   */
  readonly afterlifeMs: number
}
