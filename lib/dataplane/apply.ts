// Carries out a plan: each stage in one batch, each operation with its own result.
//
// A refused operation costs only itself, with one exception: a rule is not added while a route of its table is refused,
// because it would steer traffic into a table that is not ready. What stands on a device that could not be made is not
// tried. Nothing is retried here; the engine does that.
import {
  isAlreadyExists,
  isNotFound,
  sysctlWriteAll,
  type NetworkNamespace,
  type Request,
  type RouteSocket,
} from '../netlink/index.ts'
import type { KernelState } from './mirror/state.ts'
import type { Operation } from './operation.ts'
import type { Stage } from './plan.ts'
import { linksOf } from './state.ts'
import { assume, MissingLinkError, requestsOf } from './requests.ts'

export interface OperationResult {
  readonly operation: Operation
  /** null: the kernel is now as wanted. */
  readonly error: Error | null
  /** Whether the kernel was asked, and had what it was asked for. */
  readonly sent: boolean
}

export interface ApplyOutcome {
  readonly results: readonly OperationResult[]
  /** Not tried, because their device could not be made. */
  readonly held: readonly { readonly key: string; readonly link: string }[]
}

export interface ApplyTarget {
  readonly socket: RouteSocket
  readonly namespace: NetworkNamespace
  readonly state: KernelState
  /** Tables (by `family table`) whose routes are known to fail. */
  readonly unfilled: ReadonlySet<string>
}

/** From so many rules on, additions skip the kernel's search for an equal rule (perf-anchors §6). */
const MANY_RULES = 64

/** Carries out the stages in order. Never throws for a refused operation; throws when the socket itself is gone. */
export async function applyPlan(stages: readonly Stage[], target: ApplyTarget): Promise<ApplyOutcome> {
  const results: OperationResult[] = []
  const held: { key: string; link: string }[] = []
  const unfilled = new Set(target.unfilled)
  const unmade = new Set<string>()
  for (const { name, operations } of stages) {
    const possible = operations.filter((operation) => {
      const link = operation.action === 'delete' ? undefined : linksOf(operation.record).find((one) => unmade.has(one))
      if (link !== undefined) held.push({ key: operation.key, link })
      return link === undefined
    })
    const stageResults =
      name === 'settings' || name === 'device settings'
        ? await applySettings(possible, target)
        : await applyRequests(possible, target, unfilled)
    for (const { operation, error } of stageResults) {
      const { record } = operation
      if (error === null) continue
      if (record.kind === 'route') unfilled.add(`${record.family} ${record.table}`)
      else if (record.kind === 'link') unmade.add(record.name)
    }
    results.push(...stageResults)
  }
  return { results, held }
}

/** Equivalent to: `sysctl -w PATH=VALUE ...` */
async function applySettings(operations: readonly Operation[], target: ApplyTarget): Promise<OperationResult[]> {
  const settings = operations.flatMap(({ record }) => (record.kind === 'sysctl' ? [record] : []))
  const errors = await sysctlWriteAll(target.namespace, settings)
  return operations.map((operation, i) => {
    const record = settings[i]
    const error = errors[i] ?? null
    if (record === undefined) return { operation, error, sent: true }
    if (error === null) target.state.sysctls.set(record.path, record.value)
    else if (isNotFound(error)) target.state.sysctls.set(record.path, null)
    else target.state.sysctls.delete(record.path)
    if (error !== null && isNotFound(error) && record.optional) return { operation, error: null, sent: false }
    return { operation, error, sent: true }
  })
}

async function applyRequests(
  operations: readonly Operation[],
  target: ApplyTarget,
  unfilled: ReadonlySet<string>,
): Promise<OperationResult[]> {
  const { socket, state } = target
  const results: OperationResult[] = []
  const requests: Request[] = []
  /** Operation of each request. */
  const owners: number[] = []
  const excl = operations.length < MANY_RULES
  for (const operation of operations) {
    const { record } = operation
    if (record.kind === 'rule' && operation.action === 'add' && unfilled.has(`${record.family} ${record.table}`)) {
      results.push({ operation, error: new Error(`table ${record.table} is not filled yet`), sent: false })
      continue
    }
    try {
      const own = requestsOf(operation, state, excl)
      assume(operation, state)
      requests.push(...own)
      for (let i = 0; i < own.length; i++) owners.push(results.length)
      results.push({ operation, error: null, sent: true })
    } catch (error) {
      // With its device the thing has gone as well.
      if (error instanceof MissingLinkError && operation.action === 'delete') continue
      results.push({ operation, error: error instanceof Error ? error : new Error(String(error)), sent: false })
    }
  }
  const errors = requests.length === 0 ? [] : await socket.apply(requests)
  errors.forEach((error, i) => {
    const result = results[owners[i] ?? -1]
    const request = requests[i]
    if (error === null || result === undefined || request === undefined) return
    if (isHarmless(error, request)) return
    results[owners[i] as number] = { operation: result.operation, error, sent: true }
  })
  await readBackLinks(results, target)
  return results
}

/** Already there, or already gone: by us a moment ago, or by somebody who did our work. */
function isHarmless(error: Error, request: Request): boolean {
  switch (request.object) {
    case 'linkDelete':
    case 'fdbFlush':
      return isNotFound(error)
    case 'link':
    case 'linkSet':
      return false
    case 'addr':
    case 'route':
    case 'rule':
    case 'neigh':
    case 'fdb':
      return isDeletion(request) ? isNotFound(error) : isAlreadyExists(error)
  }
}

function isDeletion(request: Request): boolean {
  // RTM_DEL* messages are the odd ones of each quadruple: NEW 16, DEL 17, GET 18, SET 19, ...
  return request.type % 4 === 1
}

/** Devices are read back rather than assumed: the kernel chooses index and flags. */
async function readBackLinks(results: readonly OperationResult[], { socket, state }: ApplyTarget): Promise<void> {
  for (const { operation } of results) {
    if (operation.record.kind !== 'link') continue
    const { name } = operation.record
    const before = state.link(name)
    const now = await socket.link(name)
    if (before !== undefined && before.index !== now?.index) state.deleteLink(before.index)
    if (now !== null) state.setLink(now)
  }
}
