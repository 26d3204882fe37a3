// The numbers to reach (design note, performance note §13), as ratios of medians within one run.
import {
  GO,
  IPROUTE,
  LIMIT,
  NPM,
  OURS_CALLS,
  OURS_FLUSH,
  OURS_OBJECTS,
  OURS_PACKED,
  OURS_TWO,
  type GroupName,
  type Phase,
} from './groups.ts'

export interface Target {
  readonly groups: readonly GroupName[]
  /** Only for this many objects or more. */
  readonly least?: number
  readonly contender: string
  readonly phase: Phase
  /** What it is compared with. The text phase is a dump there. */
  readonly against: string
  /** 'atMost': time ≤ factor × theirs. 'faster': theirs ≥ factor × time. */
  readonly kind: 'atMost' | 'faster'
  readonly factor: number
}

const atMost = (contender: string, groups: readonly GroupName[], phase: Phase, factor: number, least = 0): Target => ({
  groups,
  least,
  contender,
  phase,
  against: LIMIT,
  kind: 'atMost',
  factor,
})
const faster = (groups: readonly GroupName[], phase: Phase, against: string, factor: number, least = 0): Target => ({
  groups,
  least,
  contender: OURS_PACKED,
  phase,
  against,
  kind: 'faster',
  factor,
})

const routes = ['routes4', 'routes6'] as const
const neighbours = ['neigh4', 'neigh6'] as const

export const TARGETS: readonly Target[] = [
  ...(['add', 'delete'] as const).flatMap((phase) => [
    atMost(OURS_PACKED, [...routes, 'fdb', ...neighbours, 'rules'], phase, 1.1),
    atMost(OURS_OBJECTS, routes, phase, 1.15),
    atMost(OURS_CALLS, routes, phase, 1.5),
    atMost(OURS_PACKED, ['links'], phase, 1.15),
    atMost(OURS_TWO, ['routes6'], phase, 0.8, 100_000),
    faster(['routes4'], phase, NPM, phase === 'add' ? 6 : 9),
  ]),
  atMost(OURS_PACKED, ['rules-descending'], 'add', 1.2),
  atMost(OURS_PACKED, routes, 'dump', 1.1),
  atMost(OURS_OBJECTS, routes, 'text', 1.5),

  faster(['routes4'], 'add', IPROUTE, 3.5),
  faster(['routes4'], 'delete', IPROUTE, 4.9),
  faster(['routes4'], 'add', GO, 4.8),
  faster(['routes4'], 'delete', GO, 7),
  faster(['routes4'], 'dump', IPROUTE, 3.1),
  faster(['routes4'], 'dump', GO, 12),
  faster(['routes4'], 'dump', NPM, 8),
  faster(['routes6'], 'add', IPROUTE, 3.6),
  faster(['routes6'], 'delete', IPROUTE, 3.9),
  faster(['routes6'], 'add', GO, 5.4),
  faster(['routes6'], 'delete', GO, 6),
  faster(['routes6'], 'dump', IPROUTE, 2.1),
  faster(['routes6'], 'dump', GO, 6),
  faster(['fdb'], 'add', IPROUTE, 2.1),
  faster(['fdb'], 'add', IPROUTE, 2.8, 50_000),
  faster(['fdb'], 'delete', IPROUTE, 5.5),
  faster(['fdb'], 'add', GO, 5, 50_000),
  faster(['fdb'], 'delete', GO, 8.5),
  { ...faster(['fdb'], 'delete', IPROUTE, 12, 50_000), contender: OURS_FLUSH },
  { ...faster(['fdb'], 'delete', GO, 19, 50_000), contender: OURS_FLUSH },
  faster(neighbours, 'add', IPROUTE, 6.8),
  faster(neighbours, 'delete', IPROUTE, 5.5),
  faster(neighbours, 'add', GO, 10),
  faster(neighbours, 'delete', GO, 9),
  faster(['rules'], 'add', IPROUTE, 1.4),
  faster(['rules'], 'add', GO, 1.6),
  faster(['rules-descending'], 'add', IPROUTE, 29, 5000),
  faster(['rules-descending'], 'add', GO, 31, 5000),
  faster(['links'], 'add', GO, 1.25),
]

/** Longest time in ms, as a median over repetitions, that the event loop may be held in any phase. */
export const BLOCK_MS = 10
