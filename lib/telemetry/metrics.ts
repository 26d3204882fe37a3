// The one door to the metrics library. A registry is passed in, never global, so that tests and several programs in one
// process do not share series.
import { Counter, Gauge, Histogram, Registry, Summary, collectDefaultMetrics } from 'prom-client'

export { Counter, Gauge, Histogram, Registry, Summary }

/** A registry with the default process metrics (CPU, memory, event-loop lag, garbage collection). */
export function createRegistry(): Registry {
  const registry = new Registry()
  collectDefaultMetrics({ register: registry })
  return registry
}
