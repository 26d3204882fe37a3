// Pods: defaults, binding, eviction and how they end; namespaces and owners, which end other objects.
import { suite } from 'uvu'
import * as assert from 'uvu/assert'
import { configMap, pod, startRig } from '../../support/apiserver.ts'
import type { Rig } from '../../support/apiserver.ts'
import { eventually } from '../../support/eventually.ts'

const test = suite('pods')
let rig: Rig
const pods = '/api/v1/namespaces/default/pods'
const maps = '/api/v1/namespaces/default/configmaps'
const merge = { 'content-type': 'application/merge-patch+json' }

test.before.each(async () => {
  rig = await startRig()
})
test.after.each(() => rig.close())

const code = async (path: string): Promise<number> => (await rig.call('GET', path)).code
const gone = (path: string): Promise<unknown> => eventually(async () => (await code(path)) === 404)

test('defaults are those of a real cluster', async () => {
  const { spec, status } = (await rig.ok('POST', pods, pod('p'))) as unknown as {
    spec: Record<string, unknown>
    status: unknown
  }
  assert.is(spec['restartPolicy'], 'Always')
  assert.is(spec['terminationGracePeriodSeconds'], 30)
  assert.is(spec['serviceAccountName'], 'default')
  assert.is(spec['schedulerName'], 'default-scheduler')
  assert.is((spec['containers'] as { imagePullPolicy: string }[])[0]?.imagePullPolicy, 'Always')
  assert.equal(
    (spec['tolerations'] as { key: string }[]).map(({ key }) => key),
    ['node.kubernetes.io/not-ready', 'node.kubernetes.io/unreachable'],
  )
  assert.equal(status, { phase: 'Pending', qosClass: 'BestEffort' })
})

test('a binding assigns the pod once', async () => {
  const { metadata } = await rig.ok('POST', pods, pod('p'))
  const binding = {
    apiVersion: 'v1',
    kind: 'Binding',
    metadata: { name: 'p', uid: metadata.uid ?? '' },
    target: { kind: 'Node', name: 'n1' },
  }
  const wrong = await rig.call('POST', `${pods}/p/binding`, { ...binding, metadata: { name: 'p', uid: 'other' } })
  assert.is(wrong.code, 409)
  const done = await rig.call('POST', `${pods}/p/binding`, binding)
  assert.is(done.code, 201)
  const bound = (await rig.ok('GET', `${pods}/p`)) as unknown as {
    spec: { nodeName: string }
    status: { conditions: { type: string; status: string }[] }
  }
  assert.is(bound.spec.nodeName, 'n1')
  assert.equal([bound.status.conditions[0]?.type, bound.status.conditions[0]?.status], ['PodScheduled', 'True'])
  const again = await rig.call('POST', `${pods}/p/binding`, binding)
  assert.is(again.code, 409)
  assert.is(again.message, 'Operation cannot be fulfilled on pods/binding "p": pod p is already assigned to node "n1"')
  await rig.ok('POST', pods, pod('q'))
  await rig.ok('POST', '/api/v1/namespaces/default/bindings', { metadata: { name: 'q' }, target: { name: 'n2' } })
  assert.is(((await rig.ok('GET', `${pods}/q`)) as unknown as { spec: { nodeName: string } }).spec.nodeName, 'n2')
})

test('a pod without a node goes at once, one with a node waits for its kubelet', async () => {
  await rig.ok('POST', pods, pod('free'))
  const deleted = await rig.ok('DELETE', `${pods}/free`)
  assert.is(deleted.kind, 'Pod')
  assert.is(await code(`${pods}/free`), 404)

  await rig.ok('POST', pods, pod('bound', {}, { nodeName: 'n1', terminationGracePeriodSeconds: 20 }))
  const marked = await rig.ok('DELETE', `${pods}/bound`)
  assert.is(marked.metadata.deletionGracePeriodSeconds, 20)
  const until = Date.parse(marked.metadata.deletionTimestamp ?? '') - Date.now()
  assert.ok(until > 15_000 && until <= 20_000, `deletionTimestamp is ${until} ms ahead`)
  const longer = await rig.ok('DELETE', `${pods}/bound`, { gracePeriodSeconds: 50 })
  assert.is(longer.metadata.deletionGracePeriodSeconds, 20, 'the wait only gets shorter')
  const shorter = await rig.ok('DELETE', `${pods}/bound`, { gracePeriodSeconds: 5 })
  assert.is(shorter.metadata.deletionGracePeriodSeconds, 5)
  await rig.ok('DELETE', `${pods}/bound`, { gracePeriodSeconds: 0, preconditions: { uid: marked.metadata.uid ?? '' } })
  assert.is(await code(`${pods}/bound`), 404)

  await rig.ok('POST', pods, pod('ended', {}, { nodeName: 'n1' }))
  await rig.ok('PATCH', `${pods}/ended/status`, { status: { phase: 'Succeeded' } }, merge)
  await rig.ok('DELETE', `${pods}/ended`)
  assert.is(await code(`${pods}/ended`), 404)
})

test('a finalizer holds a pod after its kubelet let go', async () => {
  await rig.ok('POST', pods, pod('held', { finalizers: ['example.com/ip'] }, { nodeName: 'n1' }))
  await rig.ok('DELETE', `${pods}/held`, { gracePeriodSeconds: 0 })
  const held = await rig.ok('GET', `${pods}/held`)
  assert.is(held.metadata.deletionGracePeriodSeconds, 0)
  await rig.ok('PATCH', `${pods}/held`, { metadata: { finalizers: [] } }, merge)
  assert.is(await code(`${pods}/held`), 404)
})

