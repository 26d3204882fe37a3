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

/** Median over repetitions of the longest block of any phase, in ms. */
function block(measured: Measured, contender: string): number | null {
  const values = (measured.samples.get(contender) ?? []).flatMap((sample) =>
    sample?.blocked === undefined ? [] : [Math.max(...Object.values(sample.blocked))],
  )
  return values.length === 0 ? null : median(values)
}

const HEADER = [
  'contender',
  ...['add', 'dump', 'delete'].flatMap((phase) => [`${phase} µs`, '× C', 'cpu × C']),
  'block ms',
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
      const text = cells(measured, name, 'text')
      return text[0] === '' ? [row] : [row, [`${name}, prefixes as text`, ...nothing, ...text, ...nothing, '']]
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
}

function judge(measured: Measured, target: Target): Verdict | null {
  if (!target.groups.includes(measured.group.name) || measured.count < (target.least ?? 0)) return null
  const { contender, against, phase, kind, factor } = target
  const value = ratio(measured, contender, against, phase, 'seconds')
  const cpu = ratio(measured, contender, against, phase, 'cpu')
  if (value === null) return null
  const where = { group: measured.group.name, count: measured.count }
  const action = phase === 'text' ? 'dump with text' : phase
  if (kind === 'atMost') {
    const what = `${action}: ${contender} against ${against}`
    return { ...where, what, wanted: `≤ ${factor.toFixed(2)} ×`, measured: value, cpu, met: value <= factor }
  }
  const speedup = 1 / value
  const what = `${action}: ${contender} faster than ${against}`
  return { ...where, what, wanted: `≥ ${factor} ×`, measured: speedup, cpu: cpu && 1 / cpu, met: speedup >= factor }
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
      judged.push({ ...where, what, wanted: `≤ ${BLOCK_MS} ms`, measured: ms, cpu: null, met: ms <= BLOCK_MS })
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
    v.met ? 'met' : 'NOT MET',
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
  const met = judged.filter((v) => v.met).length
  const parts = [
    '# netlink benchmark',
    '',
    ...Object.entries(facts).map(([name, value]) => `- ${name}: ${value}`),
    '',
    'Times are microseconds per object, medians over the repetitions. "× C" is the median of the ratios to the C limit within',
    'each repetition, "cpu × C" the same of processor time (which a busy machine distorts less). "block" is the longest time the event loop was held in any phase, median over the repetitions.',
    '',
    ...all.flatMap((measured) => [`## ${heading(measured)}`, '', markdownTable(HEADER, rows(measured)), '']),
    `## Targets: ${met} of ${judged.length} met`,
    '',
    markdownTable(VERDICT_HEADER, verdictRows(judged)),
    '',
  ]
  return parts.join('\n')
}
