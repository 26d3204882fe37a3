// Admission over real HTTPS: the embedded API server calls replicas of the webhook as its configurations say.
import { spawn } from 'node:child_process'
import { X509Certificate } from 'node:crypto'
import { writeFile, mkdtemp, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { connect } from 'node:tls'
import { test } from 'uvu'
import * as assert from 'uvu/assert'
import {
  IPINSTANCES,
  MUTATING_WEBHOOK_CONFIGURATIONS,
  NETWORKS,
  PODS,
  SECRETS,
  SUBNETS,
  VALIDATING_WEBHOOK_CONFIGURATIONS,
  type KubeObject,
  type Pod,
} from '../../../lib/api/index.ts'
import { KubeClient, errorText } from '../../../lib/kube/index.ts'
import { startApiServer, type ApiServer } from '../../../lib/standalone/apiserver/index.ts'
import { createLogger, silentLogger } from '../../../lib/telemetry/log.ts'
import { Registry } from '../../../lib/telemetry/metrics.ts'
import {
  startWebhook,
  type Webhook,
  type WebhookConfiguration,
  type WebhookOptions,
} from '../../../lib/webhook/index.ts'
import { eventually } from '../../support/eventually.ts'
import { createInstance, createLauncher, createMachine, installKubeVirt } from '../../support/kubevirt.ts'
import { bringUpLoopback } from '../../support/loopback.ts'

const crdDirectory = new URL('../../../charts/hybridnet/crds', import.meta.url).pathname
const N = 'networking.alibaba.com/'
const PATIENCE = 60_000
const log = process.env['TEST_LOG'] ? createLogger({ name: 'test', level: process.env['TEST_LOG'] }) : silentLogger()

let server: ApiServer
let client: KubeClient
let replicas: { readonly webhook: Webhook; readonly client: KubeClient; readonly registry: Registry }[] = []
let turn = 0

/** The replicas in turn, as a Service would. */
function resolveService(): { host: string; port: number } {
  const ports = replicas.map(({ webhook }) => webhook.port).filter((port) => port !== 0)
  const port = ports[turn++ % Math.max(1, ports.length)]
  if (port === undefined) throw new Error('no endpoints available for service "hybridnet-webhook"')
  return { host: '127.0.0.1', port }
}

async function startReplica(options: Partial<WebhookOptions> = {}): Promise<void> {
  const own = KubeClient.connect({ server: server.url })
  const registry = new Registry()
  const webhook = await startWebhook({
    client: own,
    log,
    registry,
    rules: {
      networkType: 'Overlay',
      ipFamily: 'IPv4Only',
      ipRetain: true,
      statefulKinds: ['StatefulSet'],
      virtualMachines: true,
      multiCluster: false,
      capacityLimit: 0,
      handles: (labels) => labels?.['skip'] === undefined,
    },
    host: '127.0.0.1',
    port: 0,
    service: { namespace: 'kube-system', name: 'hybridnet-webhook', port: 443 },
    secretName: 'hybridnet-webhook-tls',
    register: true,
    ...options,
  })
  replicas.push({ webhook, client: own, registry })
}

async function stopReplicas(): Promise<void> {
  for (const replica of replicas.splice(0)) {
    await replica.webhook.stop()
    replica.client.close()
  }
}

const configurations = (): Promise<WebhookConfiguration[]> =>
  Promise.all([
    client.get<WebhookConfiguration>(VALIDATING_WEBHOOK_CONFIGURATIONS, { name: 'hybridnet-validating-webhook' }),
    client.get<WebhookConfiguration>(MUTATING_WEBHOOK_CONFIGURATIONS, { name: 'hybridnet-mutating-webhook' }),
  ])

/** Both configurations trust one and the same bundle. @returns it */
function bundle(): Promise<string> {
  return eventually(async () => {
    const all = (await configurations()).flatMap(({ webhooks }) => webhooks ?? [])
    const bundles = new Set(all.map(({ clientConfig }) => clientConfig.caBundle ?? ''))
    return all.length === 3 && bundles.size === 1 ? [...bundles].join() : null
  }, PATIENCE)
}

/** Every replica serves, and is trusted. */
async function ready(): Promise<void> {
  await eventually(() => replicas.every(({ webhook }) => webhook.port !== 0 && webhook.notReady() === null), PATIENCE)
  await bundle()
}

function served(port: number): Promise<string> {
  return new Promise((resolve, reject) => {
    const socket = connect({ host: '127.0.0.1', port, rejectUnauthorized: false }, () => {
      resolve(new X509Certificate(socket.getPeerCertificate().raw).fingerprint256)
      socket.destroy()
    })
    socket.on('error', reject)
  })
}

async function refusal(work: Promise<unknown>): Promise<string> {
  try {
    await work
  } catch (error) {
    return errorText(error)
  }
  return assert.unreachable('it was admitted') as never
}

const network = (name: string, spec: object, dryRun = false): Promise<unknown> =>
  client.create(NETWORKS, { metadata: { name }, spec } as never, { dryRun })
const subnet = (name: string, cidr: string, dryRun = false): Promise<unknown> =>
  client.create(SUBNETS, { metadata: { name }, spec: { network: 'over', range: { version: '4', cidr } } } as never, {
    dryRun,
  })
const pod = (name: string, annotations: Record<string, string> = {}, spec: object = {}): Promise<Pod> =>
  client.create<never>(PODS, {
    metadata: { name, namespace: 'default', annotations },
    spec: { containers: [{ name: 'main', image: 'none' }], ...spec },
  } as never)

test.before(async () => {
  bringUpLoopback()
  server = await startApiServer({ listen: [{ host: '127.0.0.1', port: 0 }], crdDirectory, resolveService })
  client = KubeClient.connect({ server: server.url })
})
test.after(async () => {
  await stopReplicas()
  client.close()
  await server.close()
})

test('two replicas started at once share one Secret, and serve the same certificate', async () => {
  await Promise.all([startReplica(), startReplica()])
  await ready()
  const { items } = await client.list<KubeObject>(SECRETS, { namespace: 'kube-system' })
  assert.is(items.filter(({ metadata }) => metadata.name === 'hybridnet-webhook-tls').length, 1)
  const [first, second] = await Promise.all(replicas.map(({ webhook }) => served(webhook.port)))
  assert.is(first, second)
})

test('the caBundle comes back when it is removed, and the configuration when it is deleted', async () => {
  const before = await bundle()
  const path = '/webhooks/0/clientConfig/caBundle'
  const name = 'hybridnet-validating-webhook'
  await client.patch('json', VALIDATING_WEBHOOK_CONFIGURATIONS, { name }, [{ op: 'remove', path }])
  assert.is(await bundle(), before)
  await client.delete(MUTATING_WEBHOOK_CONFIGURATIONS, { name: 'hybridnet-mutating-webhook' })
  assert.is(await eventually(() => bundle(), PATIENCE), before)
})

test('our kinds: what is wrong is refused through the API server', async () => {
  await network('over', { type: 'Overlay', netID: 4 })
  const second = await refusal(network('second', { type: 'Overlay', netID: 5 }))
  assert.match(second, /admission webhook "hybridnet-v1\.validating\.hybridnet" denied the request/)
  assert.match(second, /spec\.type is "Overlay": there is already the Overlay Network "over"/)
  await subnet('s1', '10.0.0.0/24')
  assert.match(await refusal(subnet('s2', '10.0.0.0/25')), /overlap but have different CIDRs/)
  await client.create(IPINSTANCES, {
    metadata: {
      name: '10-0-0-5',
      namespace: 'default',
      labels: { [`${N}subnet`]: 's1', [`${N}network`]: 'over', [`${N}pod`]: 'web-0', [`${N}node`]: 'n1' },
    },
    spec: { network: 'over', subnet: 's1', address: { version: '4', ip: '10.0.0.5/24', mac: '02:12:34:00:00:01' } },
  } as never)
  const kept = /1 addresses of the Subnet are held: default\/web-0 \(10\.0\.0\.5\)/
  assert.match(await refusal(client.delete(SUBNETS, { name: 's1' })), kept)
  const range = { version: '4', cidr: '10.0.0.0/24', start: '10.0.0.100' }
  const shrunk = client.patch('merge', SUBNETS, { name: 's1' }, { spec: { range } })
  assert.match(await refusal(shrunk), /held would be outside: default\/web-0/)
  assert.match(
    await refusal(client.delete(NETWORKS, { name: 'over' })),
    /still has the Subnets s1, and with them default\/web-0/,
  )
  await client.delete(IPINSTANCES, { name: '10-0-0-5', namespace: 'default' })
  await client.delete(SUBNETS, { name: 's1' })
})

test('of two that exclude each other, made at once, one replica admits one', async () => {
  const [kept, other] = replicas.splice(0) as [(typeof replicas)[0], (typeof replicas)[0]]
  replicas = [kept]
  const results = await Promise.allSettled([network('g1', { type: 'GlobalBGP' }), network('g2', { type: 'GlobalBGP' })])
  replicas = [kept, other]
  assert.equal(results.map(({ status }) => status).sort(), ['fulfilled', 'rejected'])
})

test("what was deleted or changed a moment ago stands in nobody's way", async () => {
  await network('brief', { type: 'Underlay', netID: 7, nodeSelector: { rack: 'r1' } })
  await client.patch('merge', NETWORKS, { name: 'brief' }, { metadata: { labels: { touched: 'yes' } } })
  await client.create(SUBNETS, {
    metadata: { name: 'brief-1' },
    spec: { network: 'brief', range: { version: '4', cidr: '10.77.0.0/24', gateway: '10.77.0.1' } },
  } as never)
  await client.patch('merge', SUBNETS, { name: 'brief-1' }, { metadata: { labels: { touched: 'yes' } } })
  await client.delete(SUBNETS, { name: 'brief-1' })
  await client.delete(NETWORKS, { name: 'brief' })
  await network('brief', { type: 'Underlay', netID: 7, nodeSelector: { rack: 'r1' } })
  await client.delete(NETWORKS, { name: 'brief' })
})

test('a request target that is no URL does no harm', async () => {
  const port = replicas[0]?.webhook.port ?? 0
  const answer = await new Promise<string>((resolve, reject) => {
    let text = ''
    const socket = connect({ host: '127.0.0.1', port, rejectUnauthorized: false }, () =>
      socket.end('GET // HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n'),
    )
    socket.on('data', (chunk: Buffer) => (text += chunk.toString()))
    socket.on('close', () => resolve(text))
    socket.on('error', reject)
  })
  assert.match(answer, /^HTTP\/1\.1 404 /)
  await network('still-judged', { type: 'Underlay', netID: 8, nodeSelector: { rack: 'r2' } }, true)
})

test('pods: written on, steered, refused; those who opt out are not asked about', async () => {
  await subnet('s3', '10.3.0.0/24')
  await client.patchStatus('merge', NETWORKS, { name: 'over' }, { status: { statistics: { total: 9, used: 0, available: 9 } } }) // prettier-ignore
  const made = await eventually(() => pod('web-1'), PATIENCE)
  assert.is(made.metadata.annotations?.[`${N}handled-by-webhook`], 'true')
  assert.is(made.metadata.annotations?.[`${N}network-type`], 'Overlay')
  assert.is(made.spec?.nodeSelector?.[`${N}overlay-network-attachment`], 'true')
  const young = await pod('web-2', { [`${N}specified-subnet`]: 's3' })
  assert.is(young.metadata.annotations?.[`${N}specified-network`], 'over', 'a Subnet the copy may not have yet')
  const wrong = await refusal(pod('web-3', { [`${N}specified-subnet`]: 'gone' }))
  assert.match(wrong, /specified-subnet\] is "gone": specified-subnet "gone" does not exist; name one Subnet/)
  const host = await pod('web-4', {}, { hostNetwork: true })
  assert.ok(host.spec?.tolerations?.some(({ key }) => key === 'node.kubernetes.io/network-unavailable'))
  const opted = await client.create<never>(PODS, {
    metadata: { name: 'web-5', namespace: 'default', labels: { 'webhook.hybridnet.io/ignore': 'true' } },
    spec: { containers: [{ name: 'main', image: 'none' }] },
  } as never)
  assert.is((opted as Pod).metadata.annotations?.[`${N}handled-by-webhook`], undefined)
  const series = (await Promise.all(replicas.map(({ registry }) => registry.metrics()))).join('\n')
  assert.match(series, /controller_runtime_webhook_requests_total\{webhook="\/mutate",code="200"\} \d+/)
  assert.match(series, /hybridnet_webhook_decisions_total\{kind="v1\/Pod",operation="CREATE",decision="denied"\} \d+/)
})

