// Services of pods on an overlay, through kube-proxy: whom a client reaches, and whom the server sees. Run once for each of
// kube-proxy's modes. Rules: pods reach a ClusterIP with their own address, unless they reach themselves; everybody else, and
// whoever comes by a node port, is seen as the node that translated (spec/dataplane §1.5, W7); with `externalTrafficPolicy: Local`
// as himself.
import { test } from 'uvu'
import * as assert from 'uvu/assert'
import { PODS } from '../../lib/api/index.ts'
import { type Family, familyOf, formatAddress, parseAddress } from '../../lib/ip/index.ts'
import type { KubeObject, ResourceType } from '../../lib/kube/index.ts'
import { NetworkNamespace } from '../../lib/netlink/index.ts'
import { type Cluster, echoPort, EchoServer, greet } from '../../lib/standalone/index.ts'
import { createPod, deletePod, reported, runningPod, showLogs, startCluster } from '../cluster/support.ts'
import { eventually } from '../support/eventually.ts'
import { present } from '../support/present.ts'

const services: ResourceType = { group: '', version: 'v1', plural: 'services', kind: 'Service', namespaced: true }
const nodes = ['node1', 'node2', 'node3']
const families = [4, 6] as const
/** Pods on each node: a client; on the first two also a server. */
const clients = nodes.map((node) => `client-${node}`)
const servers = ['server-node1', 'server-node2']

/** Where a connection starts. */
interface Origin {
  readonly name: string
  readonly namespace: NetworkNamespace
  /** Its own addresses by family. */
  readonly addresses: Readonly<Record<Family, string>>
}

interface Service extends KubeObject {
  readonly spec: { readonly clusterIPs: readonly string[]; readonly ports: readonly { readonly nodePort: number }[] }
}

let cluster: Cluster
let outsideEcho: EchoServer
const origins = new Map<string, Origin>()
let passed = 0

function byFamily(addresses: readonly string[]): Record<Family, string> {
  const of = (family: Family): string =>
    present(addresses.find((address) => familyOf(parseAddress(address)) === family))
  return { 4: of(4), 6: of(6) }
}

function origin(name: string): Origin {
  return present(origins.get(name), name)
}

/** Which server has an address. */
function serverOf(address: string): string | undefined {
  return servers.find((name) => Object.values(origin(name).addresses).includes(address))
}

async function createService(name: string, spec: object): Promise<Service> {
  const ports = [{ port: 80, targetPort: echoPort, protocol: 'TCP' }]
  const metadata = { name, namespace: 'default' }
  const common = { type: 'NodePort', ipFamilyPolicy: 'RequireDualStack', selector: { app: 'echo' }, ports }
  await cluster.client.create(services, { metadata, spec: { ...common, ...spec } })
  return await cluster.client.get<Service>(services, metadata)
}

/** How often an origin asks: a server chosen at random is missed by all with a chance of 2^-12. */
const attempts = 12

/** Connect a few times; the servers reached, with the sources they saw. */
async function ask(from: Origin, address: string, port: number): Promise<Map<string, Set<string>>> {
  const seen = new Map<string, Set<string>>()
  const answers = await Promise.all(
    Array.from({ length: attempts }, () => greet(from.namespace, { address, port }, 10_000)),
  )
  for (const { source, destination } of answers) {
    const server = serverOf(destination) ?? destination
    seen.set(server, (seen.get(server) ?? new Set()).add(source))
  }
  return seen
}

/** Everything that asks must reach servers only, and be seen as `expected` says. Returns the servers reached. */
async function check(
  from: Origin,
  address: string,
  port: number,
  expected: (server: string) => string,
): Promise<string[]> {
  const seen = await ask(from, address, port)
  for (const [server, sources] of seen) {
    const what = `${from.name} -> ${address}:${port} -> ${server}`
    assert.ok(servers.includes(server), `${what}: no server`)
    assert.equal([...sources], [expected(server)], `${what}: seen as`)
  }
  return [...seen.keys()]
}

