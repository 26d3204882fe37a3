// The layers of the source tree: imports point downward only, and each third-party package has one door.
import { readdirSync, readFileSync } from 'node:fs'
import { dirname, join, relative, resolve } from 'node:path'
import { test } from 'uvu'
import * as assert from 'uvu/assert'

/** What each folder of lib/ may import besides itself. An absent folder is an error: decide where it stands. */
const layers: Readonly<Record<string, readonly string[]>> = {
  ip: [],
  telemetry: [],
  tls: [],
  netlink: ['ip'],
  nft: ['ip'],
  bgp: ['ip', 'netlink'],
  ipam: ['ip'],
  api: ['ip'],
  kube: ['telemetry'],
  policy: ['ip', 'api', 'nft'],
  dataplane: ['ip', 'api', 'netlink', 'nft', 'telemetry'],
  daemon: ['ip', 'api', 'netlink', 'nft', 'bgp', 'kube', 'dataplane', 'policy', 'telemetry'],
  manager: ['ip', 'api', 'ipam', 'kube', 'telemetry'],
  multicluster: ['ip', 'api', 'ipam', 'kube', 'telemetry'],
  webhook: ['ip', 'api', 'kube', 'telemetry', 'tls'],
  ctl: ['ip', 'api', 'kube', 'dataplane', 'telemetry'],
  standalone: ['ip', 'api', 'netlink', 'nft', 'kube', 'telemetry', 'tls'],
  main: [
    'ip',
    'api',
    'netlink',
    'nft',
    'bgp',
    'ipam',
    'kube',
    'policy',
    'dataplane',
    'daemon',
    'manager',
    'multicluster',
    'webhook',
    'ctl',
    'standalone',
    'telemetry',
  ],
}

/** The one place that may import a package. */
const doors: Readonly<Record<string, string>> = {
  '@kubernetes/client-node': 'lib/kube',
  pino: 'lib/telemetry',
  'prom-client': 'lib/telemetry',
  // The embedded control plane reads the chart's CRDs, which are YAML.
  yaml: 'lib/standalone',
}

const root = resolve(import.meta.dirname, '../..')
const sources = readdirSync(join(root, 'lib'), { recursive: true, encoding: 'utf8' })
  .filter((file) => file.endsWith('.ts'))
  .map((file) => join('lib', file))

function imports(file: string): string[] {
  const text = readFileSync(join(root, file), 'utf8')
  const pattern = /(?:^|\n)\s*(?:import|export)\s[^'"]*?from\s+['"]([^'"]+)['"]|import\(\s*['"]([^'"]+)['"]\s*\)/g
  return [...text.matchAll(pattern)].map((match) => match[1] ?? match[2] ?? '')
}

test('imports point downward only', () => {
  assert.ok(sources.length > 10, 'sources were found')
  const wrong: string[] = []
  for (const file of sources) {
    const layer = file.split('/')[1] ?? ''
    const allowed = layers[layer]
    if (allowed === undefined) {
      wrong.push(`${file}: lib/${layer} has no place in the layers of this test`)
      continue
    }
    for (const specifier of imports(file)) {
      if (!specifier.startsWith('.')) continue
      const target = relative(root, resolve(root, dirname(file), specifier)).split('/')
      if (target[0] !== 'lib' || (target[1] !== layer && !allowed.includes(target[1] ?? ''))) {
        wrong.push(`${file} imports ${specifier}: lib/${layer} may import only ${allowed.join(', ') || 'nothing'}`)
      }
    }
  }
  assert.equal(wrong, [])
})

test('each third-party package has one door', () => {
  const wrong: string[] = []
  for (const file of sources) {
    for (const specifier of imports(file)) {
      if (specifier.startsWith('.') || specifier.startsWith('node:')) continue
      const name = specifier
        .split('/')
        .slice(0, specifier.startsWith('@') ? 2 : 1)
        .join('/')
      const door = doors[name]
      if (door === undefined || !file.startsWith(`${door}/`)) wrong.push(`${file} imports ${name}`)
    }
  }
  assert.equal(wrong, [])
})

test.run()
