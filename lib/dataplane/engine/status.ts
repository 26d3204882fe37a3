// What the engine tells about itself, as data for status pages, `ctl` and tests.
import type { Problem } from '../desired/index.ts'
import type { NetfilterStatus } from './netfilter.ts'

export interface EngineStatus {
  /** Nothing to do, nothing failing, nothing contested. Waiting for devices is in order. */
  readonly inSync: boolean
  /** Records wanted. */
  readonly desired: number
  /** Operations the kernel took since start, by "action kind": "add route", "delete rule". */
  readonly operations: Readonly<Record<string, number>>
  /** Their sum. */
  readonly operationCount: number
  /** Of them, those that undid somebody else's change. */
  readonly repairs: number
  /** Wanted, but something it needs is missing. */
  readonly waiting: readonly { readonly key: string; readonly for: string }[]
  readonly failing: readonly { readonly key: string; readonly error: string; readonly attempts: number }[]
  /** Somebody else keeps changing these. */
  readonly contested: readonly { readonly key: string; readonly repairs: number }[]
  /** Input that cannot be programmed. */
  readonly problems: readonly Problem[]
  /** Keys for which two contributors want different things. */
  readonly conflicts: readonly string[]
  readonly netfilter: NetfilterStatus
  /** Overruns of the notification socket, each followed by a dump. */
  readonly overruns: number
}

/** Intervals, in milliseconds; tests shorten them. */
export interface EngineTiming {
  /** From a kernel event to its repair: the echoes of our own writes pass in the meantime. */
  readonly driftMs: number
  /** Between comparisons of proxy neighbours, of which the kernel sends no notification. 0 turns them off. */
  readonly proxyCheckMs: number
  /** Between audits of everything, spread by ± a quarter. 0 turns them off. */
  readonly auditMs: number
  /** How long the FDB entries of a tunnel endpoint outlive it, against flapping registrations (defect 34). */
  readonly fdbGraceMs: number
}

export const DEFAULT_TIMING: EngineTiming = { driftMs: 15, proxyCheckMs: 700, auditMs: 450_000, fdbGraceMs: 5_000 }