test.before(
  reported(async () => {
    cluster = await startCluster(nodes.length)
    for (const name of nodes) {
      const { host } = cluster.node(name)
      const addresses = byFamily(host.addresses.map(({ address }) => formatAddress(address)))
      origins.set(name, { name, namespace: host.namespace, addresses })
    }
    const { outside } = cluster.fabric
    const addresses = byFamily(outside.addresses.map(({ address }) => formatAddress(address)))
    origins.set('outside', { name: 'outside', namespace: outside.namespace, addresses })
    outsideEcho = await EchoServer.listen(outside.namespace, echoPort)
    const names = [...clients, ...servers]
    for (const name of names) await createPod(cluster, name, { node: present(name.split('-')[1]) })
    for (const name of names) {
      const addresses = byFamily(await runningPod(cluster, name, 60_000))
      const namespace = NetworkNamespace.open(cluster.sandbox(name).attachment.netns)
      origins.set(name, { name, namespace, addresses })
    }
    const ref = (name: string): { namespace: string; name: string } => ({ namespace: 'default', name })
    for (const name of servers)
      await cluster.client.patch('merge', PODS, ref(name), { metadata: { labels: { app: 'echo' } } })
  }),
)
test.after(async () => {
  if (passed < 5) showLogs(cluster)
  for (const name of [...clients, ...servers]) origins.get(name)?.namespace.close()
  await outsideEcho.close()
  await cluster.stop()
})

let service: Service
const clusterIP = (family: Family): string => byFamily(service.spec.clusterIPs)[family]

test('pods of every node reach a ClusterIP with their own address, and every server', async () => {
  service = await createService('echo', {})
  const last = origin('client-node3')
  // Programmed on all nodes when both servers answer clients of all.
  for (const name of clients) {
    for (const family of families) {
      await eventually(
        async () => (await ask(origin(name), clusterIP(family), 80)).size === servers.length,
        30_000,
        200,
      )
    }
  }
  for (const name of [...clients, ...servers]) {
    for (const family of families) {
      const from = origin(name)
      const node = origin(present(name.split('-')[1]))
      const expected = (server: string): string => (server === name ? node : from).addresses[family]
      await check(from, clusterIP(family), 80, expected)
    }
  }
  assert.equal((await ask(last, clusterIP(4), 80)).size, servers.length)
  passed++
})

test('nodes reach it, seen with their own address', async () => {
  for (const name of nodes) {
    for (const family of families) {
      await check(origin(name), clusterIP(family), 80, () => origin(name).addresses[family])
    }
  }
  passed++
})

test('a node port answers pods, nodes and strangers on every node, as the node that was asked', async () => {
  const port = present(service.spec.ports[0]).nodePort
  for (const name of [...clients, ...nodes, 'outside']) {
    for (const asked of nodes) {
      for (const family of families) {
        const address = origin(asked).addresses[family]
        await check(origin(name), address, port, () => address)
      }
    }
  }
  passed++
})

test('externalTrafficPolicy Local: a stranger is seen as himself, and by servers of the node alone', async () => {
  const local = await createService('local', { externalTrafficPolicy: 'Local' })
  const port = present(local.spec.ports[0]).nodePort
  const stranger = origin('outside')
  for (const asked of ['node1', 'node2']) {
    for (const family of families) {
      const address = origin(asked).addresses[family]
      await eventually(async () => (await ask(stranger, address, port)).size > 0, 30_000, 200)
      const reached = await check(stranger, address, port, () => stranger.addresses[family])
      assert.equal(reached, [`server-${asked}`])
    }
  }
  for (const family of families) {
    const target = { address: origin('node3').addresses[family], port }
    const outcome = await greet(stranger.namespace, target, 1500).then(
      ({ destination }) => destination,
      () => 'nobody',
    )
    assert.is(outcome, 'nobody', `node3 has no server, IPv${family}`)
  }
  passed++
})

test('a server that is deleted is asked no more', async () => {
  await deletePod(cluster, 'server-node1')
  for (const name of clients) {
    for (const family of families) {
      await eventually(
        async () => assert.equal([...(await ask(origin(name), clusterIP(family), 80)).keys()], ['server-node2']),
        30_000,
        200,
      )
    }
  }
  passed++
})

test.run()
