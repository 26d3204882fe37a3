// Result shapes of every CNI version, as the specification of each lists them.
import { test } from 'uvu'
import * as assert from 'uvu/assert'
import { addResult, v1Answer, v1Error } from '../../../lib/daemon/cni/results.ts'
import { cniVersions } from '../../../lib/daemon/cni/requests.ts'
import { CniError, hostInterfaceName, tryAgain, type Attachment } from '../../../lib/daemon/cni/index.ts'
import { podAddresses } from '../../support/cni-node.ts'

const attachment: Attachment = {
  containerId: 'c1',
  ifname: 'eth0',
  netns: '/run/netns/x',
  hostInterface: 'hybrc440f455693',
  hostIndex: 7,
  pod: podAddresses({ name: 'nginx', addresses: ['10.0.0.7/24', 'fd00::7/64'], gateways: ['10.0.0.1', null] }),
  runtimeUid: null,
  createdAt: 0,
}
const host = { name: 'hybrc440f455693', mac: 'ee:ee:ee:ee:ee:ee' }
const pod = { name: 'eth0', mac: '02:12:34:00:00:07', sandbox: '/run/netns/x' }
const routes = [
  { dst: '0.0.0.0/0', gw: '169.254.1.1' },
  { dst: '::/0', gw: 'fe80::ecee:eeff:feee:eeee' },
]
const ips = [
  { address: '10.0.0.7/24', gateway: '10.0.0.1', interface: 1 },
  { address: 'fd00::7/64', interface: 1 },
]

test('0.1.0 and 0.2.0: one address per family, no interfaces', () => {
  for (const version of ['0.1.0', '0.2.0'] as const) {
    assert.equal(addResult(version, attachment, null), {
      cniVersion: version,
      ip4: { ip: '10.0.0.7/24', gateway: '10.0.0.1', routes: [routes[0]] },
      ip6: { ip: 'fd00::7/64', routes: [routes[1]] },
      dns: {},
    })
  }
})

test('0.3.0 to 0.4.0: addresses say their family', () => {
  for (const version of ['0.3.0', '0.3.1', '0.4.0'] as const) {
    assert.equal(addResult(version, attachment, null), {
      cniVersion: version,
      interfaces: [host, pod],
      ips: [
        { version: '4', ...ips[0] },
        { version: '6', ...ips[1] },
      ],
      routes,
      dns: {},
    })
  }
})

test('1.0.0: they do not; 1.1.0 adds the MTU', () => {
  assert.equal(addResult('1.0.0', attachment, null), {
    cniVersion: '1.0.0',
    interfaces: [host, pod],
    ips,
    routes,
    dns: {},
  })
  const mtu = 1450
  assert.equal(addResult('1.1.0', attachment, null), {
    cniVersion: '1.1.0',
    interfaces: [
      { ...host, mtu },
      { ...pod, mtu },
    ],
    ips,
    routes,
    dns: {},
  })
})

test('what earlier plugins did stays in front, and indexes are shifted past it', () => {
  const before = {
    cniVersion: '1.0.0',
    interfaces: [{ name: 'dummy0' }],
    ips: [{ address: '198.51.100.1/32', interface: 0 }],
    routes: [{ dst: '203.0.113.0/24' }],
    dns: { nameservers: ['192.0.2.53'] },
    extra: { kept: true },
  }
  assert.equal(addResult('1.0.0', attachment, before), {
    cniVersion: '1.0.0',
    interfaces: [{ name: 'dummy0' }, host, pod],
    ips: [{ address: '198.51.100.1/32', interface: 0 }, ...ips.map((ip) => ({ ...ip, interface: 2 }))],
    routes: [{ dst: '203.0.113.0/24' }, ...routes],
    dns: { nameservers: ['192.0.2.53'] },
    extra: { kept: true },
  })
  assert.throws(() => addResult('1.0.0', attachment, { ips: 7 }), /invalid prevResult\.ips: expected an array/)
})

test('every version the shim offers has a result of that version', () => {
  for (const version of cniVersions) assert.is(addResult(version, attachment, null)['cniVersion'], version)
})

test('version 1: empty strings, not absent members', () => {
  assert.equal(v1Answer(attachment), {
    address: [
      { ip: '10.0.0.7/24', mac: '02:12:34:00:00:07', gateway: '10.0.0.1', protocol: '4' },
      { ip: 'fd00::7/64', mac: '02:12:34:00:00:07', gateway: '', protocol: '6' },
    ],
    host_interface: 'hybrc440f455693',
    error: '',
  })
  assert.equal(v1Error(tryAgain('not yet', 'found 1')), {
    address: null,
    host_interface: '',
    error: 'not yet (found 1)',
  })
})

test('host interface names are the vectors of the specification', () => {
  assert.is(hostInterfaceName('default', 'nginx', 'eth0'), 'hybrc440f455693')
  assert.is(hostInterfaceName('kube-system', 'coredns-abc', 'eth0'), 'hybr3d5d6ab04b5')
  assert.is(hostInterfaceName('a', 'b', 'eth0'), 'hybr69f6642c9d7')
  assert.is.not(hostInterfaceName('a', 'b', 'net1'), 'hybr69f6642c9d7')
  assert.is(hostInterfaceName('a', 'b', 'net1').length, 15)
})

test('only what heals by itself is retryable', () => {
  assert.equal(
    [4, 8, 11, 50, 51, 100, 103].map((code) => new CniError(code as 11, 'x').retryable),
    [false, false, true, true, false, false, false],
  )
})

test.run()
