// What a fault is, which requests it hits, and its form on a command line: `verb=list,resource=pods,status=503`. Pure.

const effects = [
  'drop',
  'reset',
  'lose',
  'cut',
  'half',
  'stall',
  'slow',
  'expire',
  'compact',
  'stale',
  'conflict',
] as const

export type Effect = (typeof effects)[number]

export interface Fault {
  /** get, list, watch, create, update, patch, delete, deletecollection; all unless given. */
  readonly verb?: string
  /** Plural, `plural.group`, with `/subresource`: `pods`, `pods/status`, `networks.networking.alibaba.com`; all unless given. */
  readonly resource?: string
  readonly namespace?: string
  readonly name?: string
  /** Start of the client's User-Agent; with `!` in front: every client but those. */
  readonly agent?: string
  /** Share of the matching requests it hits; 1. */
  readonly probability?: number
  /** Matching requests that are let through first; 0. */
  readonly skip?: number
  /** Requests it hits before it is over; without end unless given. */
  readonly times?: number
  /** Milliseconds of waiting before the request is looked at. */
  readonly latencyMs?: number
  /** Answer with this HTTP status instead of doing it. */
  readonly status?: number
  /** Seconds of a Retry-After header, with `status`. */
  readonly retryAfter?: number
  /**
   * - `drop`, `reset`: close the connection, or reset it (RST), nothing done. `lose`: do it, and close without an answer.
   * - `cut`, `half`, `stall`: after `after` lines of a watch (or `after` KiB of another answer) close the connection, close it
   *   in the middle of a line, or say nothing more and keep it open. `slow`: the answer comes at `rate` KiB a second.
   * - `expire`: 410, at once, or in a watch after `after` events. `compact`: forget the whole history first, for everybody.
   * - `stale`: get, list and watches that begin with all objects are `behind` changes old, where the resource version they
   *   ask for allows it: `0`, or one that is as old.
   * - `conflict`: somebody else changes the object just before it is updated, patched or deleted.
   */
  readonly effect?: Effect
  /** Lines of a watch, KiB of other answers; 0. */
  readonly after?: number
  /** Changes; 10. */
  readonly behind?: number
  /** KiB a second; 1. */
  readonly rate?: number
}

/** A fault that says nothing sensible. */
export class FaultError extends Error {
  override readonly name = 'FaultError'
}

export interface Target {
  readonly verb: string
  readonly group: string
  readonly plural: string
  readonly subresource: string
  readonly namespace: string
  readonly name: string
  readonly agent: string
}

const verbs: readonly string[] = ['get', 'list', 'watch', 'create', 'update', 'patch', 'delete', 'deletecollection']
const texts: readonly string[] = ['verb', 'resource', 'namespace', 'name', 'agent', 'effect']
const numbers: Readonly<Record<string, readonly [number, number]>> = {
  probability: [0, 1],
  skip: [0, 1e9],
  times: [1, 1e9],
  latencyMs: [0, 3_600_000],
  status: [400, 599],
  retryAfter: [0, 3600],
  after: [0, 1e9],
  behind: [1, 1e9],
  rate: [1, 1e6],
}

/** @throws FaultError naming field, value and what was expected */
export function checkFault(fault: Fault): Fault {
  for (const [field, value] of Object.entries(fault)) {
    const range = numbers[field]
    if (range === undefined && !texts.includes(field)) {
      throw new FaultError(`fault: ${field}: expected one of ${[...texts, ...Object.keys(numbers)].join(', ')}`)
    }
    if (range === undefined) continue
    const number = Number(value)
    const whole = field === 'probability' || Number.isInteger(number)
    if (typeof value !== 'number' || !whole || number < range[0] || number > range[1]) {
      throw new FaultError(`fault: ${field} '${String(value)}': expected a number from ${range[0]} to ${range[1]}`)
    }
  }
  const { verb, effect, status, latencyMs } = fault
  const unknown = (verb ?? '').split('|').find((one) => one !== '' && !verbs.includes(one))
  if (unknown !== undefined) throw new FaultError(`fault: verb '${unknown}': expected ${verbs.join(', ')}, joined by |`)
  if (effect !== undefined && !(effects as readonly string[]).includes(effect)) {
    throw new FaultError(`fault: effect '${effect}': expected one of ${effects.join(', ')}`)
  }
  if (effect === undefined && status === undefined && latencyMs === undefined) {
    throw new FaultError('fault: it does nothing: expected status, latencyMs or effect')
  }
  return fault
}

/** A fault of a command line: `field=value,...`. @throws FaultError */
export function parseFault(text: string): Fault {
  const fault: Record<string, string | number> = {}
  for (const part of text.split(',')) {
    const at = part.indexOf('=')
    if (at < 1) throw new FaultError(`fault '${text}': '${part}': expected FIELD=VALUE`)
    const [field, value] = [part.slice(0, at).trim(), part.slice(at + 1).trim()]
    fault[field] = field in numbers && value !== '' ? Number(value) : value
  }
  return checkFault(fault)
}

/** Whether a request is one a fault is about. */
export function concerns(fault: Fault, target: Target): boolean {
  const { verb, resource, namespace, name, agent } = fault
  if (verb !== undefined && verb !== '' && !verb.split('|').includes(target.verb)) return false
  if (namespace !== undefined && namespace !== target.namespace) return false
  if (name !== undefined && name !== target.name) return false
  if (agent !== undefined && agent.startsWith('!') === target.agent.startsWith(agent.replace(/^!/, ''))) return false
  if (resource === undefined || resource === '*') return true
  const [what = '', subresource] = resource.split('/')
  if (subresource !== undefined && subresource !== target.subresource) return false
  return what === target.plural || what === `${target.plural}.${target.group}`
}
