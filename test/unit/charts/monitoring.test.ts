// Alerts and dashboard speak of series our programs have; a name with a slip in it would never fire.
import { readFileSync } from 'node:fs'
import { join, resolve } from 'node:path'
import { test } from 'uvu'
import * as assert from 'uvu/assert'
import { CniMetrics } from '../../../lib/daemon/cni/metrics.ts'
import { registerDaemonMetrics } from '../../../lib/daemon/metrics.ts'
import { ManagerMetrics } from '../../../lib/manager/metrics.ts'
import { Registry } from '../../../lib/telemetry/metrics.ts'
import { WebhookMetrics } from '../../../lib/webhook/metrics.ts'

const chart = resolve(import.meta.dirname, '../../../charts/hybridnet')
const registry = new Registry()
new ManagerMetrics(registry)
new WebhookMetrics(registry)
new CniMetrics(registry)
registerDaemonMetrics(registry, {} as never)
const known = new Set(
  registry.getMetricsAsArray().flatMap(({ name }) => [name, `${name}_bucket`, `${name}_sum`, `${name}_count`]),
)

/** Names of series in PromQL: what stands before a selector, a bracket or an operator and is not a function or a label. */
function seriesOf(expression: string): string[] {
  const bare = expression
    .replace(/\{\{[^}]*\}\}/g, '')
    .replace(/"[^"]*"/g, '""')
    .replace(/by \([^)]*\)/g, '')
  const open = bare.replace(/\{[^}]*\}/g, '{}')
  return open.match(/\b[a-z]+(?:_[a-z0-9]+)+\b(?!\()/g) ?? []
}

const foreign = /^kube_/
const own = (expression: string): string[] => seriesOf(expression).filter((name) => !foreign.test(name))
const unknown = (expression: string): string[] => own(expression).filter((name) => !known.has(name))

test('the alerts', () => {
  const text = readFileSync(join(chart, 'templates/monitoring.yaml'), 'utf8')
  const expressions = [...text.matchAll(/expr: (?:>-\n((?: {12}.*\n)+)|(.*))/g)].map(
    ([, block, line]) => block ?? line ?? '',
  )
  assert.is(expressions.length, (text.match(/- alert:/g) ?? []).length)
  assert.equal(expressions.flatMap(unknown), [])
  // All but the one about the DaemonSet's own series.
  assert.is(expressions.filter((expression) => own(expression).length > 0).length, expressions.length - 1)
})

test('the dashboard', () => {
  interface Dashboard {
    readonly panels: readonly { readonly title: string; readonly targets: readonly { readonly expr: string }[] }[]
  }
  const { panels } = JSON.parse(readFileSync(join(chart, 'dashboards/hybridnet.json'), 'utf8')) as Dashboard
  assert.ok(panels.length > 10)
  assert.equal(
    panels.flatMap(({ targets }) => targets.flatMap(({ expr }) => unknown(expr))),
    [],
  )
})

test('the reading of expressions finds a slip', () => {
  assert.equal(seriesOf('sum(rate(a_b_total{c="d_e"}[5m])) by (f_g) / on() h_i'), ['a_b_total', 'h_i'])
  assert.equal(unknown('sum(hybridnet_manager_leeder) == 0'), ['hybridnet_manager_leeder'])
})

test.run()
