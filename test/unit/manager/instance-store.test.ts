// What the allocator holds when a write has no answer and nobody can be asked what became of it.
import { test } from 'uvu'
import * as assert from 'uvu/assert'
import { Allocator, type Claim } from '../../../lib/ipam/index.ts'
import { parseAddress, parsePrefix } from '../../../lib/ip/index.ts'
import { KubeClient } from '../../../lib/kube/index.ts'
import type { Cluster } from '../../../lib/manager/cluster.ts'
import { InstanceStore } from '../../../lib/manager/instance-store.ts'
import { podView } from '../../../lib/manager/views/pod.ts'
import { silentLogger } from '../../../lib/telemetry/log.ts'
import { present } from '../../support/present.ts'

const address = parseAddress('10.0.0.1')
const owner = { apiVersion: 'apps/v1', kind: 'StatefulSet', name: 'web', uid: 'set', controller: true }
const pod = present(
  podView({
    metadata: { name: 'web-0', namespace: 'default', uid: 'life-2', ownerReferences: [owner] },
    spec: { nodeName: 'node1', containers: [] },
  }),
)

async function writeWithoutServer(prepare: (allocator: Allocator) => void): Promise<[Allocator, Claim]> {
  const allocator = new Allocator()
  allocator.setNetwork({ name: 'net' })
  allocator.setSubnet({ name: 's', network: 'net', cidr: parsePrefix('10.0.0.0/29'), reserved: [], excluded: [] })
  prepare(allocator)
  // A closed client answers nothing, at once.
  const client = KubeClient.connect({ server: 'http://127.0.0.1:1' })
  client.close()
  const cluster = { instanceAt: () => null } as unknown as Cluster
  const store = new InstanceStore(client, allocator, cluster, silentLogger())
  const [claim] = allocator.assign({
    network: 'net',
    pod: { namespace: pod.namespace, name: pod.name, uid: pod.uid },
    family: 'IPv4Only',
    addresses: [{ address }],
    force: false,
    mac: 7,
  })
  let failure: unknown = null
  await store
    .write([present(claim)], { pod, owner, stateful: true, retain: true, machine: null, mac: 7 })
    .catch((error: unknown) => (failure = error))
  assert.instance(failure, Error)
  return [allocator, present(claim)]
}

test('a binding of unknown outcome does not count as done: the pod is bound again', async () => {
  const retained = {
    namespace: 'default',
    uid: 'object',
    version: 10,
    network: 'net',
    subnet: 's',
    address,
    mac: 7,
    pod: 'web-0',
    podUID: '',
    reserved: true,
    terminating: false,
  }
  const [allocator] = await writeWithoutServer((allocator) => allocator.observe(retained))
  assert.is(allocator.record('s', address)?.phase, 'reserved')
  assert.is(allocator.record('s', address)?.podUID, '')
  allocator.observe({ ...retained, version: 11, reserved: false, podUID: pod.uid })
  assert.is(allocator.record('s', address)?.phase, 'live', 'it had arrived after all')
})

test('a creation of unknown outcome keeps its address, for the same object to be written again', async () => {
  const [allocator, claim] = await writeWithoutServer(() => undefined)
  assert.is(allocator.record('s', address), claim.record)
  assert.is(claim.record.phase, 'claimed')
})

test.run()
