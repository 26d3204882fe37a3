// What a kubelet does with pods beyond their sandbox, as far as a network plugin notices: containers that end, probes from the
// node, chained plugins with what they ask for, and the configuration directory.
import { existsSync, readFileSync } from 'node:fs'
import { join } from 'node:path'
import { test } from 'uvu'
import * as assert from 'uvu/assert'
import { NODES, PODS } from '../../../lib/api/index.ts'
import { startCluster } from '../../../lib/standalone/cluster.ts'
import type { Condition, Pod } from '../../../lib/standalone/nodes/pod-status.ts'
import { echoPort } from '../../../lib/standalone/nodes/echo.ts'
import { probe } from '../../../lib/standalone/probe.ts'
import { silentLogger } from '../../../lib/telemetry/log.ts'
import { TestPlugin } from '../../support/cni-plugin.ts'
import { eventually } from '../../support/eventually.ts'
import { requireSandbox } from '../../support/sandbox.ts'

requireSandbox()
const limitMs = 60_000
const cluster = await startCluster({ nodes: 2, programs: false, log: silentLogger() })
const { client } = cluster
const plugin = new TestPlugin(join(cluster.directory, 'cni-bin'))
const node = cluster.node('node1')
test.after(() => cluster.stop())

interface Wire {
  cniVersion: string
  name: string
  plugins: object[]
}
const wire = plugin.conflist('10.9.1', '192.168.56.11') as Wire
const namespace = 'default'
type FullPod = Pod & {
  status: {
    phase: string
    podIP?: string
    conditions: Condition[]
    containerStatuses: { ready: boolean; restartCount: number; lastState: object }[]
  }
}
const getPod = (name: string): Promise<FullPod> => client.get<FullPod>(PODS, { namespace, name })
const createPod = (name: string, container: object, spec: object = {}, annotations: object = {}): Promise<unknown> =>
  client.create(PODS, {
    metadata: { name, namespace, annotations },
    spec: { nodeName: 'node1', containers: [{ name: 'main', image: 'process', ...container }], ...spec },
  })
const shell = (script: string): object => ({ command: ['sh', '-c', script] })
const inPhase = (name: string, phase: string): Promise<FullPod> =>
  eventually(async () => {
    const pod = await getPod(name)
    return pod.status.phase === phase && pod
  }, limitMs)
const conditionOf = (pod: FullPod, type: string): string =>
  pod.status.conditions.find((condition) => condition.type === type)?.status ?? 'none'
const whenReady = (name: string, status = 'True'): Promise<FullPod> =>
  eventually(async () => {
    const pod = await getPod(name)
    return conditionOf(pod, 'Ready') === status && pod
  }, limitMs)
const readiness = async (): Promise<string> => {
  const { status } = await client.get<{ status: { conditions: Condition[] } }>(NODES, { name: 'node1' })
  const ready = status.conditions.find(({ type }) => type === 'Ready')
  return `${ready?.status} ${ready?.message}`
}
const readinessBecomes = (pattern: RegExp): Promise<unknown> =>
  eventually(async () => pattern.test(await readiness()), limitMs)

test('the configuration directory is watched: the first valid list by name is in force', async () => {
  node.installConfig('30-wire.conflist', wire)
  await readinessBecomes(/^True /)
  node.removeConfig('30-wire.conflist')
  await readinessBecomes(/^False .*cni plugin not initialized/)
  node.installConfig('20-broken.conflist', { name: 'broken' })
  node.installConfig('30-wire.conflist', wire)
  await readinessBecomes(/^True /)
  node.removeConfig('20-broken.conflist')
  assert.is((await node.runtime.configList()).name, 'test')
  node.installConfig('10-first.conflist', { ...wire, name: 'first' })
  assert.is((await node.runtime.configList()).name, 'first')
  node.removeConfig('10-first.conflist')
})

test('a pod that completes has succeeded or failed, and keeps no sandbox', async () => {
  await createPod('good', shell('exit 0'), { restartPolicy: 'Never' })
  await createPod('bad', shell('exit 3'), { restartPolicy: 'Never' })
  const good = await inPhase('good', 'Succeeded')
  const bad = await inPhase('bad', 'Failed')
  for (const pod of [good, bad]) {
    assert.is(conditionOf(pod, 'Ready'), 'False')
    assert.is(conditionOf(pod, 'Initialized'), 'True')
    assert.match(pod.status.podIP ?? '', /^10\.9\.1\./, 'what its address was is still told')
  }
  assert.match(JSON.stringify(bad.status.containerStatuses), '"exitCode":3')
  await eventually(() => ['good', 'bad'].every((name) => node.kubelet.sandbox(namespace, name) === null), limitMs)
})

test('a container that fails is started again where its policy says so, in the same sandbox', async () => {
  const flag = join(cluster.directory, 'second-time')
  await createPod('again', shell(`[ -e ${flag} ] && exec sleep 600; touch ${flag}; exit 1`), {
    restartPolicy: 'OnFailure',
  })
  const pod = await eventually(async () => {
    const pod = await getPod('again')
    const [status] = pod.status.containerStatuses
    return status?.restartCount === 1 && status.ready && pod
  }, limitMs)
  assert.match(JSON.stringify(pod.status.containerStatuses[0]?.lastState), '"exitCode":1')
  const adds = plugin.calls().filter(({ command, args }) => command === 'ADD' && args.includes('K8S_POD_NAME=again;'))
  assert.is(adds.length, 1)
})

