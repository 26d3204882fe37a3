// Splitting byte streams into lines, however they are cut.
import fc from 'fast-check'
import { test } from 'uvu'
import * as assert from 'uvu/assert'
import { LineSplitter } from '../../../lib/kube/lines.ts'
import { chunksOf, cuts } from '../../support/chunks.ts'

function split(chunks: readonly Buffer[]): { lines: string[]; rest: string | null } {
  const lines: string[] = []
  const splitter = new LineSplitter((line) => lines.push(line.toString('utf8')))
  for (const chunk of chunks) splitter.push(chunk)
  return { lines, rest: splitter.rest()?.toString('utf8') ?? null }
}

test('any chunking gives the same lines', () => {
  const line = fc.string({ unit: 'binary', minLength: 1, maxLength: 40 }).map((text) => text.replaceAll(/[\r\n]/g, '·'))
  fc.assert(
    fc.property(fc.array(line, { maxLength: 20 }), fc.option(line), cuts, (lines, last, at) => {
      const bytes = Buffer.from(lines.map((text) => `${text}\n`).join('') + (last ?? ''))
      assert.equal(split(chunksOf(bytes, at)), { lines, rest: last })
    }),
    { numRuns: 200 },
  )
})

test('empty lines and carriage returns alone are no lines', () => {
  assert.equal(split([Buffer.from('\n\na\n\r\n\nb\n')]), { lines: ['a', 'b'], rest: null })
})

test('a line over the limit is an error, whole or in pieces', () => {
  const small = (): LineSplitter => new LineSplitter(() => undefined, 10)
  assert.throws(() => small().push(Buffer.from('12345678901\n')), /more than 10 bytes/)
  const pieces = small()
  pieces.push(Buffer.from('123456'))
  assert.is(pieces.pending, 6)
  assert.throws(() => pieces.push(Buffer.from('78901')), /more than 10 bytes/)
  small().push(Buffer.from('1234567890\n1234567890\n'))
})

test.run()