test('an eviction deletes, unless a budget forbids', async () => {
  await rig.ok('POST', pods, pod('a', { labels: { app: 'x' } }))
  await rig.ok('POST', '/apis/policy/v1/namespaces/default/poddisruptionbudgets', {
    metadata: { name: 'b' },
    spec: { minAvailable: 1, selector: { matchLabels: { app: 'x' } } },
  })
  const eviction = { apiVersion: 'policy/v1', kind: 'Eviction', metadata: { name: 'a' } }
  assert.is((await rig.call('POST', `${pods}/a/eviction`, eviction)).code, 429)
  await rig.ok('DELETE', '/apis/policy/v1/namespaces/default/poddisruptionbudgets/b')
  assert.is((await rig.call('POST', `${pods}/a/eviction`, eviction)).code, 201)
  assert.is(await code(`${pods}/a`), 404)
})

test('a namespace is filled, and takes its content along', async () => {
  for (const name of ['default', 'kube-system', 'kube-public', 'kube-node-lease']) {
    const found = await rig.ok('GET', `/api/v1/namespaces/${name}`)
    assert.equal(found['status'], { phase: 'Active' })
    assert.equal(found.metadata.labels, { 'kubernetes.io/metadata.name': name })
  }
  await rig.ok('POST', '/api/v1/namespaces', { metadata: { name: 'team' } })
  await eventually(async () => (await code('/api/v1/namespaces/team/serviceaccounts/default')) === 200)
  await rig.ok('POST', '/api/v1/namespaces/team/configmaps', configMap('c'))
  await rig.ok('POST', '/api/v1/namespaces/team/pods', pod('free'))
  await rig.ok('POST', '/api/v1/namespaces/team/pods', pod('bound', {}, { nodeName: 'n1' }))
  const deleted = await rig.ok('DELETE', '/api/v1/namespaces/team')
  assert.equal(deleted['status'], { phase: 'Terminating' })
  await gone('/api/v1/namespaces/team/configmaps/c')
  await gone('/api/v1/namespaces/team/pods/free')
  const refused = await rig.call('POST', '/api/v1/namespaces/team/configmaps', configMap('late'))
  assert.is(refused.code, 403)
  assert.is(
    refused.message,
    'configmaps "late" is forbidden: unable to create new content in namespace team because it is being terminated',
  )
  assert.is(await code('/api/v1/namespaces/team'), 200, 'the bound pod is still ending')
  await rig.ok('DELETE', '/api/v1/namespaces/team/pods/bound', { gracePeriodSeconds: 0 })
  await gone('/api/v1/namespaces/team')
  assert.is((await rig.call('DELETE', '/api/v1/namespaces/default')).code, 403)
})

const owned = (name: string, owner: { metadata: { name?: string; uid?: string } }, more: object = {}) => ({
  metadata: {
    name,
    ownerReferences: [
      { apiVersion: 'v1', kind: 'ConfigMap', name: owner.metadata.name ?? '', uid: owner.metadata.uid ?? '', ...more },
    ],
  },
})

test('what is owned goes with its last owner', async () => {
  const a = await rig.ok('POST', maps, configMap('a'))
  const b = await rig.ok('POST', maps, configMap('b'))
  await rig.ok('POST', maps, owned('child', a))
  const both = owned('both', a)
  both.metadata.ownerReferences.push(...owned('x', b).metadata.ownerReferences)
  await rig.ok('POST', maps, both)
  await rig.ok('POST', maps, owned('grandchild', await rig.ok('GET', `${maps}/child`)))
  await rig.ok('DELETE', `${maps}/a`)
  await gone(`${maps}/child`)
  await gone(`${maps}/grandchild`)
  const left = await eventually(async () => {
    const found = await rig.ok('GET', `${maps}/both`)
    return found.metadata.ownerReferences?.length === 1 ? found : null
  })
  assert.is(left.metadata.ownerReferences?.[0]?.name, 'b')
  // An owner that never was; one of a kind that nobody serves is left alone.
  await rig.ok('POST', maps, owned('late', { metadata: { name: 'a', uid: a.metadata.uid ?? '' } }))
  await gone(`${maps}/late`)
  await rig.ok('POST', maps, {
    metadata: {
      name: 'foreign',
      ownerReferences: [{ apiVersion: 'example.com/v1', kind: 'Thing', name: 't', uid: 'u' }],
    },
  })
  await rig.ok('DELETE', `${maps}/b`)
  await gone(`${maps}/both`)
  assert.is(await code(`${maps}/foreign`), 200)
})

test('foreground deletion waits for what is owned, orphaning lets it be', async () => {
  const a = await rig.ok('POST', maps, configMap('a'))
  await rig.ok('POST', maps, { ...owned('child', a, { blockOwnerDeletion: true }) })
  await rig.ok('PATCH', `${maps}/child`, { metadata: { finalizers: ['example.com/hold'] } }, merge)
  await rig.ok('DELETE', `${maps}/a`, { propagationPolicy: 'Foreground' })
  await eventually(async () => (await rig.ok('GET', `${maps}/child`)).metadata.deletionTimestamp !== undefined)
  assert.equal((await rig.ok('GET', `${maps}/a`)).metadata.finalizers, ['foregroundDeletion'])
  await rig.ok('PATCH', `${maps}/child`, { metadata: { finalizers: [] } }, merge)
  await gone(`${maps}/child`)
  await gone(`${maps}/a`)

  const b = await rig.ok('POST', maps, configMap('b'))
  await rig.ok('POST', maps, owned('kept', b))
  await rig.ok('DELETE', `${maps}/b?propagationPolicy=Orphan`)
  await gone(`${maps}/b`)
  assert.is((await rig.ok('GET', `${maps}/kept`)).metadata.ownerReferences, undefined)
})

test.run()
