// What is wrong with an object, as data. Parsing never throws: an object somebody wrote badly must cost only itself, and
// whoever finds it (webhook, manager, daemon, ctl) says so in its own way (denial, event, log line, table).

/** One wrong field. */
export interface Problem {
  /** Path from the object's root: "spec.range.excludeIPs[2]". */
  readonly field: string
  /** What is there; undefined when the field is missing. */
  readonly value: unknown
  /** What should be there: "an IPv4 address inside 10.0.0.0/24". */
  readonly expected: string
}

/**
 * What could be made of an object.
 *
 * - No problems: the object is good.
 * - A value with problems: what is right is in the value, what is wrong was left out. Existing traffic of such an object
 *   must go on; nothing new may be built on it (a Subnet whose excludeIPs cannot be read must not be allocated from).
 * - No value: the object is unusable.
 */
export interface Parsed<T> {
  readonly value: T | null
  readonly problems: readonly Problem[]
}

/** 'spec.range.cidr: "10.0.0.5/24" is not ..., expected ...' for logs and events. */
export function formatProblem(problem: Problem): string {
  const shown = problem.value === undefined ? 'is missing' : `is ${JSON.stringify(problem.value)}`
  return `${problem.field} ${shown}, expected ${problem.expected}`
}

export function formatProblems(problems: readonly Problem[]): string {
  return problems.map(formatProblem).join('; ')
}

/** Collects problems under a field path. */
export class ProblemList {
  readonly problems: Problem[] = []

  add(field: string, value: unknown, expected: string): void {
    this.problems.push({ field, value, expected })
  }
}
