import { test } from 'uvu'
import * as assert from 'uvu/assert'
import { hostVethName, type IPInstance, type ParsedNetwork } from '../../../lib/api/index.ts'
import { podInput, projectIPInstance } from '../../../lib/daemon/view/projections.ts'
import { parseAddress } from '../../../lib/ip/index.ts'
import type { KubeObject } from '../../../lib/kube/index.ts'
import { present } from '../../support/present.ts'

function instance(reserved = false): NonNullable<ReturnType<typeof projectIPInstance>['value']> {
  const raw: IPInstance = {
    apiVersion: 'networking.alibaba.com/v1',
    kind: 'IPInstance',
    metadata: {
      name: '10-10-0-7',
      namespace: 'default',
      labels: { 'networking.alibaba.com/node': 'node1', 'networking.alibaba.com/pod': 'web' },
    },
    spec: {
      network: 'lan',
      subnet: 'lan-1',
      address: { version: '4', ip: '10.10.0.7/24', gateway: '10.10.0.1', netID: 100, mac: '00:16:3e:00:00:07' },
      binding: { podName: 'web', podUID: 'uid', nodeName: reserved ? '' : 'node1' },
    },
  } as IPInstance
  const { value, problem } = projectIPInstance(raw as unknown as KubeObject)
  return present(value, problem ?? 'a readable IPInstance')
}

const lan: ParsedNetwork = { name: 'lan', type: 'Underlay', mode: 'VLAN', netID: 100, nodes: ['node1'] } as never

test('a pod is put on the fabric of its Network', () => {
  assert.equal(podInput(instance(), new Map([['lan', lan]])), {
    key: 'default/10-10-0-7',
    address: parseAddress('10.10.0.7'),
    mode: 'VLAN',
    vlanId: 100,
    hostLink: hostVethName('default', 'web'),
  })
})

test('a running pod keeps its local route when its Network is gone or unreadable', () => {
  const input = podInput(instance(), new Map())
  assert.is(input?.hostLink, hostVethName('default', 'web'))
  assert.is(input?.address, parseAddress('10.10.0.7'))
  assert.is(input?.vlanId, null)
})

test("a reserved address is nobody's", () => {
  assert.is(podInput(instance(true), new Map([['lan', lan]])), null)
})

test.run()
