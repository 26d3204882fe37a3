// A cluster under random work and random death: pods come and go, plain ones and those of a StatefulSet, gently and by force,
// while the manager and the daemons are killed. Then it is left alone, and everything must agree: the API, every node's
// kernel, and what pods see of each other.
//
// CHURN_SEED=number repeats the order of the steps (their timing is the machine's).
import { test } from 'uvu'
import * as assert from 'uvu/assert'
import { IPINSTANCES, PODS, POD_GATEWAY_IPV6, hostVethName, type IPInstance, type Pod } from '../../lib/api/index.ts'
import { formatAddress, parseAddress } from '../../lib/ip/index.ts'
import { isAlreadyExists, isNotFound, leaseResource } from '../../lib/kube/index.ts'
import { LEASE_NAME } from '../../lib/manager/index.ts'
import type { Cluster, ClusterNode, Program } from '../../lib/standalone/index.ts'
import { eventually } from '../support/eventually.ts'
import { present } from '../support/present.ts'
import { checkPairs, reported, showLogs, startCluster } from './support.ts'

const seed = Number(process.env['CHURN_SEED'] ?? Date.now() % 1_000_000)
const churnMs = 9000
/** Pods of the StatefulSet; the upper half is scaled away at the end. */
const ordinals = 6
const plainPods = 12
const namespace = 'default'
/** A StatefulSet that no controller of the cluster knows: the test alone makes its pods, and gives them up. */
const statefulSet = {
  apiVersion: 'apps.kruise.io/v1beta1',
  kind: 'StatefulSet',
  name: 'web',
  uid: '5f2c1c64-8a0e-4a7e-9d0e-6f1d6f0c7b11',
  controller: true,
}
const device = 'eth0.vxlan4'

let cluster: Cluster
let passed = 0

test.before(
  reported(async () => {
    cluster = await startCluster(3)
  }),
)
test.after(async () => {
  if (passed < 3) showLogs(cluster, 60)
  await cluster.stop()
})

/** mulberry32: numbers in [0, 1), the same for the same seed. */
function randomNumbers(from: number): () => number {
  let state = from
  return () => {
    state = (state + 0x6d2b79f5) | 0
    let mixed = Math.imul(state ^ (state >>> 15), 1 | state)
    mixed = (mixed + Math.imul(mixed ^ (mixed >>> 7), 61 | mixed)) ^ mixed
    return ((mixed ^ (mixed >>> 14)) >>> 0) / 2 ** 32
  }
}

const random = randomNumbers(seed)
const below = (limit: number): number => Math.floor(random() * limit)
const done = new Map<string, number>()
const count = (what: string): number => {
  const times = (done.get(what) ?? 0) + 1
  done.set(what, times)
  return times
}

const kinds = ['plain pods made', 'stateful pods made', 'pods deleted', 'pods deleted by force']
const told = (): string => [...done].map(([what, times]) => `${what}: ${times}`).join(', ')

async function makePod(name: string, stateful: boolean): Promise<void> {
  try {
    await cluster.client.create(PODS, {
      metadata: { name, namespace, ownerReferences: stateful ? [statefulSet] : [] },
      spec: { containers: [{ name: 'main', image: 'none' }] },
    })
    count(stateful ? 'stateful pods made' : 'plain pods made')
  } catch (error) {
    // Its earlier life is not over.
    if (!isAlreadyExists(error)) throw error
  }
}

async function endPod(name: string, force: boolean): Promise<void> {
  try {
    await cluster.client.delete(PODS, { namespace, name }, { gracePeriodSeconds: force ? 0 : 1 })
    count(force ? 'pods deleted by force' : 'pods deleted')
  } catch (error) {
    if (!isNotFound(error)) throw error
  }
}

/** SIGKILL, at most three times each: after every death in its first seconds a program waits longer before it is back. */
async function kill(program: Program): Promise<void> {
  if (count(`tries to kill ${program.name}`) > 3 || !program.kill('SIGKILL')) return
  count(`${program.name} killed`)
  if (program !== cluster.manager) return
  await eventually(() => program.state.lastExit !== null && program.state.pid === null, 5000).catch(() => undefined)
  // It is certainly dead; waiting 15 s for its lease would only make the test longer.
  await cluster.client.delete(leaseResource, { namespace: 'kube-system', name: LEASE_NAME }).catch((error: unknown) => {
    if (!isNotFound(error)) throw error
  })
}

async function step(): Promise<void> {
  const dice = below(100)
  if (dice < 35) await makePod(`plain-${below(plainPods)}`, false)
  else if (dice < 65) await makePod(`web-${below(ordinals)}`, true)
  else if (dice < 78) await endPod(`plain-${below(plainPods)}`, below(2) === 0)
  else if (dice < 92) await endPod(`web-${below(ordinals)}`, below(2) === 0)
  else if (dice < 97) await kill(present(cluster.node(`node${1 + below(3)}`).daemon))
  else await kill(present(cluster.manager))
}

const addressOf = (instance: IPInstance): string => (instance.spec?.address.ip ?? '').split('/')[0] ?? ''
const sorted = (texts: Iterable<string>): string[] => [...texts].sort()

interface State {
  readonly pods: readonly Pod[]
  readonly instances: readonly IPInstance[]
}

async function state(): Promise<State> {
  const pods = await cluster.client.list<Pod>(PODS, { namespace })
  const instances = await cluster.client.list<IPInstance>(IPINSTANCES)
  return { pods: pods.items, instances: instances.items }
}

