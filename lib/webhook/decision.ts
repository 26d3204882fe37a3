// What admission says of one object. Refusals name the field, its value, what is wrong and the way out: whoever reads them
// has only this line, in kubectl or in the events of a ReplicaSet.
import { formatProblems, type Problem } from '../api/index.ts'

export type Decision =
  | { readonly allowed: true; readonly warnings: readonly string[] }
  | {
      readonly allowed: false
      /** 403: the object is refused; 400: the request makes no sense; 500: it could not be judged. */
      readonly code: 400 | 403 | 500
      readonly message: string
    }

/** One operation of RFC 6902. */
export interface PatchOperation {
  readonly op: 'add' | 'replace'
  readonly path: string
  readonly value: unknown
}

export const ALLOWED: Decision = { allowed: true, warnings: [] }

export interface Refusal {
  /** Path from the object's root: `spec.netID`. */
  readonly field: string
  /** What is there; undefined when the field is missing. */
  readonly value: unknown
  readonly why: string
  readonly wayOut: string
}

/** 'spec.type is "Overlay": there is one already; use that one' */
export function deny({ field, value, why, wayOut }: Refusal): Decision {
  const shown = value === undefined ? 'is missing' : `is ${JSON.stringify(value)}`
  return { allowed: false, code: 403, message: `${field} ${shown}: ${why}; ${wayOut}` }
}

/** Null for no problems. What was expected is the way out. */
export function denyProblems(problems: readonly Problem[]): Decision | null {
  if (problems.length === 0) return null
  return { allowed: false, code: 403, message: formatProblems(problems) }
}

/** Names of ours become label values, which end at 63 characters. */
export function nameProblems(name: string): Problem[] {
  if (name.length <= 63) return []
  return [{ field: 'metadata.name', value: name, expected: 'at most 63 characters, as it becomes a label value' }]
}
