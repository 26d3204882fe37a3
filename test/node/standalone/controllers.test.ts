// Deployments, ReplicaSets, StatefulSets and endpoints against the embedded API server over HTTP, with pods that run as
// the test says; kubectl as the user where this machine has it.
import { test } from 'uvu'
import * as assert from 'uvu/assert'
import { ENDPOINT_SLICES, PODS, SERVICES } from '../../../lib/api/index.ts'
import { KubeClient, type KubeObject, objectKey } from '../../../lib/kube/index.ts'
import { type ApiServer, startApiServer } from '../../../lib/standalone/apiserver/index.ts'
import { Controllers, DEPLOYMENTS, ENDPOINTS, REPLICA_SETS, STATEFUL_SETS } from '../../../lib/standalone/controllers/index.ts' // prettier-ignore
import type { Deployment, Endpoints, EndpointSlice, ReplicaSet, StatefulSet } from '../../../lib/standalone/controllers/types.ts' // prettier-ignore
import { silentLogger } from '../../../lib/telemetry/log.ts'
import { eventually } from '../../support/eventually.ts'
import { HollowKubelet } from '../../support/hollow.ts'
import { hasKubectl, kubectlFor, type Kubectl } from '../../support/kubectl.ts'
import { bringUpLoopback } from '../../support/loopback.ts'

const namespace = 'default'
let server: ApiServer
let client: KubeClient
let controllers: Controllers
let kubelet: HollowKubelet
let kubectl: Kubectl
/** Pods of these images never become ready. */
const broken = new Set<string>()

type Pod = KubeObject & { spec: { containers: { image: string }[] }; status: { conditions?: { type: string; status: string }[] } } // prettier-ignore
const imageOf = (pod: KubeObject): string => (pod as Pod).spec.containers[0]?.image ?? ''

test.before(async () => {
  bringUpLoopback()
  server = await startApiServer({ listen: [{ host: '127.0.0.1', port: 0 }], tls: {} })
  client = KubeClient.connect({
    server: server.url,
    tls: { ca: server.caCert ?? '' },
    token: server.token ?? '',
  })
  // The hollow kubelet's node has no object; its pods are not to be swept away for that.
  controllers = new Controllers(client, silentLogger(), { graceMs: 40_000, orphanMs: 3_600_000 })
  await controllers.start()
  kubelet = await new HollowKubelet(client, { ready: (pod) => !broken.has(imageOf(pod)) }).start()
  kubectl = kubectlFor(server.kubeconfig())
})
test.after(async () => {
  await controllers.stop()
  await kubelet.stop()
  kubectl.close()
  client.close()
  await server.close()
})
const kubectlTest = (name: string, run: () => Promise<void>): void =>
  hasKubectl ? test(name, run) : test.skip(name, run)

const template = (app: string, image: string): object => ({
  metadata: { labels: { app } },
  spec: { containers: [{ name: 'main', image, ports: [{ name: 'web', containerPort: 8080 }] }] },
})
const workload = (
  name: string,
  image: string,
  spec: object,
): { metadata: { name: string; namespace: string } } & Record<string, unknown> => ({
  metadata: { name, namespace },
  spec: { selector: { matchLabels: { app: name } }, template: template(name, image), ...spec },
})
const podsOf = (app: string): KubeObject[] => kubelet.pods().filter(({ metadata }) => metadata.labels?.['app'] === app)
const namesOf = (app: string): string[] =>
  podsOf(app)
    .map(({ metadata }) => metadata.name ?? '')
    .sort()
const isReady = (pod: KubeObject): boolean =>
  (pod as Pod).status.conditions?.some(({ type, status }) => type === 'Ready' && status === 'True') === true
const setImage = (kind: typeof DEPLOYMENTS, name: string, image: string): Promise<unknown> =>
  client.patch('strategic', kind, { namespace, name }, { spec: { template: { spec: { containers: [{ name: 'main', image }] } } } }) // prettier-ignore
