// The chart as helm renders it, with its defaults and with values of several kinds: every document is a complete object, arguments are
// flags our programs know, ports meet, accounts and roles belong together, and mistakes in values are refused by name.
import { spawnSync } from 'node:child_process'
import { mkdtempSync, readdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join, resolve } from 'node:path'
import { test } from 'uvu'
import * as assert from 'uvu/assert'
import { parse, parseAllDocuments, stringify } from 'yaml'
import { crdName, OWN_RESOURCES, PODS } from '../../../lib/api/index.ts'
import { renderConfig } from '../../../lib/daemon/cni/install.ts'
import { daemonFlags } from '../../../lib/main/daemon-flags.ts'
import { parseFlags, type Flag } from '../../../lib/main/flags.ts'
import { managerFlags } from '../../../lib/main/manager.ts'
import { webhookFlags } from '../../../lib/main/webhook.ts'
import { parseStartObjects } from '../../../lib/manager/index.ts'
import { webhookConfigurations } from '../../../lib/webhook/configuration.ts'

const root = resolve(import.meta.dirname, '../../..')
const chart = join(root, 'charts/hybridnet')
const found = spawnSync('bash', [join(root, 'scripts/helm-assets')], { encoding: 'utf8' })
const helm = found.stdout.trim()
const folder = mkdtempSync(join(tmpdir(), 'hybridnet-chart-'))
test.after(() => rmSync(folder, { recursive: true, force: true }))

interface Container {
  name: string
  image: string
  args: string[]
  ports?: { name: string; containerPort: number }[]
  livenessProbe?: { httpGet: { port: string } }
  readinessProbe?: { httpGet: { port: string } }
  startupProbe?: { httpGet: { port: string } }
  volumeMounts?: { name: string; mountPath: string }[]
  securityContext: Record<string, unknown>
}
interface Rendered {
  apiVersion: string
  kind: string
  metadata: { name: string; namespace?: string; labels?: Record<string, string> }
  data?: Record<string, string>
  rules?: { apiGroups: string[]; resources: string[]; verbs: string[]; resourceNames?: string[] }[]
  roleRef?: { kind: string; name: string }
  subjects?: { name: string; namespace: string }[]
  webhooks?: Record<string, unknown>[]
  spec: {
    selector: { matchLabels: Record<string, string> }
    ports?: { targetPort: string }[]
    replicas?: number
    template: {
      metadata: { labels: Record<string, string> }
      spec: {
        serviceAccountName: string
        hostNetwork: boolean
        volumes?: { name: string; configMap?: { name: string } }[]
        initContainers?: Container[]
        containers: Container[]
      }
    }
  }
}

function run(command: string, values: string | null, ...more: string[]): ReturnType<typeof spawnSync> {
  const name = command === 'template' ? ['hybridnet'] : []
  const file = values === null ? [] : ['--values', values]
  // Built from its module, helm takes itself for a very old one.
  const version = ['--kube-version', '1.32.2']
  return spawnSync(helm, [command, ...name, chart, ...version, ...file, ...more], { encoding: 'utf8' })
}

function render(values: string | null, ...more: string[]): Rendered[] {
  const { status, stdout, stderr } = run('template', values, '--namespace', 'kube-system', ...more)
  assert.is(status, 0, String(stderr))
  const documents = parseAllDocuments(String(stdout))
  for (const { errors } of documents) assert.equal(errors, [])
  return documents.map((document) => document.toJS() as Rendered).filter((object) => (object as unknown) !== null)
}

const of = (objects: readonly Rendered[], kind: string, name: string): Rendered => {
  const object = objects.find((one) => one.kind === kind && one.metadata.name === name)
  assert.ok(object, `${kind} ${name}`)
  return object
}

const flagsOf: Readonly<Record<string, Record<string, Flag<never>>>> = {
  daemon: daemonFlags as unknown as Record<string, Flag<never>>,
  manager: managerFlags as unknown as Record<string, Flag<never>>,
  webhook: webhookFlags as unknown as Record<string, Flag<never>>,
}