test('VMIPRetain: KubeVirt may be absent, appear later, and not answer (D36)', async () => {
  await client.create(SUBNETS, { metadata: { name: 'vm4' }, spec: { network: 'over', range: { version: '4', cidr: '10.4.0.0/24' } } } as never) // prettier-ignore
  const ghost = { metadata: { name: 'vm0', namespace: 'default', uid: 'ghost' } }
  const absent = await eventually(() => createLauncher(client, 'launcher-0', ghost), PATIENCE)
  assert.is(absent.metadata.annotations?.[`${N}specified-network`], undefined, 'no KubeVirt')
  await installKubeVirt(client)
  const run = await createInstance(client, 'vm1', await createMachine(client, 'vm1'))
  const labels = { [`${N}vm`]: 'vm1', [`${N}subnet`]: 'vm4', [`${N}network`]: 'over' }
  await client.create(IPINSTANCES, {
    metadata: { name: '10-4-0-5', namespace: 'default', labels },
    spec: { network: 'over', subnet: 'vm4', address: { version: '4', ip: '10.4.0.5/24', mac: '02:12:34:00:00:01' } },
  } as never)
  let turn = 0
  await eventually(async () => {
    const made = await createLauncher(client, `launcher-${++turn}`, run)
    return made.metadata.annotations?.[`${N}specified-network`] === 'over'
  }, PATIENCE)
  const fault = server.faults.add({ verb: 'get', resource: 'virtualmachineinstances', effect: 'stall' })
  const waiting = createLauncher(client, 'launcher-slow', run).then(
    () => 'made',
    (error: unknown) => errorText(error),
  )
  await eventually(() => fault.hit > 0, PATIENCE)
  assert.is((await pod('beside')).metadata.annotations?.[`${N}handled-by-webhook`], 'true')
  fault.remove()
  console.log(`a launcher whose VirtualMachineInstance could not be read in time: ${await waiting}`)
})

