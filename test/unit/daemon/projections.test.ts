import { test } from 'uvu'
import * as assert from 'uvu/assert'
import { hostVethName, type IPInstance, type ParsedNetwork } from '../../../lib/api/index.ts'
import { decideNetworks, podInput, projectIPInstance, projectNetwork } from '../../../lib/daemon/view/projections.ts'
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
  }
  const { value } = projectIPInstance(raw as unknown as KubeObject)
  return present(value, 'a readable IPInstance')
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

const overlay = (name: string, created: string, netID: number | null = 4): ReturnType<typeof projectNetwork> =>
  projectNetwork({ metadata: { name, creationTimestamp: created }, spec: { type: 'Overlay', netID } })

test('an Overlay network that is added takes nothing from the one that works', () => {
  const works = overlay('overlay', '2026-01-01T00:00:00Z')
  const { usable, overlay: chosen, problems } = decideNetworks([overlay('a', '2026-01-02T00:00:00Z', 9), works])
  assert.equal(chosen, { name: 'overlay', vni: 4 })
  assert.equal([...usable.keys()], ['overlay'])
  assert.equal([...problems], [['a', 'a cluster has one Overlay network, and overlay is it']])
})

test('an Overlay network without a usable VNI does not stand in the way of one that has it', () => {
  const broken = overlay('broken', '2026-01-01T00:00:00Z', 99999999)
  const { overlay: chosen, problems } = decideNetworks([broken, overlay('overlay', '2026-01-02T00:00:00Z')])
  assert.equal(chosen, { name: 'overlay', vni: 4 })
  assert.match(problems.get('broken') ?? '', /^spec.netID is 99999999, expected a VNI from 1 to 16777215$/)
})

test.run()
