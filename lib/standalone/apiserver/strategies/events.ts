// Events are one thing in two groups: stored as v1, served as events.k8s.io/v1 too, whose names for the parts differ.
import { at, text } from '../json.ts'
import type { JsonObject, KubeObject } from '../types.ts'

/** Member names: events.k8s.io/v1, v1. */
const names = [
  ['regarding', 'involvedObject'],
  ['note', 'message'],
  ['deprecatedSource', 'source'],
  ['deprecatedFirstTimestamp', 'firstTimestamp'],
  ['deprecatedLastTimestamp', 'lastTimestamp'],
  ['deprecatedCount', 'count'],
  ['reportingController', 'reportingComponent'],
] as const

function rename(object: KubeObject, apiVersion: string, from: 0 | 1): KubeObject {
  const renames = new Map<string, string>(names.map((pair) => [pair[from], pair[1 - from] ?? '']))
  const result: JsonObject = {}
  for (const [key, value] of Object.entries(object)) result[renames.get(key) ?? key] = value
  return { ...result, apiVersion, kind: 'Event', metadata: object.metadata }
}

/** events.k8s.io/v1 → v1 */
export function coreEvent(event: KubeObject): KubeObject {
  const core = rename(event, 'v1', 0)
  core['involvedObject'] ??= {}
  return core
}

/** v1 → events.k8s.io/v1 */
export function eventsEvent(event: KubeObject): KubeObject {
  const converted = rename(event, 'events.k8s.io/v1', 1)
  if (text(converted, 'reportingController') === '')
    converted['reportingController'] = text(converted, 'deprecatedSource', 'component')
  if (at(converted, 'eventTime') === undefined) converted['eventTime'] = null
  return converted
}
