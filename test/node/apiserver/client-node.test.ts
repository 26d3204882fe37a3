// @kubernetes/client-node, a client that somebody else wrote, against the embedded server: its typed API, its object API, its
// watch and its informer, the latter through everything a server does to watches.
import {
  ApiException,
  AppsV1Api,
  CoordinationV1Api,
  CoreV1Api,
  CustomObjectsApi,
  type Informer,
  KubeConfig,
  KubernetesObjectApi,
  makeInformer,
  type ObjectCache,
  PatchStrategy,
  type V1ConfigMap,
  V1MicroTime,
  type V1Status,
  VersionApi,
  Watch,
} from '@kubernetes/client-node'
import { test } from 'uvu'
import * as assert from 'uvu/assert'
import { type ApiServer, startApiServer } from '../../../lib/standalone/apiserver/index.ts'
import { crdDirectory } from '../../../lib/standalone/project.ts'
import { eventually } from '../../support/eventually.ts'
import { bringUpLoopback } from '../../support/loopback.ts'

const namespace = 'default'
let server: ApiServer
let config: KubeConfig
let core: CoreV1Api
let objects: KubernetesObjectApi

test.before(async () => {
  bringUpLoopback()
  server = await startApiServer({ listen: [{ host: '127.0.0.1', port: 0 }], tls: {}, crdDirectory: crdDirectory() })
  config = new KubeConfig()
  config.loadFromString(server.kubeconfig())
  core = config.makeApiClient(CoreV1Api)
  objects = KubernetesObjectApi.makeApiClient(config)
})
test.after(() => server.close())

/** The Status with which a call is refused. */
async function refusal(call: Promise<unknown>): Promise<V1Status> {
  try {
    await call
  } catch (error) {
    if (!(error instanceof ApiException)) throw error
    const body: unknown = error.body
    const status = (typeof body === 'string' ? JSON.parse(body) : body) as V1Status
    assert.is(status.code, error.code, 'the Status says what the header says')
    return status
  }
  throw new Error('expected a refusal')
}

const map = (name: string, data: Record<string, string> = {}, labels: Record<string, string> = {}): V1ConfigMap => ({
  apiVersion: 'v1',
  kind: 'ConfigMap',
  metadata: { name, namespace, labels },
  data,
})

test('typed API: every verb, dates as dates, refusals as Status', async () => {
  assert.match((await config.makeApiClient(VersionApi).getCode()).gitVersion, /^v1\.32\./)
  const made = await core.createNamespacedConfigMap({ namespace, body: map('typed', { a: 'b' }) })
  assert.instance(made.metadata?.creationTimestamp, Date)
  const again = await refusal(core.createNamespacedConfigMap({ namespace, body: map('typed') }))
  assert.equal([again.code, again.reason, again.details?.name], [409, 'AlreadyExists', 'typed'])
  const read = await core.readNamespacedConfigMap({ name: 'typed', namespace })
  assert.equal(read.data, { a: 'b' })
  const replaced = await core.replaceNamespacedConfigMap({
    name: 'typed',
    namespace,
    body: { ...read, data: { c: 'd' } },
  })
  assert.ok(replaced.metadata?.resourceVersion !== read.metadata?.resourceVersion)
  const stale = await refusal(core.replaceNamespacedConfigMap({ name: 'typed', namespace, body: read }))
  assert.equal([stale.code, stale.reason], [409, 'Conflict'])
  const list = await core.listNamespacedConfigMap({ namespace, fieldSelector: 'metadata.name=typed' })
  assert.equal(list.items.map(({ data }) => data), [{ c: 'd' }]) // prettier-ignore
  await core.deleteNamespacedConfigMap({ name: 'typed', namespace })
  const gone = await refusal(core.readNamespacedConfigMap({ name: 'typed', namespace }))
  assert.equal([gone.code, gone.reason, gone.details?.kind], [404, 'NotFound', 'configmaps'])
  const wrong = await refusal(core.createNamespacedConfigMap({ namespace, body: map('Not_Good') }))
  assert.equal([wrong.code, wrong.details?.causes?.map(({ field }) => field)], [422, ['metadata.name']])
})

