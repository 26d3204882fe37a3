// Scheduling decisions: what refuses a pod, who gets it, and what the pod is told.
import fc from 'fast-check'
import { test } from 'uvu'
import * as assert from 'uvu/assert'
import { place, type PlaceablePod, type PlacementNode, refuses } from '../../../lib/standalone/nodes/placement.ts'

function node(name: string, over: Partial<PlacementNode> = {}): PlacementNode {
  const labels = { 'kubernetes.io/hostname': name }
  return { name, labels, taints: [], unschedulable: false, pods: 0, ...over }
}

const plain: PlaceablePod = { spec: {} }

test('place() takes the node with the fewest pods, the first name among equals', () => {
  assert.equal(place(plain, [node('c', { pods: 1 }), node('b'), node('a')]), { node: 'a' })
  assert.equal(place(plain, [node('a', { pods: 3 }), node('b', { pods: 2 })]), { node: 'b' })
})

test('place() explains why no node fits, counting nodes per reason', () => {
  const selective: PlaceablePod = { spec: { nodeSelector: { disk: 'ssd' } } }
  const nodes = [node('a'), node('b'), node('c', { unschedulable: true })]
  assert.equal(place(selective, nodes), {
    node: null,
    reason:
      "0/3 nodes are available: 1 node(s) were unschedulable, 2 node(s) didn't match Pod's node affinity/selector.",
  })
  assert.equal(place(plain, []), {
    node: null,
    reason: '0/0 nodes are available: no nodes available to schedule pods.',
  })
})

test('a taint refuses until it is tolerated by key, value and effect', () => {
  const tainted = node('a', { taints: [{ key: 'k', value: 'v', effect: 'NoSchedule' }] })
  const tolerating = (toleration: object): PlaceablePod => ({ spec: { tolerations: [toleration] } })
  assert.match(refuses(plain, tainted) ?? '', 'untolerated taint {k: v}')
  for (const toleration of [
    { operator: 'Exists' },
    { key: 'k', operator: 'Exists' },
    { key: 'k', operator: 'Equal', value: 'v', effect: 'NoSchedule' },
    { key: 'k', value: 'v' },
  ]) {
    assert.is(refuses(tolerating(toleration), tainted), null, JSON.stringify(toleration))
  }
  for (const toleration of [
    { key: 'other', operator: 'Exists' },
    { key: 'k', value: 'w' },
    { key: 'k', operator: 'Exists', effect: 'NoExecute' },
    { value: 'v' },
  ]) {
    assert.is.not(refuses(tolerating(toleration), tainted), null, JSON.stringify(toleration))
  }
  assert.is(refuses(plain, node('a', { taints: [{ key: 'k', effect: 'PreferNoSchedule' }] })), null)
})

test('required node affinity: terms are alternatives, requirements in a term all count', () => {
  const wanting = (...terms: object[]): PlaceablePod => ({
    spec: {
      affinity: { nodeAffinity: { requiredDuringSchedulingIgnoredDuringExecution: { nodeSelectorTerms: terms } } },
    },
  })
  const labelled = node('a', { labels: { zone: 'x', cores: '8' } })
  const fits = (pod: PlaceablePod): boolean => refuses(pod, labelled) === null
  const expression = (key: string, operator: string, ...values: string[]): object => ({
    matchExpressions: [{ key, operator, values }],
  })
  assert.ok(fits(wanting(expression('zone', 'In', 'x', 'y'))))
  assert.ok(fits(wanting(expression('zone', 'In', 'y'), expression('cores', 'Gt', '4'))))
  assert.ok(fits(wanting(expression('gpu', 'DoesNotExist'))))
  assert.ok(fits(wanting({ matchFields: [{ key: 'metadata.name', operator: 'In', values: ['a'] }] })))
  assert.not(fits(wanting(expression('zone', 'NotIn', 'x'))))
  assert.not(fits(wanting({})))
  assert.not(fits(wanting()))
})

test('place() never chooses a node that refuses, and refuses only when all do', () => {
  const nodes = fc.uniqueArray(
    fc.record({
      name: fc.string({ minLength: 1, maxLength: 3 }),
      labels: fc.dictionary(fc.constantFrom('a', 'b'), fc.constantFrom('1', '2')),
      taints: fc.array(fc.record({ key: fc.constantFrom('t', 'u'), effect: fc.constant('NoSchedule') }), {
        maxLength: 2,
      }),
      unschedulable: fc.boolean(),
      ready: fc.boolean(),
      pods: fc.nat(5),
    }),
    { selector: (candidate) => candidate.name, maxLength: 6 },
  )
  const pods = fc.record({
    spec: fc.record({ nodeSelector: fc.dictionary(fc.constantFrom('a', 'b'), fc.constantFrom('1', '2')) }),
  })
  fc.assert(
    fc.property(pods, nodes, (pod, candidates) => {
      const outcome = place(pod, candidates)
      const fitting = candidates.filter((candidate) => refuses(pod, candidate) === null)
      if (outcome.node === null) return fitting.length === 0
      const chosen = fitting.find(({ name }) => name === outcome.node)
      return chosen !== undefined && fitting.every(({ pods }) => pods >= chosen.pods)
    }),
  )
})

test.run()
