import { test } from 'uvu'
import * as assert from 'uvu/assert'
import {
  ANNOTATION_HANDLED_BY_WEBHOOK,
  ANNOTATION_IP_FAMILY,
  ANNOTATION_IP_RETAIN,
  NETWORK_TYPE,
  SPECIFIED_NETWORK,
  wishesOf,
} from '../../../lib/api/index.ts'
import { podFamily, type FamilyQuestion } from '../../../lib/daemon/pod-family.ts'
import { parseAddress } from '../../../lib/ip/index.ts'

interface Situation {
  annotations?: Record<string, string>
  labels?: Record<string, string>
  ownerKind?: string
  namespace?: Record<string, string>
  /** Addresses, each of the network `n` unless it says `address@network`. */
  retained?: string[]
  statefulKinds?: string[]
}

async function answer(situation: Situation): Promise<string> {
  const { annotations = {}, labels = {}, ownerKind = '', namespace = {}, retained = [] } = situation
  const controller =
    ownerKind === '' ? null : { apiVersion: 'apps/v1', kind: ownerKind, name: 'o', uid: 'u', controller: true }
  const question: FamilyQuestion = {
    pod: { annotations, wishes: wishesOf({ metadata: { name: 'p', annotations, labels } }), controller },
    defaults: { family: 'IPv4Only', retain: true, statefulKinds: situation.statefulKinds ?? ['StatefulSet'] },
    namespace: () => Promise.resolve(wishesOf({ metadata: { name: 'ns', annotations: namespace } })),
    retained: () =>
      Promise.resolve(
        retained.map((text) => {
          const [address = '', network = 'n'] = text.split('@')
          return { address: parseAddress(address), network }
        }),
      ),
  }
  const result = await podFamily(question)
  // Callers ask in this way.
  return 'problem' in result ? result.problem : result.family
}

const family = (text: string): Record<string, string> => ({ [ANNOTATION_IP_FAMILY]: text })

test('without any configuration the default holds', async () => assert.is(await answer({}), 'IPv4Only'))

test("the webhook's word is final", async () => {
  const annotations = { ...family('DualStack'), [ANNOTATION_HANDLED_BY_WEBHOOK]: 'true' }
  assert.is(
    await answer({ annotations, namespace: family('IPv6'), ownerKind: 'StatefulSet', retained: ['10.0.0.1'] }),
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
  assert.is(await answer({ ownerKind: 'StatefulSet', retained: ['10.0.0.1', 'fd00::1'] }), 'DualStack')
  assert.is(await answer({ ownerKind: 'StatefulSet', retained: ['fd00::1'] }), 'IPv6Only')
  assert.is(await answer({ ownerKind: 'StatefulSet', retained: [] }), 'IPv4Only')
  assert.is(await answer({ ownerKind: 'ReplicaSet', retained: ['fd00::1'] }), 'IPv4Only')
  const statefulKinds = ['apps/StatefulSet']
  assert.is(await answer({ ownerKind: 'StatefulSet', retained: ['fd00::1'], statefulKinds }), 'IPv6Only')
  const annotations = { [ANNOTATION_IP_RETAIN]: 'false' }
  assert.is(await answer({ annotations, ownerKind: 'StatefulSet', retained: ['fd00::1'] }), 'IPv4Only')
})

test('what cannot be meant is named', async () => {
  assert.match(
    await answer({ annotations: family('IPv5') }),
    /^annotation networking.alibaba.com\/ip-family: .*"IPv5" is none of IPv4, IPv6, DualStack/,
  )
  assert.match(
    await answer({ ownerKind: 'StatefulSet', retained: ['10.0.0.1@a', 'fd00::1@b'] }),
    /2 addresses are kept for the pod, expected one per family of one network/,
  )
  assert.match(await answer({ ownerKind: 'StatefulSet', retained: ['10.0.0.1', '10.0.0.2'] }), /2 addresses are kept/)
})

test.run()
