// CHECK names every divergence of a real wiring, and nothing else.
import { test } from 'uvu'
import * as assert from 'uvu/assert'
import { hostInterfaceName } from '../../../lib/daemon/cni/index.ts'
import { CniNode, document, inPod, requireShim, sh, type TestPod } from '../../support/cni-node.ts'

requireShim()
const node = await CniNode.start()
node.prepareHost()
test.after(() => node.stop())

const pod: TestPod = { name: 'checked', addresses: ['10.20.0.7/24', 'fd00:20::7/64'] }
const host = hostInterfaceName('default', 'checked', 'eth0')
let netns = ''
let result: Record<string, unknown> = {}

async function findings(): Promise<string> {
  const check = await node.call({ command: 'CHECK', pod, netns, config: { prevResult: result } })
  if (check.status === 0) return ''
  assert.is(document(check)['code'], 103, check.stdout)
  return String(document(check)['details'])
}

/** Each divergence on a fresh wiring. */
const divergences: readonly (readonly [what: string, make: () => void, expected: RegExp])[] = [
  ['host end down', () => sh('ip', 'link', 'set', host, 'down'), /host interface hybr\w+ is down/],
  [
    'host MAC',
    () => sh('ip', 'link', 'set', host, 'address', '02:00:00:00:00:01'),
    /has MAC 02:00:00:00:00:01, expected ee/,
  ],
  [
    'host route',
    () => sh('ip', 'route', 'del', '10.20.0.7', 'table', '39999'),
    /route 10\.20\.0\.7 in table 39999 is missing/,
  ],
  [
    'host route v6',
    () => sh('ip', '-6', 'route', 'del', 'fd00:20::7', 'table', '39999'),
    /route fd00:20::7 in table 39999 is missing/,
  ],
  [
    'host route elsewhere',
    () => sh('ip', 'route', 'replace', '10.20.0.7', 'dev', 'lo', 'table', '39999'),
    /route 10\.20\.0\.7 in table 39999 leads to another interface than hybr/,
  ],
  [
    'proxy neighbour',
    () => sh('ip', '-6', 'neigh', 'del', 'proxy', 'fe80::ecee:eeff:feee:eeee', 'dev', host),
    /proxy neighbour fe80::ecee:eeff:feee:eeee on hybr\w+ is missing/,
  ],
  ['pod end down', () => inPod(netns, 'ip', 'link', 'set', 'eth0', 'down'), /interface eth0 is down/],
  [
    'pod MAC',
    () => inPod(netns, 'ip', 'link', 'set', 'eth0', 'address', '02:00:00:00:00:02'),
    /eth0 has MAC 02:00:00:00:00:02/,
  ],
  ['pod MTU', () => inPod(netns, 'ip', 'link', 'set', 'eth0', 'mtu', '1300'), /eth0 has MTU 1300, expected 1450/],
  [
    'pod address',
    () => inPod(netns, 'ip', 'addr', 'del', '10.20.0.7/24', 'dev', 'eth0'),
    /address 10\.20\.0\.7\/24 on eth0 is missing/,
  ],
  [
    'pod address length',
    () => {
      inPod(netns, 'ip', 'addr', 'del', 'fd00:20::7/64', 'dev', 'eth0')
      inPod(netns, 'ip', 'addr', 'add', 'fd00:20::7/128', 'dev', 'eth0')
    },
    /address fd00:20::7 on eth0 has length 128, expected fd00:20::7\/64/,
  ],
  [
    'pod default route',
    () => inPod(netns, 'ip', 'route', 'del', 'default'),
    /default route via 169\.254\.1\.1 on eth0 is missing/,
  ],
  [
    'pod default route v6',
    () => inPod(netns, 'ip', '-6', 'route', 'del', 'default'),
    /default route via fe80::ecee\S+ on eth0 is missing/,
  ],
  [
    'pod end gone',
    () => inPod(netns, 'ip', 'link', 'del', 'eth0'),
    /host interface hybr\w+ is missing; interface eth0 is missing/,
  ],
  [
    'pod end renamed',
    () => {
      inPod(netns, 'ip', 'link', 'set', 'eth0', 'down')
      inPod(netns, 'ip', 'link', 'set', 'eth0', 'name', 'eth9')
    },
    /interface eth0 is missing/,
  ],
]

