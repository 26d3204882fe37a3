// The NodeInfo a daemon publishes, against the embedded API server.
import { test } from 'uvu'
import * as assert from 'uvu/assert'
import { NODEINFOS, NODES, type Node, type NodeInfo } from '../../../lib/api/index.ts'
import { NodeInfoPublisher, type Endpoint } from '../../../lib/daemon/nodeinfo.ts'
import { parseAddress, parseMac } from '../../../lib/ip/index.ts'
import { KubeClient } from '../../../lib/kube/index.ts'
import { startApiServer, type ApiServer } from '../../../lib/standalone/apiserver/index.ts'
import { silentLogger } from '../../../lib/telemetry/log.ts'
import { eventually } from '../../support/eventually.ts'
import { bringUpLoopback } from '../../support/loopback.ts'

const crdDirectory = new URL('../../../charts/hybridnet/crds', import.meta.url).pathname
let server: ApiServer
let client: KubeClient
let publisher: NodeInfoPublisher

let endpoint: Endpoint = {
  address: parseAddress('192.168.56.11'),
  mac: parseMac('52:54:00:00:00:11'),
  localAddresses: [parseAddress('fd56::11'), parseAddress('192.168.56.11')],
  nodeUid: '',
}

test.before(async () => {
  bringUpLoopback()
  server = await startApiServer({ listen: [{ host: '127.0.0.1', port: 0 }], crdDirectory })
  client = KubeClient.connect({ server: server.url })
  const { metadata } = await client.create<Node>(NODES, { metadata: { name: 'node1' } })
  endpoint = { ...endpoint, nodeUid: metadata.uid ?? '' }
  publisher = new NodeInfoPublisher(client, 'node1', silentLogger())
})
test.after(async () => {
  await publisher.stop()
  client.close()
  await server.close()
})

const published = (): Promise<NodeInfo> =>
  eventually(async () => {
    const current = await client.find<NodeInfo>(NODEINFOS, { name: 'node1' })
    return (current?.spec?.vtepInfo?.ip ?? '') === '' ? null : current
  }, 3000)

test('the endpoint is published with sorted addresses and the Node as owner', async () => {
  publisher.publish(endpoint)
  const { spec, metadata } = await published()
  assert.equal(spec?.vtepInfo, {
    ip: '192.168.56.11',
    mac: '52:54:00:00:00:11',
    localIPs: ['192.168.56.11', 'fd56::11'],
  })
  assert.is(metadata.ownerReferences?.[0]?.uid, endpoint.nodeUid)
})

test('a NodeInfo that goes is written again', async () => {
  await client.delete(NODEINFOS, { name: 'node1' })
  publisher.seen(null)
  await published()
})

test('a NodeInfo that goes while there is nothing to publish is written when there is', async () => {
  // The overlay network is deleted and its NodeInfos with it; then it is made again.
  publisher.publish(null)
  await client.delete(NODEINFOS, { name: 'node1' })
  publisher.seen(null)
  publisher.publish(endpoint)
  await published()
})

test.run()
