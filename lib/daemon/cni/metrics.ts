// Metrics of the CNI server (R-SRV-19).
import { Counter, Gauge, Histogram, type Registry } from '../../telemetry/metrics.ts'

/** Parts of an ADD whose time is worth knowing apart. */
export type Stage = 'addresses' | 'queue' | 'wiring' | 'ready'

const buckets = [0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10, 30]

export class CniMetrics {
  readonly #duration: Histogram<'command'>
  readonly #stage: Histogram<'stage'>
  readonly #results: Counter<'command' | 'code'>
  readonly #inFlight: Gauge<'command'>

  constructor(registry: Registry) {
    const registers = [registry]
    this.#duration = new Histogram({
      name: 'hybridnet_cni_request_duration_seconds',
      help: 'Time to serve a CNI call.',
      labelNames: ['command'],
      buckets,
      registers,
    })
    this.#stage = new Histogram({
      name: 'hybridnet_cni_add_stage_duration_seconds',
      help: 'Time spent in one stage of a CNI ADD.',
      labelNames: ['stage'],
      buckets,
      registers,
    })
    this.#results = new Counter({
      name: 'hybridnet_cni_requests_total',
      help: 'CNI calls served, by result code (0: success).',
      labelNames: ['command', 'code'],
      registers,
    })
    this.#inFlight = new Gauge({
      name: 'hybridnet_cni_requests_in_flight',
      help: 'CNI calls being served.',
      labelNames: ['command'],
      registers,
    })
  }

  started(command: string): void {
    this.#inFlight.inc({ command })
  }

  /** @param code result code, 0 for success */
  finished(command: string, code: number, milliseconds: number): void {
    this.#inFlight.dec({ command })
    this.#results.inc({ command, code })
    this.#duration.observe({ command }, milliseconds / 1000)
  }

  stage(stage: Stage, milliseconds: number): void {
    this.#stage.observe({ stage }, milliseconds / 1000)
  }
}
