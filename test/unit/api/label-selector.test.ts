// Label selectors as text: which are taken, and what they select.
import { test } from 'uvu'
import * as assert from 'uvu/assert'
import { parseLabelSelector } from '../../../lib/api/index.ts'

test('what each term selects', () => {
  for (const [text, ...selected] of [
    ['', {}, { a: 'b' }, null],
    ['a', { a: '' }, { a: 'b' }],
    ['!a', {}, { b: '' }, null],
    ['a=b', { a: 'b' }, { a: 'b', c: 'd' }],
    [' a == b ', { a: 'b' }],
    ['a=', { a: '' }],
    ['a!=b', {}, { a: 'c' }, undefined],
    ['a in (b, c)', { a: 'b' }, { a: 'c' }],
    ['x.io/a notin (b)', {}, { 'x.io/a': 'c' }],
    ['a=b,c in (d,e),!f', { a: 'b', c: 'e' }],
  ] as const) {
    const { value, error } = parseLabelSelector(text)
    assert.is(error, null, text)
    for (const labels of selected) assert.is(value?.(labels), true, `${text} selects ${JSON.stringify(labels)}`)
  }
  for (const [text, ...others] of [
    ['a', {}, { b: 'a' }],
    ['!a', { a: '' }],
    ['a=b', {}, { a: 'c' }, null],
    ['a!=b', { a: 'b' }],
    ['a in (b,c)', {}, { a: 'd' }],
    ['x.io/a notin (b,c)', { 'x.io/a': 'c' }],
    ['a=b,!f', { a: 'b', f: '' }, { f: '' }],
  ] as const) {
    const { value } = parseLabelSelector(text)
    for (const labels of others) assert.is(value?.(labels), false, `${text} selects ${JSON.stringify(labels)}`)
  }
})

test('the terms of Kubernetes, no others', () => {
  for (const bad of ['a>1', 'a<1', 'a in b', '=b', 'a=b c', 'a in (b', ',', '!a=b', '!a in (b)']) {
    assert.match(parseLabelSelector(bad).error ?? '', /no selector term, expected KEY=VALUE/, bad)
  }
})

test.run()
