// The shim's JSON parser, through the binary, against JavaScript's: both accept the same texts, except where the shim is
// stricter on purpose (depth, halves of surrogate pairs).
import fc from 'fast-check'
import { spawnSync } from 'node:child_process'
import { test } from 'uvu'
import * as assert from 'uvu/assert'
import { requireShim, shim } from '../../support/cni-node.ts'

requireShim()

/** What VERSION makes of a document: the version it echoes, or null when it is not valid JSON. */
function echoed(text: string | Buffer): string | null {
  const { stdout, status } = spawnSync(shim, { env: { CNI_COMMAND: 'VERSION' }, input: text, encoding: 'utf8' })
  const answer = JSON.parse(stdout) as { code?: number; cniVersion: string }
  if (status === 0) return answer.cniVersion
  assert.is(answer.code, 6, stdout)
  return null
}

function accepts(text: string): boolean {
  try {
    const value: unknown = JSON.parse(text)
    return typeof value === 'object' && value !== null && !Array.isArray(value)
  } catch {
    return false
  }
}

test('any string survives escaping, decoding and quoting', () => {
  fc.assert(
    fc.property(fc.string({ unit: 'binary', minLength: 1, maxLength: 30 }), (text) => {
      const escaped = [...text]
        .map((c) => (c.length === 1 ? `\\u${c.charCodeAt(0).toString(16).padStart(4, '0')}` : c))
        .join('')
      assert.is(echoed(`{"cniVersion":"${escaped}"}`), text)
      assert.is(echoed(JSON.stringify({ cniVersion: text })), text)
    }),
    { numRuns: 40 },
  )
})

test('any valid document is accepted, whatever is around the member', () => {
  fc.assert(
    fc.property(
      fc.jsonValue({ maxDepth: 5, noUnicodeString: false }),
      fc.constantFrom('', ' ', '\n\t'),
      (value, space) => {
        assert.is(echoed(`${space}{"a":${JSON.stringify(value)},${space}"cniVersion":"x"}${space}`), 'x')
      },
    ),
    { numRuns: 60 },
  )
})

test('a damaged document is accepted by both or by neither', () => {
  const whole = '{"a":[1,-2.5e+3,true,false,null,"x\\n\\u00e9"],"b":{"c":{}},"cniVersion":"y"}'
  const tokens = fc.constantFrom('', ',', '{', ']', '"', '0', '-', '.', 'e', '\\', 'u', ' ', '\u0001', 'tru')
  fc.assert(
    fc.property(fc.nat(whole.length), fc.nat(3), tokens, (at, remove, insert) => {
      const text = whole.slice(0, at) + insert + whole.slice(at + remove)
      let version: unknown = null
      if (accepts(text)) version = (JSON.parse(text) as { cniVersion?: unknown }).cniVersion ?? '0.1.0'
      if (version === '') version = '0.1.0'
      if (version !== null && typeof version !== 'string') return
      assert.is(echoed(text), version, text)
    }),
    { numRuns: 120 },
  )
})

test('stricter than JavaScript: depth, surrogates, UTF-8; the last of equal members counts', () => {
  const nested = (depth: number): string => `{"a":${'['.repeat(depth - 1)}${']'.repeat(depth - 1)}}`
  assert.is(echoed(nested(64)), '0.1.0')
  assert.is(echoed(nested(65)), null)
  assert.is(echoed('{"a":"\\ud83d\\ude00"}'), '0.1.0')
  for (const bad of ['\\ud83d', '\\ude00', '\\ud83dx', '\\ud83d\\u0041']) assert.is(echoed(`{"a":"${bad}"}`), null)
  for (const bytes of [
    [0xc0, 0x80],
    [0xe0, 0x80, 0x80],
    [0xed, 0xa0, 0x80],
    [0xf4, 0x90, 0x80, 0x80],
    [0x80],
    [0xff],
  ]) {
    assert.is(echoed(Buffer.concat([Buffer.from('{"a":"'), Buffer.from(bytes), Buffer.from('"}')])), null)
  }
  assert.is(echoed('{"cniVersion":"1","cniVersion":"2"}'), '2')
  assert.is(echoed('{"cniVersi\\u006fn":"3"}'), '3')
})

test.run()
