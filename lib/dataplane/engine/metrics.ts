// Counters of the engine on a registry the program hands in. Labels are kinds and actions, never addresses.
import { Counter, Histogram, type Registry } from '../../telemetry/metrics.ts'
import type { Action } from '../operation.ts'
import type { RecordKind } from '../state.ts'

export interface EngineMetrics {
  operation(action: Action, kind: RecordKind): void
  failure(kind: RecordKind): void
  repair(kind: RecordKind): void
  /** Seconds from looking at what changed to the kernel's last answer. */
  flush(seconds: number): void
}

export function createEngineMetrics(registry: Registry): EngineMetrics {
  const registers = [registry]
  const operations = new Counter({
    name: 'hybridnet_dataplane_operations_total',
    help: 'Changes the kernel took.',
    labelNames: ['action', 'kind'],
    registers,
  })
  const failures = new Counter({
    name: 'hybridnet_dataplane_failures_total',
    help: 'Changes the kernel refused.',
    labelNames: ['kind'],
    registers,
  })
  const repairs = new Counter({
    name: 'hybridnet_dataplane_repairs_total',
    help: "Changes that undid somebody else's.",
    labelNames: ['kind'],
    registers,
  })
  const flushes = new Histogram({
    name: 'hybridnet_dataplane_flush_seconds',
    help: 'Time of one comparison and its batch.',
    buckets: [0.0005, 0.001, 0.002, 0.005, 0.01, 0.05, 0.2, 1, 5],
    registers,
  })
  return {
    operation: (action, kind) => operations.inc({ action, kind }),
    failure: (kind) => failures.inc({ kind }),
    repair: (kind) => repairs.inc({ kind }),
    flush: (seconds) => flushes.observe(seconds),
  }
}
