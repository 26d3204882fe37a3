import { test } from 'uvu'
import * as assert from 'uvu/assert'
import {
  ANNOTATION_HANDLED_BY_WEBHOOK,
  ANNOTATION_IP_FAMILY,
  ANNOTATION_IP_RETAIN,
  NETWORK_TYPE,
  SPECIFIED_NETWORK,
} from '../../../lib/api/index.ts'
import { podFamily, type FamilyQuestion } from '../../../lib/daemon/pod-family.ts'
import type { Family } from '../../../lib/ip/index.ts'

interface Situation {
  annotations?: Record<string, string>
  labels?: Record<string, string>
  ownerKind?: string
  namespace?: Record<string, string>
  retained?: Family[]
}

async function answer(situation: Situation): Promise<string> {
  const { annotations = {}, labels = {}, ownerKind = '', namespace = {}, retained = [] } = situation
  const question: FamilyQuestion = {
    pod: { annotations, labels, ownerKind },
    defaults: { family: 'IPv4Only', retain: true, statefulKinds: ['StatefulSet'] },
    namespace: () => Promise.resolve({ annotations: namespace, labels: {} }),
    retained: () => Promise.resolve(retained),
  }
  const result = await podFamily(question)
  return 'family' in result ? result.family : result.problem
}

const family = (text: string): Record<string, string> => ({ [ANNOTATION_IP_FAMILY]: text })

test('without any configuration the default holds', async () => assert.is(await answer({}), 'IPv4Only'))

test("the webhook's word is final", async () => {
  const annotations = { ...family('DualStack'), [ANNOTATION_HANDLED_BY_WEBHOOK]: 'true' }
  assert.is(
    await answer({ annotations, namespace: family('IPv6'), ownerKind: 'StatefulSet', retained: [4] }),
    'DualStack',
  )
})

test("the pod's configuration wins over its namespace's, as a whole", async () => {
  assert.is(await answer({ annotations: family('ipv6'), namespace: family('DualStack') }), 'IPv6Only')
  assert.is(await answer({ labels: { [SPECIFIED_NETWORK]: 'n' }, namespace: family('DualStack') }), 'IPv4Only')
  assert.is(await answer({ annotations: { [NETWORK_TYPE]: 'Overlay' }, namespace: family('DualStack') }), 'IPv4Only')
  assert.is(await answer({ namespace: family('DualStack') }), 'DualStack')
})

test('a stateful pod has the families it holds', async () => {
  assert.is(await answer({ ownerKind: 'StatefulSet', retained: [4, 6] }), 'DualStack')
  assert.is(await answer({ ownerKind: 'StatefulSet', retained: [6] }), 'IPv6Only')
  assert.is(await answer({ ownerKind: 'StatefulSet', retained: [] }), 'IPv4Only')
  assert.is(await answer({ ownerKind: 'ReplicaSet', retained: [6] }), 'IPv4Only')
  const annotations = { [ANNOTATION_IP_RETAIN]: 'false' }
  assert.is(await answer({ annotations, ownerKind: 'StatefulSet', retained: [6] }), 'IPv4Only')
})

test('what cannot be meant is named', async () => {
  assert.match(
    await answer({ annotations: family('IPv5') }),
    /ip-family is "IPv5", expected IPv4Only, IPv6Only or DualStack/,
  )
  assert.match(await answer({ ownerKind: 'StatefulSet', retained: [4, 4] }), /2 IPInstances/)
})

test.run()
