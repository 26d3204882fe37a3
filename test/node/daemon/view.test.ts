// The cluster view against the embedded API server.
import { test } from 'uvu'
import * as assert from 'uvu/assert'
import { NETWORKS, NODES, type Network, type Node } from '../../../lib/api/index.ts'
import { ClusterView } from '../../../lib/daemon/view/cluster-view.ts'
import type { InputDelta } from '../../../lib/dataplane/index.ts'
import { parseAddress } from '../../../lib/ip/index.ts'
import { KubeClient } from '../../../lib/kube/index.ts'
import { startApiServer, type ApiServer } from '../../../lib/standalone/apiserver/index.ts'
import { silentLogger } from '../../../lib/telemetry/log.ts'
import { eventually } from '../../support/eventually.ts'
import { bringUpLoopback } from '../../support/loopback.ts'

const crdDirectory = new URL('../../../charts/hybridnet/crds', import.meta.url).pathname
let server: ApiServer
let client: KubeClient
let view: ClusterView
const deltas: InputDelta[] = []
const nothing = (): undefined => undefined

test.before(async () => {
  bringUpLoopback()
  server = await startApiServer({ listen: [{ host: '127.0.0.1', port: 0 }], crdDirectory })
  client = KubeClient.connect({ server: server.url })
  await client.create<Node>(NODES, { metadata: { name: 'node1' } })
  await client.patchStatus(
    'merge',
    NODES,
    { name: 'node1' },
    {
      status: { addresses: [{ type: 'InternalIP', address: '192.168.56.11' }] },
    },
  )
  view = new ClusterView({
    client,
    nodeName: 'node1',
    log: silentLogger(),
    onInput: (delta) => deltas.push(delta),
    onVtep: nothing,
    onNodeInfosRewound: () => undefined,
    onRemotePod: nothing,
    onLocalChange: nothing,
  })
  await view.start()
})
test.after(async () => {
  await view.stop()
  client.close()
  await server.close()
})

test('the first input is the whole of it', () => {
  assert.is(deltas[0]?.replace, true)
  assert.equal(deltas[0]?.nodeAddresses, [parseAddress('192.168.56.11')])
})

test('a Node object that is deleted takes no address from the node', async () => {
  await client.delete(NODES, { name: 'node1' })
  await eventually(() => view.node === undefined, 3000)
  // Something that surely comes after it.
  const spec = { type: 'Overlay', mode: 'VXLAN', netID: 4 } as const
  await client.create<Network>(NETWORKS, { metadata: { name: 'overlay' }, spec })
  await eventually(() => deltas.some(({ overlay }) => overlay?.vni === 4), 3000)
  const told = deltas.flatMap(({ nodeAddresses }) => (nodeAddresses === undefined ? [] : [nodeAddresses]))
  assert.equal(told, [[parseAddress('192.168.56.11')]])
})

test.run()
