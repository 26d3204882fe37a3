// Reading lists item by item: against JSON.parse of the whole, for any document and any chunking.
import fc from 'fast-check'
import { test } from 'uvu'
import * as assert from 'uvu/assert'
import { ItemSplitter } from '../../../lib/kube/items.ts'
import { chunksOf, cuts } from '../../support/chunks.ts'

interface Read {
  items: unknown[]
  envelope: unknown
}

function read(chunks: readonly Buffer[]): Read {
  const items: unknown[] = []
  const splitter = new ItemSplitter((item) => items.push(item))
  for (const chunk of chunks) splitter.push(chunk)
  return { items, envelope: splitter.finish() }
}

/** Names and texts with everything that could confuse a scanner. */
const tricky = fc.oneof(
  fc.constantFrom('items', '"items":[', '\\', '\\"', '{"', '}]', '],[', ',', ':', '"', 'ü€𝄞', '\n', ''),
  fc.string({ unit: 'grapheme', maxLength: 12 }),
)
const value = fc.letrec<{ value: unknown }>((tie) => ({
  value: fc.oneof(
    { depthSize: 'small' },
    tricky,
    fc.integer(),
    fc.boolean(),
    fc.constant(null),
    fc.array(tie('value'), { maxLength: 4 }),
    fc.dictionary(tricky, tie('value'), { maxKeys: 4, noNullPrototype: true }),
  ),
})).value
const item = fc.dictionary(tricky, value, { maxKeys: 5, noNullPrototype: true })
const others = fc
  .dictionary(tricky, value, { maxKeys: 4, noNullPrototype: true })
  .map((object) =>
    Object.fromEntries(Object.entries(object).filter(([name]) => name !== 'items' && name !== '__proto__')),
  )

test('equals JSON.parse of the whole', () => {
  const indent = fc.constantFrom('', 1, '\t', ' \r\n')
  fc.assert(
    fc.property(others, fc.array(item, { maxLength: 5 }), others, indent, cuts, (before, items, after, space, at) => {
      const text = JSON.stringify({ ...before, items, ...after }, null, space)
      const whole = JSON.parse(text) as Record<string, unknown>
      const got = read(chunksOf(Buffer.from(text), at))
      assert.equal(got.items, whole['items'])
      assert.equal(got.envelope, { ...whole, items: [] })
    }),
    { numRuns: 1000 },
  )
})

test('items absent or null; no list at all', () => {
  const bytes = (text: string): Buffer[] => [Buffer.from(text)]
  assert.equal(read(bytes('{"metadata":{"items":[{"a":1}]},"items":null,"kind":"L"}')), {
    items: [],
    envelope: { metadata: { items: [{ a: 1 }] }, items: null, kind: 'L' },
  })
  assert.equal(read(bytes('{"kind":"Status"}')), { items: [], envelope: { kind: 'Status' } })
  assert.equal(read(bytes('{"items":{"items":[{"a":1}]}}')).items, [])
  assert.equal(read(bytes(' {"x":"items","y":[{"a":1}]} ')).items, [])
})

test('a document cut anywhere is an error, never a shorter list', () => {
  const text = JSON.stringify({
    kind: 'L',
    items: [{ a: '}' }, { b: [1, { c: 2 }] }],
    metadata: { resourceVersion: '7' },
  })
  for (let length = 0; length < text.length; length++) {
    assert.throws(
      () => read([Buffer.from(text.slice(0, length))]),
      (error: Error) => error instanceof SyntaxError,
      `cut at ${length}`,
    )
  }
})

test('what is no object between the items is an error', () => {
  for (const bad of ['1', '"text"', 'x{}', '{} 5', 'null', '[1]{']) {
    assert.throws(
      () => read([Buffer.from(`{"items":[${bad}]}`)]),
      (error: Error) => error instanceof SyntaxError,
      bad,
    )
  }
})

test.run()