/** What holds whatever the values are. */
function check(objects: readonly Rendered[], namespace: string): void {
  const identities = objects.map(({ kind, metadata }) => `${kind}/${metadata.namespace ?? ''}/${metadata.name}`)
  assert.is(new Set(identities).size, identities.length, 'no object twice')
  const clusterWide = /^(ClusterRole|ClusterRoleBinding|ValidatingWebhook.*|MutatingWebhook.*)$/
  for (const { kind, apiVersion, metadata } of objects) {
    assert.ok(kind && apiVersion && metadata.name, 'an object is whole')
    assert.is(metadata.namespace, clusterWide.test(kind) ? undefined : namespace, `${kind} ${metadata.name}`)
  }
  const configMaps = objects.filter(({ kind }) => kind === 'ConfigMap').map(({ metadata }) => metadata.name)
  const workloads = [
    of(objects, 'DaemonSet', 'hybridnet-daemon'),
    of(objects, 'Deployment', 'hybridnet-manager'),
    of(objects, 'Deployment', 'hybridnet-webhook'),
  ]
  for (const { metadata, spec } of workloads) {
    const { template, selector } = spec
    for (const [key, value] of Object.entries(selector.matchLabels)) assert.is(template.metadata.labels[key], value)
    of(objects, 'ServiceAccount', template.spec.serviceAccountName)
    assert.is(template.spec.hostNetwork, true)
    const { volumes = [], containers, initContainers = [] } = template.spec
    for (const { configMap } of volumes) assert.ok(configMap === undefined || configMaps.includes(configMap.name))
    for (const container of [...initContainers, ...containers]) {
      for (const { name } of container.volumeMounts ?? [])
        assert.ok(
          volumes.some((volume) => volume.name === name),
          name,
        )
      assert.match(container.image, /^[^\s:]+:v\d/)
      const ports = (container.ports ?? []).map(({ name }) => name)
      for (const probe of [container.livenessProbe, container.readinessProbe, container.startupProbe]) {
        assert.ok(!probe || ports.includes(probe.httpGet.port), `${metadata.name}: probes ask a port that is there`)
      }
    }
    const [program = '', ...args] = containers[0]?.args ?? []
    // Flags the program does not know, or values it refuses, throw.
    const { values } = parseFlags(flagsOf[program] ?? {}, args)
    assert.ok(Object.keys(values).length > 5, program)
  }
  for (const kind of ['ClusterRoleBinding', 'RoleBinding']) {
    for (const { roleRef, subjects } of objects.filter((object) => object.kind === kind)) {
      of(objects, roleRef?.kind ?? '', roleRef?.name ?? '')
      for (const subject of subjects ?? []) {
        of(objects, 'ServiceAccount', subject.name)
        assert.is(subject.namespace, namespace)
      }
    }
  }
  const config = of(objects, 'ConfigMap', 'hybridnet-cni-conf').data?.['cni-config'] ?? ''
  assert.equal(renderConfig(config, 'cni-config', '/s', () => true).missing, [])
}