test('pods outside --pod-label-selector pass as they are', async () => {
  const metadata = { name: 'skipped', namespace: 'default', labels: { skip: '' } }
  const annotations = { [`${N}specified-network`]: 'gone' }
  const spec = { containers: [{ name: 'main', image: 'none' }] }
  const made: Pod = await client.create<never>(PODS, { metadata: { ...metadata, annotations }, spec } as never)
  assert.equal(made.metadata.annotations, annotations)
  assert.is(made.spec?.nodeSelector, undefined)
})

test('while no replica is there pods are admitted untouched, our kinds are not', async () => {
  await stopReplicas()
  const bare = await pod('bare')
  assert.is(bare.metadata.annotations?.[`${N}handled-by-webhook`], undefined)
  const message = await refusal(network('late', { type: 'Underlay', nodeSelector: { a: 'b' } }))
  assert.match(message, /failed calling webhook "hybridnet-v1\.validating\.hybridnet"/)
})

test('certificates and authority are replaced under load, and no call is lost', async () => {
  await client.delete(SECRETS, { name: 'hybridnet-webhook-tls', namespace: 'kube-system' })
  // Long lives, early renewal: a slow machine is late, but nothing ever expires.
  const day = 86_400
  const often = { certificateDays: 600 / day, authorityDays: 1600 / day, renewAt: 0.004, settleMs: 2000 }
  await Promise.all([startReplica(often), startReplica(often)])
  await ready()
  const bundles = new Set<string>()
  const certificates = new Set<string>()
  const lost: string[] = []
  let calls = 0
  let loading = true
  const load = Array.from({ length: 3 }, async (_, worker) => {
    while (loading) {
      calls++
      await subnet(`load-${worker}`, `10.9.${worker}.0/24`, true).catch((error: unknown) => lost.push(errorText(error)))
    }
  })
  try {
    const first = await bundle()
    await eventually(
      async () => {
        for (const { webhook } of replicas) certificates.add(await served(webhook.port))
        const now = await bundle()
        bundles.add(now)
        const blocks = Buffer.from(now, 'base64').toString().split('BEGIN CERTIFICATE').length - 1
        // At least one authority came, served and remained alone; and certificates changed more than once.
        return blocks === 1 && now !== first && certificates.size >= 3
      },
      90_000,
      100,
    )
  } finally {
    loading = false
    await Promise.all(load)
  }
  console.log(`${calls} calls, ${certificates.size} certificates, ${bundles.size} bundles`)
  assert.equal(lost, [])
  assert.ok(calls > certificates.size, String(calls))
  await stopReplicas()
})