const deployment = (name: string): Promise<Deployment> => client.get<Deployment>(DEPLOYMENTS, { namespace, name })
const statefulSet = (name: string): Promise<StatefulSet> => client.get<StatefulSet>(STATEFUL_SETS, { namespace, name })
const complete = (name: string): Promise<boolean> =>
  eventually(async () => {
    const { metadata, spec, status } = await deployment(name)
    const wanted = spec.replicas ?? 0
    return (
      status?.observedGeneration === metadata.generation &&
      [status?.replicas, status?.updatedReplicas, status?.availableReplicas].every((count) => (count ?? 0) === wanted)
    )
  }, 15_000)

test('a ReplicaSet keeps its number: makes, replaces, adopts and lets go', async () => {
  await client.create(REPLICA_SETS, workload('rs', 'a', { replicas: 3 }))
  await eventually(() => podsOf('rs').filter(isReady).length === 3)
  const [victim = '', stray = ''] = namesOf('rs')
  await client.delete(PODS, { namespace, name: victim })
  await eventually(() => !namesOf('rs').includes(victim) && namesOf('rs').length === 3)
  // A pod that loses its label is no longer its, and is replaced; one that gets it is adopted, and one goes.
  await client.patch('merge', PODS, { namespace, name: stray }, { metadata: { labels: { app: 'other' } } })
  await eventually(async () => {
    const { metadata } = await client.get(PODS, { namespace, name: stray })
    return (metadata.ownerReferences ?? []).length === 0 && namesOf('rs').length === 3
  })
  await client.patch('merge', PODS, { namespace, name: stray }, { metadata: { labels: { app: 'rs' } } })
  await eventually(async () => {
    const { status } = await client.get<ReplicaSet>(REPLICA_SETS, { namespace, name: 'rs' })
    return namesOf('rs').length === 3 && status?.replicas === 3 && status.availableReplicas === 3
  })
  await client.delete(REPLICA_SETS, { namespace, name: 'rs' })
  await eventually(() => podsOf('rs').length === 0)
})

test('a Deployment rolls within its surge and unavailability, and stops at pods that do not become ready', async () => {
  const rollingUpdate = { maxSurge: 1, maxUnavailable: 1 }
  await client.create(DEPLOYMENTS, workload('web', 'one', { replicas: 4, strategy: { type: 'RollingUpdate', rollingUpdate } })) // prettier-ignore
  await complete('web')
  let [most, fewest] = [0, 99]
  const timer = setInterval(() => {
    const staying = podsOf('web').filter(({ metadata }) => metadata.deletionTimestamp === undefined)
    most = Math.max(most, staying.length)
    fewest = Math.min(fewest, staying.filter(isReady).length)
  }, 2)
  await setImage(DEPLOYMENTS, 'web', 'two')
  await eventually(() => podsOf('web').every((pod) => imageOf(pod) === 'two') && podsOf('web').length === 4, 15_000)
  await complete('web')
  clearInterval(timer)
  assert.ok(most <= 5 && fewest >= 3, `${most} pods at most, ${fewest} ready at least`)
  broken.add('bad')
  await setImage(DEPLOYMENTS, 'web', 'bad')
  await eventually(() => podsOf('web').filter((pod) => imageOf(pod) === 'bad').length === 2)
  await new Promise((resolve) => setTimeout(resolve, 300))
  assert.is(podsOf('web').filter((pod) => imageOf(pod) === 'two' && isReady(pod)).length, 3)
  const { status, metadata } = await deployment('web')
  assert.is(metadata.annotations?.['deployment.kubernetes.io/revision'], '3')
  assert.is(status?.conditions?.find(({ type }) => type === 'Available')?.reason, 'MinimumReplicasAvailable')
  // Scaled in the middle of a roll: all ReplicaSets get their share, and the broken one does not take over.
  await client.patch('merge', DEPLOYMENTS, { namespace, name: 'web' }, { spec: { replicas: 8 } })
  await eventually(() => podsOf('web').length === 9)
  assert.ok(podsOf('web').filter((pod) => imageOf(pod) === 'two').length >= 5)
  await setImage(DEPLOYMENTS, 'web', 'two')
  await complete('web')
  assert.ok(podsOf('web').every((pod) => imageOf(pod) === 'two'))
  assert.is((await deployment('web')).metadata.annotations?.['deployment.kubernetes.io/revision'], '4')
})

