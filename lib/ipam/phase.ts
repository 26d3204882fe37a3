// The states of one address and what may happen to it, as a table.
//
//   free         nobody holds it; it may be handed out
//   claimed      decided for a pod, the write of its IPInstance is in flight or its outcome unknown
//   live         its IPInstance exists and is bound to a pod
//   reserved     its IPInstance exists without a node: retained for the pod that comes back
//   releasing    its IPInstance carries a deletion timestamp; the release is not booked yet
//   quarantined  the release is booked, its IPInstance not yet known to be gone: counts as free, is not handed out
//   reported     it has no IPInstance, but a pod is known to run with it (reports.ts): nobody else's, and written again
//
// (A subnet's `reservedIPs` are not a state: such an address is free or held like any other, only never picked by itself.)
//
//               claim    confirm   abandon  retain    bind     terminate  book         gone   report    withdraw
//   free        claimed  live*     -        reserved* -        releasing* -            -      reported  -
//   claimed     -        live      free     reserved  claimed  releasing  -            free   -         -
//   live        -        live      -        reserved  live     releasing  quarantined  free   -         -
//   reserved    -        live      -        reserved  live     releasing  quarantined  free   -         -
//   releasing   -        -         -        -         -        releasing  quarantined  free   -         -
//   quarantined -        -         -        -         -        quarantined quarantined free   -         -
//   reported    -        live      -        reserved  claimed  releasing  -            -      reported  free
//
//   * an object that was not ours to begin with: found at start-up, or made by somebody else.
// What becomes free while a pod reports it becomes reported at once.

/** The state of an address somebody holds, or held until a moment ago. */
export type Phase = 'claimed' | 'live' | 'reserved' | 'releasing' | 'quarantined' | 'reported'

export type PhaseEvent =
  /** The allocator picks the address. */
  | 'claim'
  /** Its object was seen or acknowledged, bound to a pod. */
  | 'confirm'
  /** Its object is certain not to exist. */
  | 'abandon'
  /** Its object was seen or written without a node. */
  | 'retain'
  /** The address is given to a pod again, with the object it has. */
  | 'bind'
  /** Its object was seen with a deletion timestamp. */
  | 'terminate'
  /** The holder's release is booked. */
  | 'book'
  /** Its object is gone from the API. */
  | 'gone'
  /** A pod is known to run with it. */
  | 'report'
  /** The pod does so no longer. */
  | 'withdraw'

const table: Readonly<Record<Phase | 'free', Readonly<Partial<Record<PhaseEvent, Phase | 'free'>>>>> = {
  free: { claim: 'claimed', confirm: 'live', retain: 'reserved', terminate: 'releasing', report: 'reported' },
  claimed: {
    confirm: 'live',
    abandon: 'free',
    retain: 'reserved',
    bind: 'claimed',
    terminate: 'releasing',
    gone: 'free',
  },
  live: {
    confirm: 'live',
    retain: 'reserved',
    bind: 'live',
    terminate: 'releasing',
    book: 'quarantined',
    gone: 'free',
  },
  reserved: {
    confirm: 'live',
    retain: 'reserved',
    bind: 'live',
    terminate: 'releasing',
    book: 'quarantined',
    gone: 'free',
  },
  releasing: { terminate: 'releasing', book: 'quarantined', gone: 'free' },
  quarantined: { terminate: 'quarantined', book: 'quarantined', gone: 'free' },
  reported: {
    confirm: 'live',
    retain: 'reserved',
    bind: 'claimed',
    terminate: 'releasing',
    report: 'reported',
    withdraw: 'free',
  },
}

/** The state after the event; null when the event cannot happen in that state and must change nothing. */
export function nextPhase(phase: Phase | 'free', event: PhaseEvent): Phase | 'free' | null {
  return table[phase][event] ?? null
}

/** Whether an address in that state counts as used in a subnet's and network's numbers (manager.md §6.5 quarantine). */
export function countsAsUsed(phase: Phase): boolean {
  return phase !== 'quarantined'
}
