// The judge of a churn must be able to fail: each kind of thing it looks at is made wrong by hand, with the programs that
// would mend it stopped, and it has to say so; and then, mended, that all is well again.
import { spawn } from 'node:child_process'
import { once } from 'node:events'
import { rmSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { test } from 'uvu'
import * as assert from 'uvu/assert'
import { IPINSTANCES, NAMESPACES, PODS, hostVethName, type IPInstance, type Pod } from '../../lib/api/index.ts'
import type { KubeClient } from '../../lib/kube/index.ts'
import { createOverlay, type Cluster } from '../../lib/standalone/index.ts'
import { createNamespace, deleteNamespace } from '../../lib/netlink/index.ts'
import { eventually } from '../support/eventually.ts'
import { present } from '../support/present.ts'
import { requireSandbox } from '../support/sandbox.ts'
import { Judge } from './churn/judge.ts'
import { Observer } from './churn/observer.ts'
import { churnClient, startChurnCluster } from './churn/run.ts'
import { createPod, reported, runningPod, showLogs } from './support.ts'

const device = 'eth0.vxlan4'
const wanted = new Set<string>()
let cluster: Cluster
let client: KubeClient
let observer: Observer
let judge: Judge
let addresses: string[] = []
let failed = true

test.before(
  reported(async () => {
    requireSandbox()
    cluster = await startChurnCluster(2)
    client = churnClient(cluster)
    await createOverlay(client)
    observer = new Observer(client)
    await observer.start()
    for (const [name, node] of [
      ['one', 'node1'],
      ['two', 'node1'],
      ['three', 'node2'],
    ] as const) {
      await createPod(cluster, name, { node })
      wanted.add(`default/${name}`)
    }
    addresses = await runningPod(cluster, 'one')
    for (const name of ['two', 'three']) await runningPod(cluster, name)
    judge = new Judge({ cluster, client, wanted: () => wanted, foreign: () => new Map(), seed: 1, sample: 3 })
    await eventually(async () => assert.equal(await judge.look(), []), 60_000, 200)
    // From here on nobody mends what the tests break.
    for (const program of [present(cluster.manager), ...cluster.nodes.map(({ daemon }) => present(daemon))])
      assert.ok(program.kill('SIGSTOP'), program.name)
  }),
)
test.after(async () => {
  if (failed) showLogs(cluster, 20)
  // A stopped process does not hear that it should end.
  for (const program of [cluster.manager, ...cluster.nodes.map(({ daemon }) => daemon)]) program?.kill('SIGCONT')
  await observer.stop()
  client.close()
  await cluster.stop()
})

/** It says what matches when it is broken, and nothing when it is mended. */
async function sees(what: RegExp, damage: () => Promise<unknown>, mend: () => Promise<unknown>): Promise<void> {
  await damage()
  const problems = await judge.look()
  assert.ok(
    problems.some((problem) => what.test(problem)),
    `${what.source} is not among: ${problems.join('; ') || 'nothing'}`,
  )
  await mend()
  await eventually(async () => assert.equal(await judge.look(), []), 30_000, 100)
}

async function run(command: string, node = 'node1'): Promise<void> {
  const { code, stderr } = await cluster.node(node).exec(['sh', '-ec', command])
  assert.is(code, 0, `${command}: ${stderr}`)
}

const veth = hostVethName('default', 'one')

/** What is done to node1, how it is undone, and what the judge must say. */
const kernel: readonly (readonly [what: string, damage: string, mend: string, says: RegExp])[] = [
  [
    'a route that was left',
    `ip route add 10.99.0.0/16 dev ${device} table 40000`,
    'ip route del 10.99.0.0/16 table 40000',
    /node1: routes4: '40000 10\.99\.0\.0\/16 dev eth0\.vxlan4' should not be there/,
  ],
  [
    'a route of a pod that is missing',
    'ip route save table 39999 > /run/saved; ip route flush table 39999',
    'ip route restore < /run/saved',
    /node1: routes4: missing '39999 100\.64\./,
  ],
  [
    'a rule that was left',
    'ip rule add from 10.99.0.0/16 fwmark 0/0x4040 lookup 12345 pref 9',
    'ip rule del pref 9',
    /node1: rules4: 'from 10\.99\.0\.0\/16 fwmark 0\/0x4040 lookup own' should not be there/,
  ],
  [
    'rules in the wrong order',
    'ip -6 rule del pref 2; ip -6 rule add lookup 40000 pref 9 protocol 72',
    'ip -6 rule del pref 9; ip -6 rule add lookup 40000 pref 2 protocol 72',
    /node1: order6: '39999 40001 subnets 40000 main' should not be there/,
  ],
  [
    'an interface that was left',
    'ip link add hybrleaked type veth peer name other',
    'ip link del hybrleaked',
    /node1: veths: 'hybrleaked mtu 1500 down' should not be there/,
  ],
  [
    'an FDB entry of no node',
    `bridge fdb append 02:00:00:00:00:99 dev ${device} dst 192.168.56.99`,
    `bridge fdb del 02:00:00:00:00:99 dev ${device} dst 192.168.56.99`,
    /node1: fdb: '02:00:00:00:00:99 dst 192\.168\.56\.99' should not be there/,
  ],
  [
    'a proxy neighbour of no pod',
    `ip -6 neigh add proxy fd64::99 dev ${device}`,
    `ip -6 neigh del proxy fd64::99 dev ${device}`,
    /node1: proxies: 'fd64::99 dev eth0\.vxlan4' should not be there/,
  ],
  [
    'an nft element that is missing',
    'nft delete element inet hybridnet node_ip4 { 192.168.56.12 }',
    'nft add element inet hybridnet node_ip4 { 192.168.56.12 }',
    /node1: nft node_ip4: missing '192\.168\.56\.12'/,
  ],
  [
    'an nft rule that was added',
    'nft add rule inet hybridnet post_unmark counter',
    'nft delete rule inet hybridnet post_unmark handle $(nft -a list chain inet hybridnet post_unmark | sed -n "s/.*counter.*handle //p")',
    /node1: nftables: not the \d+ chains and rules of the beginning/,
  ],
]

for (const [what, damage, mend, says] of kernel) {
  test(`it sees ${what}`, () =>
    sees(
      says,
      () => run(damage),
      () => run(mend),
    ))
}

test('it sees a pod whose interface leads elsewhere', async () => {
  const { netns } = cluster.sandbox('one').attachment
  const name = netns.split('/').at(-1) ?? ''
  const address = present(addresses.find((one) => one.includes('.')))
  await sees(
    /default\/one has .* on its eth0, not/,
    () => run(`ip -n ${name} addr add 100.64.9.9/16 dev eth0`),
    () => run(`ip -n ${name} addr del 100.64.9.9/16 dev eth0; ip -n ${name} addr show dev eth0 | grep -q ${address}`),
  )
})

test('it sees pods that do not reach each other', () =>
  sees(
    /default\/three does not reach default\/one at/,
    () =>
      run(
        `nft 'add table inet wall; add chain inet wall in { type filter hook forward priority 0; }; add rule inet wall in oifname "${veth}" drop'`,
      ),
    () => run('nft delete table inet wall'),
  ))

test('it sees an address written down twice, at once and when all is quiet', async () => {
  const { items } = await client.list<IPInstance>(IPINSTANCES)
  const instance = present(items.find(({ spec }) => spec?.address.ip === `${addresses[0]}/16`))
  const namespace = 'kube-public'
  await client.create(NAMESPACES, { metadata: { name: namespace } }).catch(() => undefined)
  const ref = { namespace, name: present(instance.metadata.name) }
  await sees(
    new RegExp(`address ${addresses[0]} is held twice: `),
    () => client.create(IPINSTANCES, { metadata: ref, spec: instance.spec }),
    () => client.delete(IPINSTANCES, ref),
  )
  assert.match(observer.violations.join(), new RegExp(`address ${addresses[0]} is of 2 IPInstances at once: default/`))
})

test('it sees two running pods with one address, at once', async () => {
  const ref = { namespace: 'default', name: 'two' }
  const pod = await client.get<Pod>(PODS, ref)
  const { podIP, podIPs } = present(pod.status)
  const other = { podIP: addresses[0], podIPs: addresses.map((ip) => ({ ip })) }
  await sees(
    /pod default\/two has .*; its IPInstances say/,
    () => client.patchStatus('merge', PODS, ref, { status: other }),
    () => client.patchStatus('merge', PODS, ref, { status: { podIP, podIPs } }),
  )
  assert.match(observer.violations.join(), new RegExp(`address ${addresses[0]} is of 2 running pods at once: default/`))
})

test('it sees an address that is leaked', async () => {
  const { items } = await client.list<IPInstance>(IPINSTANCES)
  const { spec } = present(items.find(({ spec }) => spec?.address.ip === `${addresses[0]}/16`))
  const ref = { namespace: 'default', name: '100-64-7-7' }
  const binding = { ...spec?.binding, podName: 'gone', podUID: 'gone' }
  await sees(
    /IPInstance default\/100-64-7-7 is leaked: of pod default\/gone, which is gone/,
    () =>
      client.create(IPINSTANCES, {
        metadata: ref,
        spec: { ...spec, address: { ...spec?.address, ip: '100.64.7.7/16' }, binding },
      }),
    () => client.delete(IPINSTANCES, ref),
  )
})

test('it sees a pod that is gone though nobody deleted it', () =>
  sees(
    /pod default\/ghost is gone, and nobody deleted it/,
    () => Promise.resolve(wanted.add('default/ghost')),
    () => Promise.resolve(wanted.delete('default/ghost')),
  ))

test('it sees a network namespace, a record and a process that were left', async () => {
  const netns = '/run/netns/cni-leaked'
  await sees(
    /network namespaces of no pod: cni-leaked/,
    () => createNamespace(netns),
    () => deleteNamespace(netns),
  )
  const file = join(cluster.node('node2').directory, 'state', 'attachments', `${'0'.repeat(64)}:eth0.json`)
  await sees(
    /node2: attachment in the records of the daemon of no pod: 0000/,
    () => Promise.resolve(writeFileSync(file, '{}')),
    () => Promise.resolve(rmSync(file)),
  )
  // A shell that waits under the name of a daemon.
  const child = spawn('sh', ['-c', 'read line', 'hybridnet.mjs daemon'], { stdio: ['pipe', 'ignore', 'ignore'] })
  const ended = once(child, 'exit')
  await sees(
    /4 processes of ours run, expected 3/,
    () => once(child, 'spawn').catch(() => undefined),
    async () => {
      child.stdin.end()
      await ended
    },
  )
  failed = false
})

test.run()
