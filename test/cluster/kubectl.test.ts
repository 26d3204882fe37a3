// What a person does: an unmodified kubectl against the cluster; and what wrong objects do to the right ones: nothing.
import { execFile } from 'node:child_process'
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { test } from 'uvu'
import * as assert from 'uvu/assert'
import { NETWORKS, SUBNETS } from '../../lib/api/index.ts'
import type { Cluster } from '../../lib/standalone/index.ts'
import { eventually } from '../support/eventually.ts'
import { checkPairs, createPod, reported, runningPod, showLogs, startCluster } from './support.ts'

let cluster: Cluster
let home: string
let failed = true

/** Run kubectl with a home of its own. */
function kubectl(...args: string[]): Promise<{ code: number; stdout: string; stderr: string }> {
  const env = { ...process.env, HOME: home, KUBECONFIG: cluster.kubeconfig }
  return new Promise((resolve, reject) => {
    execFile('kubectl', args, { env, timeout: 60_000 }, (error, stdout, stderr) => {
      if (error !== null && typeof error.code !== 'number') reject(new Error(error.message, { cause: error }))
      else resolve({ code: Number(error?.code ?? 0), stdout, stderr })
    })
  })
}

async function kubectlOk(...args: string[]): Promise<string> {
  const { code, stdout, stderr } = await kubectl(...args)
  assert.is(code, 0, `kubectl ${args.join(' ')}: ${stderr}`)
  return stdout
}

const hasKubectl = await new Promise<boolean>((resolve) => {
  execFile('kubectl', ['version', '--client'], (error) => resolve(error === null))
})

test.before(
  reported(async () => {
    home = mkdtempSync(join(tmpdir(), 'hybridnet-kubectl-'))
    cluster = await startCluster(2)
  }),
)
test.after(async () => {
  if (failed) showLogs(cluster)
  await cluster.stop()
  rmSync(home, { recursive: true, force: true })
})

function podManifest(names: readonly string[]): string {
  const items = names.map((name) => ({
    apiVersion: 'v1',
    kind: 'Pod',
    metadata: { name, labels: { app: 'web' } },
    spec: { containers: [{ name: 'main', image: 'none' }] },
  }))
  return JSON.stringify({ apiVersion: 'v1', kind: 'List', items })
}

/** A test that needs kubectl. */
function kubectlTest(name: string, run: () => Promise<void>): void {
  if (hasKubectl) test(name, run)
  else {
    console.error(`SKIPPED: ${name}: no kubectl on this machine (Debian: kubernetes-client)`)
    test.skip(name, run)
  }
}

kubectlTest('pods made by kubectl apply come up, are shown, reach each other and leave nothing', async () => {
  const names = ['web-1', 'web-2', 'web-3', 'web-4']
  const file = join(home, 'pods.json')
  writeFileSync(file, podManifest(names))
  await kubectlOk('apply', '-f', file)
  await kubectlOk('wait', '--for=condition=Ready', 'pod', '-l', 'app=web', '--timeout=40s')
  const wide = await kubectlOk('get', 'pods', '-o', 'wide')
  assert.match(wide, /web-1 +1\/1 +Running/)
  assert.match(wide, /node[12]/)
  const pods = new Map<string, string[]>()
  for (const name of names) pods.set(name, await runningPod(cluster, name))
  assert.equal(await checkPairs(cluster, pods), [])
  const instances = await kubectlOk('get', 'ipinstances')
  for (const [name, addresses] of pods) {
    for (const address of addresses) assert.match(instances, address, `${name} in the table of IPInstances`)
  }
  assert.match(await kubectlOk('describe', 'pod', 'web-1'), /IPAllocationSucceed/)
  assert.match(await kubectlOk('get', 'subnets'), /overlay-v4 +4 +100\.64\.0\.0\/16/)
  await kubectlOk('delete', '-f', file, '--timeout=40s')
  assert.is(await kubectlOk('get', 'pods', '-o', 'name'), '')
  await eventually(async () => assert.is(await kubectlOk('get', 'ipinstances', '-o', 'name'), ''), 10_000, 200)
  for (const node of cluster.nodes) {
    const { stdout } = await node.exec([
      'sh',
      '-c',
      'ip link | grep hybr; ip route show table 39999; ip neigh show proxy',
    ])
    assert.is(stdout, '', node.name)
  }
})

test('a malformed, an overlapping and an orphaned Subnet, and a second Overlay, stop only themselves', async () => {
  await createPod(cluster, 'before', { node: 'node1' })
  await runningPod(cluster, 'before')
  const subnet = (name: string, network: string, range: object): Promise<unknown> =>
    cluster.client.create(SUBNETS, { metadata: { name }, spec: { network, range } })
  await subnet('malformed', 'overlay', { version: '4', cidr: '10.300.0.0/16' })
  await subnet('overlapping', 'overlay', { version: '4', cidr: '100.64.128.0/24' })
  await subnet('orphaned', 'nowhere', { version: '4', cidr: '10.2.0.0/16' })
  await cluster.client.create(NETWORKS, { metadata: { name: 'second' }, spec: { type: 'Overlay', netID: 99 } })
  await cluster.client.create(NETWORKS, { metadata: { name: 'nonsense' }, spec: { type: 'Sideways' } })
  await createPod(cluster, 'after', { node: 'node2' })
  const pods = new Map([
    ['before', await runningPod(cluster, 'before')],
    ['after', await runningPod(cluster, 'after')],
  ])
  assert.equal(await checkPairs(cluster, pods), [])
  const { stdout: rules } = await cluster.node('node1').exec(['ip', 'rule'])
  assert.match(rules, 'from 100.64.0.0/16')
  for (const cidr of ['100.64.128.0', '10.2.0.0']) assert.not.match(rules, cidr)
  if (!hasKubectl) return
  const template = 'jsonpath={range .items[*]}{.involvedObject.name}: {.message}{"\\n"}{end}'
  const events = await eventually(async () => {
    const text = await kubectlOk('get', 'events', '-A', '-o', template)
    for (const name of ['malformed', 'overlapping', 'orphaned', 'second', 'nonsense']) {
      assert.match(text, new RegExp(`^${name}: `, 'm'))
    }
    return text
  }, 15_000)
  assert.match(events, /malformed: .*10\.300\.0\.0/)
  failed = false
})

test.run()
