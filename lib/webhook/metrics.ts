// The series of the webhook: the three of the original's framework (api.md §6), and four of ours.
import { Counter, Gauge, Histogram, type Registry } from '../telemetry/metrics.ts'

export class WebhookMetrics {
  readonly latency: Histogram<'webhook'>
  readonly requests: Counter<'webhook' | 'code'>
  readonly inFlight: Gauge<'webhook'>
  readonly decisions: Counter<'kind' | 'operation' | 'decision'>
  /** Connections over the cap. */
  readonly dropped: Counter
  /** Corrections of a caBundle that somebody else keeps changing. */
  readonly fights: Counter<'configuration'>
  /** Seconds since 1970. */
  readonly certificateEnd: Gauge

  constructor(registry: Registry) {
    const registers = [registry]
    this.latency = new Histogram({
      name: 'controller_runtime_webhook_latency_seconds',
      help: 'Time an admission request took',
      labelNames: ['webhook'],
      buckets: [0.0005, 0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10],
      registers,
    })
    this.requests = new Counter({
      name: 'controller_runtime_webhook_requests_total',
      help: 'Admission requests by HTTP status',
      labelNames: ['webhook', 'code'],
      registers,
    })
    this.inFlight = new Gauge({
      name: 'controller_runtime_webhook_requests_in_flight',
      help: 'Admission requests being worked on',
      labelNames: ['webhook'],
      registers,
    })
    this.decisions = new Counter({
      name: 'hybridnet_webhook_decisions_total',
      help: 'Objects by what admission said: allowed, denied or failed',
      labelNames: ['kind', 'operation', 'decision'],
      registers,
    })
    this.dropped = new Counter({
      name: 'hybridnet_webhook_dropped_connections_total',
      help: 'Connections that were not accepted, as there were too many',
      registers,
    })
    this.fights = new Counter({
      name: 'hybridnet_webhook_ca_bundle_conflicts_total',
      help: 'Corrections of a caBundle that somebody else keeps changing',
      labelNames: ['configuration'],
      registers,
    })
    this.certificateEnd = new Gauge({
      name: 'hybridnet_webhook_certificate_expiry_timestamp_seconds',
      help: 'When the certificate that is served ends',
      registers,
    })
  }
}