const addressesOf = (pod: Pod): string[] => (pod.status?.podIPs ?? []).map(({ ip }) => ip)

/** API: every pod runs with exactly its IPInstances; every other IPInstance is retained for an ordinal that is scaled away. */
function checkObjects({ pods, instances }: State): void {
  const addresses = instances.map(addressOf)
  assert.is(new Set(addresses).size, addresses.length, `an address twice: ${sorted(addresses).join(' ')}`)
  for (const pod of pods) {
    const { name, uid } = pod.metadata
    assert.is(pod.status?.phase, 'Running', name)
    const own = instances.filter((instance) => instance.spec?.binding?.podUID === uid)
    assert.equal(sorted(own.map(addressOf)), sorted(addressesOf(pod)), `IPInstances of ${name}`)
    assert.is(own.length, 2, `${name} has an address per family`)
    for (const instance of own) {
      assert.is(instance.metadata.deletionTimestamp, undefined, instance.metadata.name)
      assert.is(instance.spec?.binding?.nodeName, pod.spec?.nodeName, `node of ${instance.metadata.name}`)
    }
  }
  const uids = new Set(pods.map(({ metadata }) => metadata.uid))
  const retained = new Map<string, number>()
  for (const instance of instances) {
    const binding = instance.spec?.binding
    if (uids.has(binding?.podUID ?? '')) continue
    const name = binding?.podName ?? ''
    assert.match(name, /^web-/, `IPInstance ${instance.metadata.name} without a pod`)
    assert.ok(!binding?.nodeName && !binding?.podUID, `IPInstance ${instance.metadata.name} of ${name} is not reserved`)
    assert.not(
      pods.some(({ metadata }) => metadata.name === name),
      `${name} left ${instance.metadata.name} behind`,
    )
    retained.set(name, (retained.get(name) ?? 0) + 1)
  }
  for (const [name, number] of retained) assert.is(number, 2, `addresses kept for ${name}`)
}

const kernelCommands = [
  'ip -o link show type veth | cut -d" " -f2 | cut -d@ -f1 | grep -v "^eth0$" || true',
  '{ ip route show table 39999; ip -6 route show table 39999; } 2>/dev/null | cut -d" " -f1-3',
  'ip neigh show proxy | cut -d" " -f1-3',
]

/** Kernel: the node has the traces of its pods, and no others. */
async function checkKernel(node: ClusterNode, { pods }: State): Promise<void> {
  const own = pods.filter((pod) => pod.spec?.nodeName === node.name)
  const { stdout, stderr, code } = await node.exec(['sh', '-c', `set -e; ${kernelCommands.join('; echo ----; ')}`])
  assert.is(code, 0, stderr)
  const [veths = [], routes = [], proxies = []] = stdout.split('----\n').map((part) =>
    sorted(
      part
        .split('\n')
        .map((line) => line.trim())
        .filter((line) => line !== ''),
    ),
  )
  const veth = (pod: Pod): string => hostVethName(namespace, pod.metadata.name)
  const addresses = own.flatMap((pod) => addressesOf(pod).map((address) => formatAddress(parseAddress(address))))
  assert.equal(veths, sorted(own.map(veth)), `veths of ${node.name}`)
  assert.equal(
    routes,
    sorted(own.flatMap((pod) => addressesOf(pod).map((address) => `${address} dev ${veth(pod)}`))),
    `table 39999 of ${node.name}`,
  )
  assert.equal(
    proxies,
    sorted([
      ...addresses.map((address) => `${address} dev ${device}`),
      ...own.map((pod) => `${formatAddress(POD_GATEWAY_IPV6)} dev ${veth(pod)}`),
    ]),
    `proxy neighbours of ${node.name}`,
  )
}

test('pods come and go while manager and daemons are killed', async () => {
  const started = performance.now()
  // Every kind of step is taken a few times, however slow the machine is: the test is about all of them.
  const enough = (): boolean => kinds.every((kind) => (done.get(kind) ?? 0) >= 3)
  while (performance.now() - started < churnMs || !enough()) {
    assert.ok(performance.now() - started < 6 * churnMs, `not enough steps: ${told()}`)
    await step()
    await new Promise((resolve) => setTimeout(resolve, below(60)))
  }
  console.log(`CHURN_SEED=${seed}; ${told()}`)
  // Ordinals of the lower half are there at the end, those of the upper half scaled away.
  for (let ordinal = ordinals / 2; ordinal < ordinals; ordinal++) await endPod(`web-${ordinal}`, false)
  await eventually(
    async () => {
      for (let ordinal = 0; ordinal < ordinals / 2; ordinal++) await makePod(`web-${ordinal}`, true)
      checkObjects(await state())
    },
    60_000,
    250,
  )
  passed++
})

test("every node's kernel holds the traces of its pods and no others", async () => {
  await eventually(
    async () => {
      const now = await state()
      for (const node of cluster.nodes) await checkKernel(node, now)
    },
    20_000,
    250,
  )
  passed++
})

test('all pods of a sample reach each other', async () => {
  const { pods } = await state()
  const sample = new Map(pods.slice(0, 8).map((pod) => [pod.metadata.name, addressesOf(pod)]))
  assert.ok(sample.size >= 3, `${sample.size} pods are left`)
  assert.equal(await checkPairs(cluster, sample), [])
  checkObjects(await state())
  passed++
})

test.run()
