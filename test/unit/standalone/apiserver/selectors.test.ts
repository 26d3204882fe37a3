// Label and field selectors.
import fc from 'fast-check'
import { suite } from 'uvu'
import * as assert from 'uvu/assert'
import {
  compileSelectors,
  labelKeyProblem,
  labelValueProblem,
  matchesLabels,
  parseFieldSelector,
  parseLabelSelector,
  pathReader,
} from '../../../../lib/standalone/apiserver/selectors.ts'
import type { KubeObject } from '../../../../lib/standalone/apiserver/types.ts'

const test = suite('selectors')

test('every form of label selector', () => {
  const cases: [string, Record<string, string>, boolean][] = [
    ['', {}, true],
    ['a=1', { a: '1' }, true],
    ['a=1', { a: '2' }, false],
    ['a=1', {}, false],
    ['a==1', { a: '1' }, true],
    ['a!=1', { a: '1' }, false],
    ['a!=1', {}, true],
    ['a', { a: '' }, true],
    ['a', {}, false],
    ['!a', {}, true],
    ['! a', { a: '' }, false],
    ['a=', { a: '' }, true],
    ['a in (1,2)', { a: '2' }, true],
    ['a in (1, 2)', { a: '3' }, false],
    ['a notin (1,2)', {}, true],
    ['a notin (1,2)', { a: '1' }, false],
    ['x.io/a=1,b!=2 , c in (3),!d,e', { 'x.io/a': '1', c: '3', e: 'x' }, true],
    ['x.io/a=1,b!=2,c in (3),!d,e', { 'x.io/a': '1', c: '3', e: 'x', d: '' }, false],
    ['constructor', {}, false],
  ]
  for (const [selector, labels, expected] of cases) {
    assert.is(matchesLabels(parseLabelSelector(selector), labels), expected, `${selector} on ${JSON.stringify(labels)}`)
  }
})

test('wrong label selectors are refused with 400', () => {
  for (const selector of [
    'a in',
    'a in (',
    '=1',
    'a===1',
    'a=1=2',
    'a b',
    '(a)',
    'a>1',
    '-a=1',
    'a=-',
    `a=${'x'.repeat(64)}`,
  ]) {
    assert.throws(
      () => parseLabelSelector(selector),
      (error: { code?: number }) => error.code === 400,
      selector,
    )
  }
})

test('selectors mean the same to Kubernetes’ rules written down again', () => {
  const label = fc.constantFrom('a', 'b', 'x.io/c')
  const value = fc.constantFrom('1', '2', '')
  const requirement = fc.oneof(
    fc.record({ text: fc.constant('='), key: label, values: fc.tuple(value) }),
    fc.record({ text: fc.constant('!='), key: label, values: fc.tuple(value) }),
    fc.record({
      text: fc.constantFrom(' in ', ' notin '),
      key: label,
      values: fc.array(value, { minLength: 1, maxLength: 3 }),
    }),
  )
  fc.assert(
    fc.property(fc.array(requirement, { maxLength: 3 }), fc.dictionary(label, value), (requirements, labels) => {
      const text = requirements
        .map(({ key, text, values }) =>
          text.includes('in') ? `${key}${text}(${values.join(',')})` : `${key}${text}${values[0] ?? ''}`,
        )
        .join(',')
      const expected = requirements.every(({ key, text, values }) => {
        const positive = text === '=' || text === ' in '
        const has = Object.hasOwn(labels, key) && values.includes(labels[key] ?? '')
        return positive ? has : !has
      })
      assert.is(matchesLabels(parseLabelSelector(text), labels), expected, text)
    }),
  )
})

test('field selectors, with escapes', () => {
  assert.equal(parseFieldSelector('a=1,b!=2,c==3'), [
    { field: 'a', operator: '=', value: '1' },
    { field: 'b', operator: '!=', value: '2' },
    { field: 'c', operator: '=', value: '3' },
  ])
  assert.equal(parseFieldSelector('a=x\\,y\\=z\\\\,b=1'), [
    { field: 'a', operator: '=', value: 'x,y=z\\' },
    { field: 'b', operator: '=', value: '1' },
  ])
  assert.throws(() => parseFieldSelector('a'), /can't understand 'a'/)
  const fields = new Map([['spec.nodeName', pathReader('spec.nodeName')]])
  const pod: KubeObject = {
    apiVersion: 'v1',
    kind: 'Pod',
    metadata: { name: 'p', namespace: 'n', labels: { l: '1' } },
    spec: {},
  }
  assert.is(compileSelectors('l=1', 'metadata.name=p,spec.nodeName=', fields)?.(pod), true)
  assert.is(compileSelectors('', 'spec.nodeName!=', fields)?.(pod), false)
  assert.is(compileSelectors('', '', fields), null)
  assert.throws(() => compileSelectors('', 'spec.other=1', fields), /field label not supported: spec\.other/)
})

test('label keys and values', () => {
  for (const good of ['a', 'A.b_c-d', 'x.io/y', `${'a'.repeat(63)}`]) assert.is(labelKeyProblem(good), null, good)
  for (const bad of ['', '/', 'a/', '/a', 'A.io/x', 'a/b/c', '-a', 'a-', 'a'.repeat(64)])
    assert.ok(labelKeyProblem(bad) !== null, bad)
  for (const good of ['', 'a', '1.2_3-4']) assert.is(labelValueProblem(good), null, good)
  for (const bad of ['-', 'a b', 'ä', 'a'.repeat(64)]) assert.ok(labelValueProblem(bad) !== null, bad)
})

test.run()