test('typed API: pages, patches, binding, eviction, scale', async () => {
  for (let index = 0; index < 5; index++) {
    await core.createNamespacedConfigMap({ namespace, body: map(`page-${index}`, {}, { set: 'pages' }) })
  }
  const names: string[] = []
  let _continue: string | undefined
  do {
    const page = await core.listNamespacedConfigMap({
      namespace,
      limit: 2,
      labelSelector: 'set=pages',
      ...(_continue === undefined ? {} : { _continue }),
    })
    assert.ok(page.items.length <= 2)
    names.push(...page.items.map(({ metadata }) => metadata?.name ?? ''))
    _continue = page.metadata?._continue
  } while (_continue !== undefined && _continue !== '')
  assert.equal(names, ['page-0', 'page-1', 'page-2', 'page-3', 'page-4'])
  await core.deleteCollectionNamespacedConfigMap({ namespace, labelSelector: 'set=pages' })
  assert.is((await core.listNamespacedConfigMap({ namespace, labelSelector: 'set=pages' })).items.length, 0)

  const spec = { containers: [{ name: 'main', image: 'none' }] }
  await core.createNamespacedPod({ namespace, body: { metadata: { name: 'pod' }, spec } })
  await core.createNamespacedPodBinding({
    name: 'pod',
    namespace,
    body: { metadata: { name: 'pod' }, target: { kind: 'Node', name: 'n1' } },
  })
  const bound = await core.patchNamespacedPod({
    name: 'pod',
    namespace,
    body: [{ op: 'add', path: '/metadata/labels', value: { x: 'y' } }],
  })
  assert.equal([bound.spec?.nodeName, bound.metadata?.labels], ['n1', { x: 'y' }])
  await core.createNamespacedPodEviction({ name: 'pod', namespace, body: { metadata: { name: 'pod', namespace } } })
  const leaving = await core.readNamespacedPod({ name: 'pod', namespace })
  assert.instance(leaving.metadata?.deletionTimestamp, Date)
  await core.deleteNamespacedPod({ name: 'pod', namespace, gracePeriodSeconds: 0 })

  const apps = config.makeApiClient(AppsV1Api)
  const labels = { app: 'web' }
  await apps.createNamespacedDeployment({
    namespace,
    body: {
      metadata: { name: 'web' },
      spec: { replicas: 1, selector: { matchLabels: labels }, template: { metadata: { labels }, spec } },
    },
  })
  const scale = await apps.readNamespacedDeploymentScale({ name: 'web', namespace })
  assert.is(scale.spec?.replicas, 1)
  await apps.replaceNamespacedDeploymentScale({ name: 'web', namespace, body: { ...scale, spec: { replicas: 3 } } })
  const scaled = await apps.readNamespacedDeployment({ name: 'web', namespace })
  assert.equal([scaled.spec?.replicas, scaled.metadata?.generation], [3, 2])
  await apps.deleteNamespacedDeployment({ name: 'web', namespace })
})

test('object API: built-in and custom objects, all patches, defaults of namespaced and cluster kinds', async () => {
  interface Network {
    apiVersion: string
    kind: string
    metadata: { name: string; resourceVersion?: string; generation?: number; labels?: Record<string, string> }
    spec: Record<string, unknown>
    status?: Record<string, unknown>
  }
  const header = { apiVersion: 'networking.alibaba.com/v1', kind: 'Network', metadata: { name: 'objects' } }
  const made = await objects.create<Network>({ ...header, spec: { type: 'Overlay', netID: 7 } })
  assert.is(made.metadata.generation, 1)
  const read = await objects.read<Network>(header)
  assert.is(read.spec['netID'], 7)
  const replaced = await objects.replace<Network>({ ...read, spec: { ...read.spec, netID: 8 } })
  assert.is(replaced.metadata.generation, 2)
  const merged = await objects.patch<Network>(
    { ...header, metadata: { name: 'objects', labels: { a: 'b' } } } as unknown as Network,
    undefined,
    undefined,
    undefined,
    undefined,
    PatchStrategy.MergePatch,
  )
  assert.equal([merged.metadata.generation, merged.metadata.labels, merged.spec['netID']], [2, { a: 'b' }, 8])
  const applied = await objects.patch<Network>(
    { ...header, spec: { type: 'Overlay', netID: 9 } },
    undefined,
    undefined,
    'objects-test',
    true,
    PatchStrategy.ServerSideApply,
  )
  assert.equal([applied.metadata.generation, applied.spec['netID']], [3, 9])
  const networks = await objects.list<Network>('networking.alibaba.com/v1', 'Network')
  assert.equal(networks.items.map(({ metadata }) => metadata.name), ['objects']) // prettier-ignore
  await objects.delete(header)
  assert.is((await refusal(objects.read(header))).reason, 'NotFound')

  const settings = { apiVersion: 'v1', kind: 'ConfigMap', metadata: { name: 'objects' } }
  const inDefault = await objects.create<V1ConfigMap>({ ...settings, data: { a: 'b' } })
  assert.is(inDefault.metadata?.namespace, 'default')
  await objects.patch({ ...settings, metadata: { ...settings.metadata, namespace }, data: { c: 'd' } })
  const both = await objects.read<V1ConfigMap>({ ...settings, metadata: { ...settings.metadata, namespace } })
  assert.equal(both.data, { a: 'b', c: 'd' })
  const dry = await objects.create<V1ConfigMap>({ ...settings, metadata: { name: 'dry', namespace } }, undefined, 'All')
  assert.is(dry.metadata?.name, 'dry')
  const absent = objects.read<V1ConfigMap>({ ...settings, metadata: { name: 'dry', namespace } })
  assert.is((await refusal(absent)).code, 404)
  await objects.delete({ ...settings, metadata: { name: 'objects', namespace } })

  const custom = config.makeApiClient(CustomObjectsApi)
  const place = { group: 'networking.alibaba.com', version: 'v1', plural: 'subnets' }
  const body = {
    apiVersion: 'networking.alibaba.com/v1',
    kind: 'Subnet',
    metadata: { name: 's' },
    spec: { network: 'n' },
  }
  const missing = await refusal(custom.createClusterCustomObject({ ...place, body }))
  assert.equal([missing.code, missing.details?.causes?.map(({ field }) => field)], [422, ['spec.range']])
})