test('Recreate starts nothing new before the last old pod is gone; a deadline that passes is told', async () => {
  await client.create(
    DEPLOYMENTS,
    workload('solo', 'one', { replicas: 2, strategy: { type: 'Recreate' }, progressDeadlineSeconds: 1 }),
  )
  await complete('solo')
  let both = false
  const timer = setInterval(() => {
    both ||= new Set(podsOf('solo').map(imageOf)).size > 1
  }, 1)
  await setImage(DEPLOYMENTS, 'solo', 'two')
  await eventually(() => podsOf('solo').length === 2 && podsOf('solo').every((pod) => imageOf(pod) === 'two'), 10_000)
  clearInterval(timer)
  assert.not(both, 'old and new pods side by side')
  await complete('solo')
  broken.add('stuck')
  await setImage(DEPLOYMENTS, 'solo', 'stuck')
  await eventually(async () => {
    const { status } = await deployment('solo')
    return status?.conditions?.find(({ type }) => type === 'Progressing')?.reason === 'ProgressDeadlineExceeded'
  }, 10_000)
})

kubectlTest('kubectl: rollout status, history, undo, pause, scale and expose', async () => {
  await kubectl('create', 'deployment', 'app', '--image=v1', '--replicas=2')
  assert.match(await kubectl('rollout', 'status', 'deployment/app', '--timeout=20s'), 'successfully rolled out')
  await kubectl('set', 'image', 'deployment/app', '*=v2')
  await kubectl('annotate', 'deployment/app', 'kubernetes.io/change-cause=second')
  await kubectl('rollout', 'status', 'deployment/app', '--timeout=20s')
  await eventually(
    async () => assert.match(await kubectl('rollout', 'history', 'deployment/app'), /2 +second/),
    5000,
    200,
  )
  assert.match(await kubectl('rollout', 'history', 'deployment/app', '--revision=1'), /Image:\s+v1/)
  await kubectl('rollout', 'undo', 'deployment/app')
  await kubectl('rollout', 'status', 'deployment/app', '--timeout=20s')
  assert.equal([...new Set(podsOf('app').map(imageOf))], ['v1'])
  assert.match(await kubectl('rollout', 'history', 'deployment/app'), /3 +</)
  assert.match(await kubectl('scale', 'deployment/app', '--replicas=5'), 'deployment.apps/app scaled')
  await complete('app')
  assert.match(await kubectl('get', 'deployment', 'app'), /app +5\/5 +5 +5/)
  await kubectl('rollout', 'pause', 'deployment/app')
  await kubectl('set', 'image', 'deployment/app', '*=v3')
  await kubectl('scale', 'deployment/app', '--replicas=3', '--current-replicas=5')
  await eventually(() => podsOf('app').length === 3 && podsOf('app').every((pod) => imageOf(pod) === 'v1'))
  await kubectl('rollout', 'resume', 'deployment/app')
  await kubectl('rollout', 'status', 'deployment/app', '--timeout=20s')
  assert.equal([...new Set(podsOf('app').map(imageOf))], ['v3'])
  await kubectl('expose', 'deployment/app', '--port=80', '--target-port=8080')
  await eventually(async () => assert.match(await kubectl('get', 'endpoints', 'app'), /:8080,.*:8080/), 5000, 200)
  assert.match(await kubectl('describe', 'deployment', 'app'), /ScalingReplicaSet/)
  await kubectl('delete', 'deployment,service', 'app', '--timeout=20s')
  await eventually(() => podsOf('app').length === 0)
})

