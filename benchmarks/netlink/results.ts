// From samples to medians, ratios and verdicts, and these to tables. Pure.
import { markdownTable, significant, textTable } from '../support/report.ts'
import { median } from '../support/statistics.ts'
import { LIMIT, type Group, type Phase, type Sample } from './groups.ts'
import { BLOCK_MS, TARGETS, type Target } from './targets.ts'

/** One group at one count: the samples of each contender, by repetition; null where it did not take part. */
export interface Measured {
  readonly group: Group
  readonly count: number
  readonly samples: ReadonlyMap<string, readonly (Sample | null)[]>
}

type Clock = 'seconds' | 'cpu'
type Times = (number | null)[]

function times(measured: Measured, contender: string, phase: Phase, clock: Clock): Times {
  return (measured.samples.get(contender) ?? []).map((sample) => sample?.[clock][phase] ?? null)
}

/** Median over repetitions of a/b, each pair of one repetition; null when no repetition has both. */
function ratio(measured: Measured, a: string, b: string, phase: Phase, clock: Clock): number | null {
  const theirs = times(measured, b, phase === 'text' ? 'dump' : phase, clock)
  const pairs = times(measured, a, phase, clock).flatMap((value, i) => {
    const other = theirs[i] ?? null
    return value === null || other === null || other === 0 ? [] : [value / other]
  })
  return pairs.length === 0 ? null : median(pairs)
}

/** Median microseconds per object. */
function perObject(measured: Measured, contender: string, phase: Phase): number | null {
  const values = times(measured, contender, phase, 'seconds').filter((value) => value !== null)
  return values.length === 0 ? null : (median(values) / measured.count) * 1e6
}

/** Median over repetitions of the longest block of any phase, in ms; `held` by processor time. */
function block(measured: Measured, contender: string, which: 'blocked' | 'held' = 'blocked'): number | null {
  const values = (measured.samples.get(contender) ?? []).flatMap((sample) => {
    const phases = Object.values(sample?.[which] ?? {}).filter((ms) => ms !== null)
    return phases.length === 0 ? [] : [Math.max(...phases)]
  })
  return values.length === 0 ? null : median(values)
}

const HEADER = [
  'contender',
  ...['add', 'dump', 'delete'].flatMap((phase) => [`${phase} µs`, '× C', 'cpu × C']),
  'block ms',
  'own',
]

/** The three figures of a phase. */
function cells(measured: Measured, name: string, phase: Phase): string[] {
  return [
    significant(perObject(measured, name, phase)),
    significant(ratio(measured, name, LIMIT, phase, 'seconds')),
    significant(ratio(measured, name, LIMIT, phase, 'cpu')),
  ]
}

function rows(measured: Measured): string[][] {
  const nothing = ['', '', '']
  return [...measured.samples.keys()]
    .map((name) => ({ name, add: perObject(measured, name, 'add') ?? Infinity }))
    .sort((a, b) => Number(b.name === LIMIT) - Number(a.name === LIMIT) || a.add - b.add)
    .flatMap(({ name }) => {
      const [add, dump, removed] = (['add', 'dump', 'delete'] as const).map((phase) => cells(measured, name, phase))
      const row = [name, ...(add ?? []), ...(dump ?? []), ...(removed ?? []), significant(block(measured, name))]
      row.push(significant(block(measured, name, 'held')))
      const text = cells(measured, name, 'text')
      return text[0] === '' ? [row] : [row, [`${name}, prefixes as text`, ...nothing, ...text, ...nothing, '', '']]
    })
}

export interface Verdict {
  readonly group: string
  readonly count: number
  readonly what: string
  readonly wanted: string
  readonly measured: number
  /** The same ratio in processor time, where there is one. */
  readonly cpu: number | null
  readonly met: boolean
  /** Whether it would be met by processor time; null where there is none. */
  readonly cpuMet: boolean | null
  /** Why it is not met, as far as the figures say; empty when it is. */
  readonly reason: string
}

/** "N of M met (K by processor time)". */
export function summary(judged: readonly Verdict[]): string {
  const met = judged.filter((v) => v.met).length
  const byCpu = judged.filter((v) => v.cpuMet ?? v.met).length
  return `${met} of ${judged.length} met by wall time, ${byCpu} by processor time`
}

