// The columns of pods: STATUS and RESTARTS are composed of many things (printPod of the real server).
import { at, isObject, list, object, text } from '../json.ts'
import type { Column } from '../registry.ts'
import type { Json, KubeObject } from '../types.ts'
import { ageOf } from './age.ts'

const statuses = (pod: KubeObject, member: string): Json[] => list(pod, 'status', member)
const restartable = (container: Json | undefined): boolean => text(container, 'restartPolicy') === 'Always'

interface Summary {
  readonly ready: number
  readonly total: number
  readonly reason: string
  readonly restarts: string
}

const terminatedReason = (state: Json | undefined): string => {
  const reason = text(state, 'reason')
  if (reason !== '') return reason
  const signal = text(state, 'signal')
  return signal !== '' && signal !== '0' ? `Signal:${signal}` : `ExitCode:${text(state, 'exitCode')}`
}

function summarize(pod: KubeObject, now: Date): Summary {
  const phase = text(pod, 'status', 'phase')
  let reason = text(pod, 'status', 'reason') || phase
  if (
    list(pod, 'status', 'conditions').some(
      (condition) => text(condition, 'type') === 'PodScheduled' && text(condition, 'reason') === 'SchedulingGated',
    )
  ) {
    reason = 'SchedulingGated'
  }
  const initContainers = list(pod, 'spec', 'initContainers')
  let total = list(pod, 'spec', 'containers').length
  let ready = 0
  let restarts = 0
  let lastRestart = ''
  const count = (status: Json): void => {
    restarts += Number(text(status, 'restartCount') || 0)
    const finished = text(status, 'lastState', 'terminated', 'finishedAt')
    if (finished > lastRestart) lastRestart = finished
  }
  let initializing = false
  for (const [index, status] of statuses(pod, 'initContainerStatuses').entries()) {
    const spec = initContainers.find((container) => text(container, 'name') === text(status, 'name'))
    const terminated = at(status, 'state', 'terminated')
    if (restartable(spec)) {
      total++
      if (at(status, 'ready') === true) ready++
    }
    count(status)
    if (text(terminated, 'exitCode') === '0' || (restartable(spec) && at(status, 'started') === true)) continue
    const waiting = text(status, 'state', 'waiting', 'reason')
    if (isObject(terminated)) reason = `Init:${terminatedReason(terminated)}`
    else if (waiting !== '' && waiting !== 'PodInitializing') reason = `Init:${waiting}`
    else reason = `Init:${index}/${initContainers.length}`
    initializing = true
    break
  }
  if (!initializing) {
    restarts = 0
    let running = false
    for (const status of statuses(pod, 'containerStatuses').toReversed()) {
      count(status)
      const waiting = text(status, 'state', 'waiting', 'reason')
      const terminated = at(status, 'state', 'terminated')
      if (waiting !== '') reason = waiting
      else if (isObject(terminated)) reason = terminatedReason(terminated)
      else if (at(status, 'ready') === true && isObject(at(status, 'state', 'running'))) {
        running = true
        ready++
      }
    }
    if (reason === 'Completed' && running) {
      const isReady = list(pod, 'status', 'conditions').some(
        (condition) => text(condition, 'type') === 'Ready' && text(condition, 'status') === 'True',
      )
      reason = isReady ? 'Running' : 'NotReady'
    }
  }
  if (pod.metadata.deletionTimestamp !== undefined && text(pod, 'status', 'reason') === 'NodeLost') reason = 'Unknown'
  else if (pod.metadata.deletionTimestamp !== undefined && phase !== 'Succeeded' && phase !== 'Failed')
    reason = 'Terminating'
  const since = restarts > 0 && lastRestart !== '' ? ` (${ageOf(lastRestart, now)} ago)` : ''
  return { ready, total, reason, restarts: `${restarts}${since}` }
}

const podAddress = (pod: KubeObject): string =>
  text(pod, 'status', 'podIPs', 0, 'ip') || text(pod, 'status', 'podIP') || '<none>'

function readinessGates(pod: KubeObject): string {
  const gates = list(pod, 'spec', 'readinessGates').map((gate) => text(gate, 'conditionType'))
  if (gates.length === 0) return '<none>'
  const met = gates.filter((gate) =>
    list(pod, 'status', 'conditions').some(
      (condition) => text(condition, 'type') === gate && text(condition, 'status') === 'True',
    ),
  )
  return `${met.length}/${gates.length}`
}

export function podColumns(name: Column, age: Column): readonly Column[] {
  const wide = (title: string, value: (pod: KubeObject) => Json): Column => ({
    name: title,
    type: 'string',
    priority: 1,
    value,
  })
  return [
    name,
    {
      name: 'Ready',
      type: 'string',
      value: (pod, now) => {
        const { ready, total } = summarize(pod, now)
        return `${ready}/${total}`
      },
    },
    { name: 'Status', type: 'string', value: (pod, now) => summarize(pod, now).reason },
    { name: 'Restarts', type: 'string', value: (pod, now) => summarize(pod, now).restarts },
    age,
    wide('IP', podAddress),
    wide('Node', (pod) => text(object(pod, 'spec'), 'nodeName') || '<none>'),
    wide('Nominated Node', (pod) => text(pod, 'status', 'nominatedNodeName') || '<none>'),
    wide('Readiness Gates', readinessGates),
  ]
}