for (const [what, make, expected] of divergences) {
  test(`CHECK finds: ${what}`, async () => {
    netns = await node.namespace(what.replaceAll(' ', '-'))
    node.networking.assign(pod)
    const added = await node.call({ command: 'ADD', pod, netns })
    assert.is(added.status, 0, added.stdout)
    result = document(added)
    assert.is(await findings(), '')
    make()
    assert.match(await findings(), expected)
    assert.is((await node.call({ command: 'DEL', pod, netns })).status, 0)
    assert.not.match(sh('ip', '-o', 'link'), /hybr/)
  })
}

test('what later plugins add is tolerated', async () => {
  netns = await node.namespace('chained')
  result = document(await node.call({ command: 'ADD', pod, netns }))
  inPod(netns, 'ip', 'route', 'add', '203.0.113.0/24', 'via', '169.254.1.1', 'dev', 'eth0')
  inPod(netns, 'ip', 'addr', 'add', '198.51.100.1/32', 'dev', 'eth0')
  assert.is(await findings(), '')
})

test('a static pod is known to its runtime by another UID than to the API', async () => {
  const spaces = await node.namespace('static')
  const own = { ...pod, name: 'static', addresses: ['10.20.0.77/24'] }
  node.networking.assign(own)
  node.networking.staticUids.add('of-the-file')
  const asked = { ...own, uid: 'of-the-file' }
  const added = await node.call({ command: 'ADD', pod: asked, netns: spaces, containerId: 'c2' })
  assert.is(added.status, 0, added.stdout)
  const check = (asking: typeof pod): Promise<{ status: number | null; stdout: string }> =>
    node.call({
      command: 'CHECK',
      pod: asking,
      netns: spaces,
      containerId: 'c2',
      config: { prevResult: document(added) },
    })
  const same = await check(asked)
  assert.is(same.status, 0, same.stdout)
  assert.match(
    (await check({ ...own, uid: 'other' })).stdout,
    /pod UID is other, but the interface was made for of-the-file/,
  )
  assert.is((await node.call({ command: 'DEL', pod: asked, netns: spaces, containerId: 'c2' })).status, 0)
})

test('a result with an address that is not ours, a pod of another UID, the network view: all named', async () => {
  const ips = [{ address: '10.20.0.8/24', interface: 1 }]
  const check = (more: object, asked = pod): Promise<Record<string, unknown>> =>
    node
      .call({ command: 'CHECK', pod: asked, netns, config: { prevResult: { ...result, ...more } } })
      .then((answer) => (answer.status === 0 ? {} : document(answer)))
  assert.match(String((await check({ ips }))['details']), /prevResult has address 10\.20\.0\.8\/24/)
  assert.match(String((await check({ interfaces: [] }))['details']), /prevResult has no interface eth0/)
  assert.match(String((await check({}, { ...pod, uid: 'other' }))['details']), /pod UID is other/)
  node.networking.findings.push('rule for 10.20.0.0/24 is missing')
  setTimeout(() => node.networking.findings.splice(0), 500)
  assert.equal(await check({}), {}, 'what converges within the grace is no finding')
  node.networking.findings.push('rule for 10.20.0.0/24 is missing')
  assert.match(String((await check({}))['details']), /rule for 10\.20\.0\.0\/24 is missing/)
  node.networking.findings.splice(0)
})

test('an interface adopted from a daemon without records passes CHECK', async () => {
  const wired = await node.call({ command: 'ADD', pod, netns, containerId: 'adopted' })
  assert.is(document(wired)['code'], 103, 'the namespace has its interface already')
  const [attachment] = node.service.attachments()
  assert.ok(attachment)
  await node.recordFile(`${attachment.containerId}:eth0.json`, '')
  node.networking.sandboxes.set('default/checked', 'adopted')
  await node.restart()
  assert.equal(
    node.service.attachments().map(({ containerId }) => containerId),
    ['adopted'],
  )
  const check = { command: 'CHECK', pod, netns, containerId: 'adopted', config: { prevResult: result } } as const
  assert.is((await node.call(check)).stdout, '')
  assert.is((await node.call({ command: 'DEL', containerId: 'adopted' })).status, 0)
  assert.not.match(sh('ip', '-o', 'link'), /hybr/)
})

test('a container nobody attached', async () => {
  const check = await node.call({ command: 'CHECK', pod, netns, containerId: 'unknown' })
  assert.match(String(document(check)['details']), /container unknown has no attachment eth0 on this node/)
})

test.run()