function judge(measured: Measured, target: Target): Verdict | null {
  if (!target.groups.includes(measured.group.name) || measured.count < (target.least ?? 0)) return null
  const { contender, against, phase, kind, factor } = target
  const value = ratio(measured, contender, against, phase, 'seconds')
  const cpu = ratio(measured, contender, against, phase, 'cpu')
  if (value === null) return null
  const where = { group: measured.group.name, count: measured.count }
  const action = phase === 'text' ? 'dump with text' : phase
  const bound = kind === 'atMost' ? factor : 1 / factor
  const met = value <= bound
  const cpuMet = cpu === null ? null : cpu <= bound
  const theirs = perObject(measured, against, phase === 'text' ? 'dump' : phase) ?? 0
  const excess = `${significant((value - bound) * theirs)} µs an object too slow`
  const reason = met ? '' : cpuMet === true ? 'waiting: met by processor time' : excess
  const common = { ...where, cpuMet, met, reason }
  if (kind === 'atMost') {
    const what = `${action}: ${contender} against ${against}`
    return { ...common, what, wanted: `≤ ${factor.toFixed(2)} ×`, measured: value, cpu }
  }
  const what = `${action}: ${contender} faster than ${against}`
  return { ...common, what, wanted: `≥ ${factor} ×`, measured: 1 / value, cpu: cpu && 1 / cpu }
}

/** Every target that this run could judge. */
export function verdicts(all: readonly Measured[]): Verdict[] {
  return all.flatMap((measured) => {
    const judged = TARGETS.flatMap((target) => judge(measured, target) ?? [])
    for (const contender of measured.samples.keys()) {
      const ms = contender.startsWith('hybridnet') ? block(measured, contender) : null
      if (ms === null) continue
      const what = `event loop held: ${contender}`
      const where = { group: measured.group.name, count: measured.count }
      const own = block(measured, contender, 'held')
      const met = ms <= BLOCK_MS
      const cpuMet = own === null ? null : own <= BLOCK_MS
      const reason = met ? '' : cpuMet === true ? 'waiting for a core' : 'collector, or a slice of JavaScript'
      judged.push({ ...where, what, wanted: `≤ ${BLOCK_MS} ms`, measured: ms, cpu: own, met, cpuMet, reason })
    }
    return judged
  })
}

function verdictRows(list: readonly Verdict[]): string[][] {
  return list.map((v) => [
    `${v.group} ${v.count}`,
    v.what,
    v.wanted,
    significant(v.measured),
    significant(v.cpu),
    v.met ? 'met' : `NOT MET: ${v.reason}`,
  ])
}
const VERDICT_HEADER = ['group', 'target', 'wanted', 'measured', 'by cpu', '']

export function heading(measured: Measured): string {
  const repetitions = Math.max(...[...measured.samples.values()].map((list) => list.length))
  return `${measured.group.title}: ${measured.count} objects, median of ${repetitions}`
}

/** For the terminal. */
export function textReport(measured: Measured): string {
  const judged = verdicts([measured])
  const targets = judged.length === 0 ? '' : `\n${textTable(VERDICT_HEADER, verdictRows(judged))}\n`
  return `\n${heading(measured)}\n${textTable(HEADER, rows(measured))}\n${targets}`
}

/** For results/*.md. */
export function markdownReport(all: readonly Measured[], facts: Readonly<Record<string, string>>): string {
  const judged = verdicts(all)
  const parts = [
    '# netlink benchmark',
    '',
    ...Object.entries(facts).map(([name, value]) => `- ${name}: ${value}`),
    '',
    'Times are microseconds per object, medians over the repetitions. "× C" is the median of the ratios to the C limit within',
    'each repetition, "cpu × C" the same of processor time (which a busy machine distorts less). "block" is the longest time the event loop was held in any phase, median over the repetitions; "own" the same',
    'in processor time of its thread.',
    '',
    ...all.flatMap((measured) => [`## ${heading(measured)}`, '', markdownTable(HEADER, rows(measured)), '']),
    `## Targets: ${summary(judged)}`,
    '',
    markdownTable(VERDICT_HEADER, verdictRows(judged)),
    '',
  ]
  return parts.join('\n')
}