test('as a program: serves when told, ends on SIGTERM', async () => {
  const directory = await mkdtemp(join(tmpdir(), 'webhook-'))
  try {
    await client.delete(SECRETS, { name: 'hybridnet-webhook-tls', namespace: 'kube-system' })
    const kubeconfig = join(directory, 'kubeconfig')
    await writeFile(kubeconfig, server.kubeconfig())
    const program = new URL('../../../lib/main/hybridnet.ts', import.meta.url).pathname
    const child = spawn(
      process.execPath,
      ['--import', 'tsx', program, 'webhook', '--port=0', '--kubeconfig', kubeconfig],
      { stdio: ['ignore', 'pipe', 'inherit'] },
    )
    let output = ''
    child.stdout.on('data', (chunk: Buffer) => (output += chunk.toString()))
    const exit = new Promise<number | null>((resolve) => child.once('exit', (code) => resolve(code)))
    try {
      const port = await eventually(
        () => /"port":(\d+),"msg":"admission is served"/.exec(output)?.[1] ?? null,
        PATIENCE,
      )
      assert.ok((await served(Number(port))).length > 0)
    } finally {
      child.kill('SIGTERM')
    }
    assert.is(await exit, 0, output)
  } finally {
    await rm(directory, { recursive: true, force: true })
  }
})

test.run()