test('a StatefulSet goes up in order and down in reverse, and waits for each pod', async () => {
  broken.add('slow')
  const order: string[] = []
  const timer = setInterval(() => {
    for (const name of namesOf('db')) if (order.at(-1) !== name && !order.includes(name)) order.push(name)
  }, 1)
  await client.create(STATEFUL_SETS, workload('db', 'slow', { replicas: 3, serviceName: 'db' }))
  await eventually(() => namesOf('db').length === 1)
  await new Promise((resolve) => setTimeout(resolve, 200))
  assert.equal(namesOf('db'), ['db-0'], 'the second waits for the first')
  broken.delete('slow')
  kubelet.look()
  await eventually(() => podsOf('db').filter(isReady).length === 3)
  clearInterval(timer)
  assert.equal(order, ['db-0', 'db-1', 'db-2'])
  const [first] = podsOf('db').filter(({ metadata }) => metadata.name === 'db-0')
  assert.is((first as unknown as { spec: { hostname: string; subdomain: string } }).spec.hostname, 'db-0')
  assert.is(first?.metadata.labels?.['statefulset.kubernetes.io/pod-name'], 'db-0')
  const down: string[][] = []
  const watcher = setInterval(() => {
    const names = namesOf('db')
    if (JSON.stringify(down.at(-1)) !== JSON.stringify(names)) down.push(names)
  }, 1)
  await client.patch(
    'merge',
    STATEFUL_SETS,
    { namespace, name: 'db' },
    { spec: { replicas: 1 } },
    { subresource: 'scale' },
  )
  await eventually(() => down.at(-1)?.length === 1)
  clearInterval(watcher)
  assert.equal(down.at(-1), ['db-0'])
  assert.ok(
    down.every((names) => names.includes('db-0')),
    JSON.stringify(down),
  )
  assert.not(down.some((names) => names.includes('db-2') && !names.includes('db-1')))
  await eventually(async () => (await statefulSet('db')).status?.replicas === 1)
})

test('a StatefulSet rolls from the top down to its partition; OnDelete and Parallel do as they are called', async () => {
  const ref = { namespace, name: 'roll' }
  await client.create(STATEFUL_SETS, workload('roll', 'one', { replicas: 3, podManagementPolicy: 'Parallel', updateStrategy: { type: 'RollingUpdate', rollingUpdate: { partition: 2 } } })) // prettier-ignore
  await eventually(async () => (await statefulSet('roll')).status?.availableReplicas === 3)
  const before = new Map(podsOf('roll').map(({ metadata }) => [metadata.name, metadata.uid]))
  await setImage(STATEFUL_SETS, 'roll', 'two')
  const images = (): string[] =>
    podsOf('roll').filter(isReady).sort((a, b) => ((a.metadata.name ?? '') < (b.metadata.name ?? '') ? -1 : 1)).map(imageOf) // prettier-ignore
  await eventually(() => images().join() === 'one,one,two')
  const halfway = await eventually(async () => {
    const { status } = await statefulSet('roll')
    return status?.updatedReplicas === 1 && status.currentReplicas === 2 && status
  })
  assert.ok(halfway.currentRevision !== halfway.updateRevision)
  // A pod below the partition comes back as it was.
  await client.delete(PODS, { namespace, name: 'roll-0' })
  await eventually(() => podsOf('roll').some(({ metadata }) => metadata.name === 'roll-0' && metadata.uid !== before.get('roll-0'))) // prettier-ignore
  await eventually(() => images().join() === 'one,one,two')
  await client.patch('merge', STATEFUL_SETS, ref, { spec: { updateStrategy: { rollingUpdate: { partition: 0 } } } })
  await eventually(() => images().join() === 'two,two,two')
  await eventually(async () => {
    const { status } = await statefulSet('roll')
    return status?.currentRevision === status?.updateRevision && status?.currentReplicas === 3
  })
  await client.patch('merge', STATEFUL_SETS, ref, {
    spec: { updateStrategy: { type: 'OnDelete', rollingUpdate: null } },
  })
  await setImage(STATEFUL_SETS, 'roll', 'three')
  await eventually(async () => {
    const { metadata, status } = await statefulSet('roll')
    return status?.observedGeneration === metadata.generation
  })
  assert.is(images().join(), 'two,two,two')
  await client.delete(PODS, { namespace, name: 'roll-1' })
  await eventually(() => images().join() === 'two,three,two')
})