if (found.status === 0) {
  test('helm lint has nothing to say', () => {
    const { status, stdout } = run('lint', null, '--strict')
    assert.is(status, 0, String(stdout))
  })

  test('the defaults', () => {
    const objects = render(null)
    check(objects, 'kube-system')
    const start = parseStartObjects(of(objects, 'ConfigMap', 'hybridnet-init').data?.['objects.json'] ?? '')
    assert.equal(start, [
      {
        apiVersion: 'networking.alibaba.com/v1',
        kind: 'Network',
        metadata: { name: 'init' },
        spec: { type: 'Overlay', netID: 4 },
      },
      {
        apiVersion: 'networking.alibaba.com/v1',
        kind: 'Subnet',
        metadata: { name: 'init' },
        spec: { network: 'init', range: { cidr: '100.64.0.0/16', version: '4' }, config: { autoNatOutgoing: true } },
      },
    ])
    const crds = readdirSync(join(chart, 'crds'))
    assert.is(crds.length, OWN_RESOURCES.length)
    const role = of(objects, 'ClusterRole', 'hybridnet-manager')
    const named = role.rules?.flatMap(({ resourceNames }) => resourceNames ?? []).sort()
    assert.equal(
      named,
      OWN_RESOURCES.map((resource) => crdName(resource)).sort(),
      'may bring every definition up to date',
    )
  })

  test('what the chart registers is what the webhook would register itself (one source of truth, two writers)', () => {
    const objects = render(null)
    const wanted = webhookConfigurations({ namespace: 'kube-system', name: 'hybridnet-webhook', port: 443 })
    const byName = (list: readonly object[] | null | undefined): object[] => [...(list ?? [])]
    const validating = of(objects, 'ValidatingWebhookConfiguration', 'hybridnet-validating-webhook')
    const mutating = of(objects, 'MutatingWebhookConfiguration', 'hybridnet-mutating-webhook')
    assert.equal(validating.webhooks, byName(wanted.validating.webhooks))
    assert.equal(mutating.webhooks, byName(wanted.mutating.webhooks))
  })

  for (const file of readdirSync(join(import.meta.dirname, 'values'))) {
    test(`values/${file}`, () => {
      const path = join(import.meta.dirname, 'values', file)
      const values = parse(readFileSync(path, 'utf8')) as { namespaceOverride?: string }
      check(render(path), values.namespaceOverride ?? 'kube-system')
      assert.is(run('lint', path, '--strict').status, 0)
    })
  }

  test('dual stack: a Subnet for each prefix', () => {
    const objects = render(join(import.meta.dirname, 'values/dual-stack.yaml'))
    const start = parseStartObjects(of(objects, 'ConfigMap', 'hybridnet-init').data?.['objects.json'] ?? '')
    const subnets = start.slice(1) as unknown as { metadata: { name: string }; spec: { range: object } }[]
    assert.equal(
      subnets.map(({ metadata, spec }) => [metadata.name, spec.range]),
      [
        ['init', { cidr: '100.64.0.0/16', version: '4' }],
        ['init-1', { cidr: 'fd64::/112', version: '6' }],
      ],
    )
    const image = of(objects, 'DaemonSet', 'hybridnet-daemon').spec.template.spec.containers[0]?.image
    assert.is(image, 'registry.example.com/team/hybridnet:v9.9.9')
  })

  test('rights follow what is turned on', () => {
    const can = (objects: Rendered[], role: string, resource: string, verb: string): boolean =>
      (of(objects, 'ClusterRole', role).rules ?? []).some(
        ({ resources, verbs }) => resources.includes(resource) && verbs.includes(verb),
      )
    const plain = render(null)
    const full = render(join(import.meta.dirname, 'values/underlay.yaml'))
    assert.equal(
      [can(plain, 'hybridnet-daemon', PODS.plural, 'patch'), can(full, 'hybridnet-daemon', PODS.plural, 'patch')],
      [false, true],
    )
    assert.equal(
      [
        can(plain, 'hybridnet-manager', 'virtualmachines', 'list'),
        can(full, 'hybridnet-manager', 'virtualmachines', 'list'),
      ],
      [false, true],
    )
    for (const role of ['hybridnet-daemon', 'hybridnet-manager', 'hybridnet-webhook']) {
      for (const { resources, verbs } of of(full, 'ClusterRole', role).rules ?? []) {
        assert.not.ok([...resources, ...verbs].includes('*'), `${role}: nothing is granted wholesale`)
      }
    }
  })

  test('mistakes in values are refused by name', () => {
    const refusals: [object, RegExp][] = [
      [{ init: { cidr: '100.64.0.0/16', vxlanID: 0 } }, /init.*vxlanID/s],
      [
        { init: { cidr: 'fd00::/112', vxlanID: 4, ipVersion: '4' } },
        /init\.ipVersion is 4, but init\.cidr fd00::\/112 is IPv6/,
      ],
      [{ defaultIPFamily: 'IPv5' }, /defaultIPFamily/],
      [{ daemon: { cniConfName: 'a/b' } }, /cniConfName/],
      [{ webhook: { failurePolicy: 'Maybe' } }, /failurePolicy/],
      [{ manager: { replicas: 'three' } }, /replicas/],
    ]
    for (const [values, message] of refusals) {
      const file = join(folder, 'wrong.yaml')
      writeFileSync(file, stringify(values))
      const { status, stderr } = run('template', file)
      assert.is.not(status, 0, JSON.stringify(values))
      assert.match(String(stderr), message)
    }
  })
} else {
  console.log(`SKIPPED: the chart is not rendered: ${found.stderr.trim()}`)
  test.skip('the chart as helm renders it')
}

test.run()