test('watch: from a version, with selectors, ended by the server after its time', async () => {
  const { metadata } = await core.listNamespacedConfigMap({ namespace })
  const seen: string[] = []
  const ended = new Promise<unknown>((resolve) => {
    void new Watch(config).watch(
      `/api/v1/namespaces/${namespace}/configmaps`,
      {
        resourceVersion: metadata?.resourceVersion,
        labelSelector: 'watched',
        timeoutSeconds: 2,
        allowWatchBookmarks: true,
      },
      (phase, object: V1ConfigMap) => {
        if (phase !== 'BOOKMARK') seen.push(`${phase} ${object.metadata?.name ?? ''}`)
      },
      resolve,
    )
  })
  await core.createNamespacedConfigMap({ namespace, body: map('unwatched') })
  await core.createNamespacedConfigMap({ namespace, body: map('watched', {}, { watched: '' }) })
  await core.deleteNamespacedConfigMap({ name: 'watched', namespace })
  await core.deleteNamespacedConfigMap({ name: 'unwatched', namespace })
  const end = await ended
  assert.equal(seen, ['ADDED watched', 'DELETED watched'])
  assert.is(end, null, 'an orderly end')
})

test('informer: list and watch, watches cut, expired versions, a restart of the server', async () => {
  const informer: Informer<V1ConfigMap> & ObjectCache<V1ConfigMap> = makeInformer<V1ConfigMap>(
    config,
    `/api/v1/namespaces/${namespace}/configmaps`,
    () => core.listNamespacedConfigMap({ namespace, labelSelector: 'informed' }),
    'informed',
  )
  const events: string[] = []
  let connects = 0
  let stopped = false
  informer.on('add', ({ metadata }) => events.push(`add ${metadata?.name ?? ''}`))
  informer.on('update', ({ metadata }) => events.push(`update ${metadata?.name ?? ''}`))
  informer.on('delete', ({ metadata }) => events.push(`delete ${metadata?.name ?? ''}`))
  informer.on('connect', () => connects++)
  // As its documentation says: after an error it is the user who starts it again.
  informer.on('error', () => {
    setTimeout(() => {
      if (!stopped) void informer.start()
    }, 50)
  })
  const create = (name: string, data = {}): Promise<unknown> =>
    core.createNamespacedConfigMap({ namespace, body: map(name, data, { informed: '' }) })
  const holds = (...wanted: string[]): Promise<unknown> =>
    eventually(() => {
      const names = informer.list(namespace).map(({ metadata }) => metadata?.name ?? '')
      assert.equal(names.sort(), wanted)
      return true
    }, 30_000, 20) // prettier-ignore

  await create('first')
  await informer.start()
  await holds('first')
  await create('second')
  await core.patchNamespacedConfigMap({
    name: 'first',
    namespace,
    body: [{ op: 'add', path: '/data', value: { a: 'b' } }],
  })
  await holds('first', 'second')
  await eventually(() => informer.get('first', namespace)?.data?.['a'] === 'b', 30_000, 20)

  server.faults.cutWatches('configmaps')
  await create('after-cut')
  await holds('after-cut', 'first', 'second')

  const before = connects
  server.faults.cutWatches('configmaps')
  server.faults.compact()
  await core.deleteNamespacedConfigMap({ name: 'second', namespace })
  await create('after-expiry')
  await holds('after-cut', 'after-expiry', 'first')
  assert.ok(connects > before, 'it connected anew')

  await server.restart({ downMs: 200, compact: true })
  await eventually(() => create('after-restart'), 30_000, 100)
  await holds('after-cut', 'after-expiry', 'after-restart', 'first')
  stopped = true
  await informer.stop()
  assert.ok(events.includes('delete second'), events.join(', '))
  assert.is(events.filter((event) => event === 'add first').length, 1, 'what is known is not added again')
})

test('leases: of candidates that saw the same lease one leads', async () => {
  const leases = config.makeApiClient(CoordinationV1Api)
  const metadata = { name: 'election', namespace }
  const lease = await leases.createNamespacedLease({ namespace, body: { metadata, spec: { leaseTransitions: 0 } } })
  const acquire = async (holderIdentity: string): Promise<string | null> => {
    const now = new V1MicroTime()
    const spec = { holderIdentity, leaseDurationSeconds: 15, renewTime: now, acquireTime: now, leaseTransitions: 1 }
    try {
      await leases.replaceNamespacedLease({ name: 'election', namespace, body: { ...lease, spec } })
      return holderIdentity
    } catch (error) {
      if (error instanceof ApiException && error.code === 409) return null
      throw error
    }
  }
  const leaders = (await Promise.all(['a', 'b', 'c', 'd'].map(acquire))).filter((name) => name !== null)
  const held = await leases.readNamespacedLease({ name: 'election', namespace })
  assert.equal(leaders, [held.spec?.holderIdentity])
  assert.ok(new Date(String(held.spec?.renewTime)).getTime() > 0, 'with a time')
})

test.run()