kubectlTest('kubectl: a StatefulSet is scaled, rolled, told of and rolled back', async () => {
  await client.create(STATEFUL_SETS, workload('kdb', 'one', { replicas: 0, serviceName: 'kdb' }))
  await kubectl('scale', 'statefulset/kdb', '--replicas=3')
  assert.match(await kubectl('rollout', 'status', 'statefulset/kdb', '--timeout=20s'), /roll out complete: 3 new pods/)
  await kubectl('set', 'image', 'statefulset/kdb', '*=two')
  assert.match(await kubectl('rollout', 'status', 'statefulset/kdb', '--timeout=20s'), /roll out complete: 3 new pods/)
  assert.match(await kubectl('rollout', 'history', 'statefulset/kdb'), /1 .*\n2 /)
  await kubectl('rollout', 'undo', 'statefulset/kdb', '--to-revision=1')
  await kubectl('rollout', 'status', 'statefulset/kdb', '--timeout=20s')
  assert.equal([...new Set(podsOf('kdb').map(imageOf))], ['one'])
  assert.match(await kubectl('get', 'statefulset', 'kdb'), /kdb +3\/3/)
})

test('slices and Endpoints follow the pods: readiness, named ports, more than a slice holds, the end', async () => {
  const spec = { selector: { app: 'many' }, ports: [{ name: 'http', port: 80, targetPort: 'web' }] }
  await client.create(SERVICES, { metadata: { name: 'many', namespace }, spec })
  await client.create(REPLICA_SETS, workload('many', 'quiet', { replicas: 120 }))
  const slices = async (): Promise<EndpointSlice[]> =>
    (await client.list<EndpointSlice>(ENDPOINT_SLICES, { namespace, labelSelector: 'kubernetes.io/service-name=many' })).items // prettier-ignore
  const counted = async (): Promise<{ ready: number; all: number; sizes: number[] }> => {
    const found = await slices()
    const endpoints = found.flatMap((slice) => slice.endpoints ?? [])
    const sizes = found.map((slice) => slice.endpoints?.length ?? 0)
    return { ready: endpoints.filter(({ conditions }) => conditions?.ready).length, all: endpoints.length, sizes }
  }
  await eventually(async () => (await counted()).ready === 120, 90_000, 50)
  const { all, sizes } = await counted()
  assert.is(all, 120)
  assert.ok(sizes.length >= 2 && sizes.every((size) => size <= 100), sizes.join())
  const [slice] = await slices()
  assert.equal(slice?.ports, [{ name: 'http', port: 8080, protocol: 'TCP' }])
  assert.is(slice?.endpoints?.[0]?.nodeName, 'hollow')
  const addresses = async (member: 'addresses' | 'notReadyAddresses'): Promise<number> => {
    const { subsets = [] } = await client.get<Endpoints>(ENDPOINTS, { namespace, name: 'many' })
    return subsets.reduce<number>((total, subset) => total + ((subset as Record<string, unknown[]>)[member]?.length ?? 0), 0) // prettier-ignore
  }
  await eventually(async () => (await addresses('addresses')) === 120, 10_000, 50)
  broken.add('quiet')
  kubelet.look()
  await eventually(
    async () => (await counted()).ready === 0 && (await addresses('notReadyAddresses')) === 120,
    20_000,
    50,
  )
  await client.delete(REPLICA_SETS, { namespace, name: 'many' })
  await eventually(async () => (await slices()).length === 0, 20_000, 50)
  await client.delete(SERVICES, { namespace, name: 'many' })
  await eventually(async () => (await client.find(ENDPOINTS, { namespace, name: 'many' })) === null)
})

test('scale says what is wrong with it', async () => {
  const ref = { namespace, name: 'db' }
  const scale = (body: object): Promise<unknown> => client.patch('merge', STATEFUL_SETS, ref, body, { subresource: 'scale' }) // prettier-ignore
  const fails = async (body: object, expected: RegExp): Promise<void> => {
    try {
      await scale(body)
    } catch (error) {
      assert.match(String(error), expected)
      return
    }
    assert.unreachable(`no error for ${JSON.stringify(body)}`)
  }
  await fails({ spec: { replicas: -1 } }, /422 .*spec\.replicas: Invalid value: -1: must be greater than or equal to 0/)
  await fails({ spec: { replicas: 'two' } }, /400 .*expected an integer/)
  await fails({ metadata: { resourceVersion: '1' }, spec: { replicas: 2 } }, /409 Conflict/)
  assert.is((await statefulSet('db')).spec.replicas, 1)
  assert.is(objectKey(ref), 'default/db')
})

test.run()