test('the sandbox of a pod that is told to go stays until its containers have ended', async () => {
  const heard = join(cluster.directory, 'heard')
  await createPod('slow', shell(`trap 'touch ${heard}' TERM; while :; do sleep 0.1; done`), {
    terminationGracePeriodSeconds: 3,
  })
  await inPhase('slow', 'Running')
  const { netns } = cluster.sandbox('slow').attachment
  await client.delete(PODS, { namespace, name: 'slow' })
  await eventually(() => existsSync(heard), limitMs)
  assert.ok(existsSync(netns), 'it was asked to end, and has not yet')
  await eventually(() => !existsSync(netns), limitMs)
  await eventually(async () => (await client.find(PODS, { namespace, name: 'slow' })) === null, limitMs)
})

test('readiness follows an HTTP probe, which comes from the node', async () => {
  const seen = join(cluster.directory, 'seen')
  const answer = join(cluster.directory, 'answer')
  const program = `require('node:http').createServer((request, response) => {
    require('node:fs').writeFileSync('${seen}', request.socket.remoteAddress + ' ' + request.headers['user-agent'])
    response.writeHead(require('node:fs').existsSync('${answer}') ? 503 : 200).end()
  }).listen(8080, '0.0.0.0')`
  await createPod('web', {
    command: [process.execPath, '-e', program],
    ports: [{ name: 'http', containerPort: 8080 }],
    readinessProbe: { httpGet: { path: '/', port: 'http' }, periodSeconds: 1, failureThreshold: 1, timeoutSeconds: 20 },
  })
  const pod = await whenReady('web')
  assert.is(conditionOf(pod, 'ContainersReady'), 'True')
  assert.match(readFileSync(seen, 'utf8'), /^192\.168\.56\.11 kube-probe/)
  await node.exec(['touch', answer])
  const unready = await whenReady('web', 'False')
  assert.is(unready.status.phase, 'Running')
  assert.match(
    unready.status.conditions.find(({ type }) => type === 'Ready')?.message ?? '',
    /containers with unready status: \[main\]/,
  )
})

test('a TCP probe makes a pod ready; one of liveness that fails has the container started again', async () => {
  const sick = join(cluster.directory, 'sick')
  await createPod('alive', {
    image: 'none',
    readinessProbe: { tcpSocket: { port: echoPort }, periodSeconds: 1, timeoutSeconds: 20 },
    livenessProbe: {
      exec: { command: ['test', '!', '-e', sick] },
      periodSeconds: 1,
      failureThreshold: 1,
      timeoutSeconds: 20,
    },
  })
  await whenReady('alive')
  await node.exec(['touch', sick])
  await eventually(async () => ((await getPod('alive')).status.containerStatuses[0]?.restartCount ?? 0) >= 1, limitMs)
  await node.exec(['rm', sick])
  await whenReady('alive')
})

test('chained plugins get what they ask for: port mappings and bandwidth, until DEL', async () => {
  // Which plugins of the first place do, and this one leaves to its tests.
  await node.exec(['sysctl', '-qw', 'net.ipv4.ip_forward=1'])
  node.installConfig('10-chain.conflist', {
    ...wire,
    name: 'chain',
    plugins: [
      ...wire.plugins,
      { type: 'portmap', capabilities: { portMappings: true }, snat: true, backend: 'iptables' },
      { type: 'bandwidth', capabilities: { bandwidth: true } },
      { type: 'tuning', sysctl: { 'net.ipv4.conf.eth0.arp_announce': '2' } },
    ],
  })
  const ports = [{ containerPort: echoPort, hostPort: 8088 }]
  await createPod('mapped', { image: 'none', ports }, {}, { 'kubernetes.io/ingress-bandwidth': '10M' })
  await whenReady('mapped')
  const ask = async (): Promise<string | null> => {
    const target = { address: '192.168.56.11', port: 8088 }
    return (await probe(cluster.node('node2').host.namespace, target)).greeting?.source ?? null
  }
  assert.is(await ask(), '192.168.56.12', 'through the node')
  const { containerId } = cluster.sandbox('mapped')
  const { stdout: shaped } = await node.exec(['tc', 'qdisc', 'show', 'dev', `w${containerId.slice(0, 10)}`])
  assert.match(shaped, /tbf .* rate 10Mbit/)
  const { stdout: tuned } = await cluster.exec('mapped', ['sysctl', '-n', 'net.ipv4.conf.eth0.arp_announce'])
  assert.is(tuned.trim(), '2')
  // Its configuration is remembered: what becomes of the file has no influence on DEL.
  node.removeConfig('10-chain.conflist')
  await client.delete(PODS, { namespace, name: 'mapped' })
  await eventually(async () => (await client.find(PODS, { namespace, name: 'mapped' })) === null, limitMs)
  assert.is(await ask(), null)
  const { stdout: rules } = await node.exec(['iptables', '-t', 'nat', '-S'])
  assert.not.match(rules, /8088/)
})

test.run()
