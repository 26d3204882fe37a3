// Malformed messages, one in each file of corpus/, and what RFC 4271, 7313, 7606 and their companions say happens.
//
// `expect:` is `ok`, or `reset CODE.SUBCODE [DATA]`, or how problems were handled followed by routes announced (A) and withdrawn (W).
import { readdirSync, readFileSync } from 'node:fs'
import { join } from 'node:path'
import { test } from 'uvu'
import * as assert from 'uvu/assert'
import { formatPrefix } from '../../../lib/ip/index.ts'
import { IPV4_UNICAST, IPV6_UNICAST, SessionError, type Message, type UpdateContext } from '../../../lib/bgp/index.ts'
import { decodeAll } from './support.ts'

const folder = join(import.meta.dirname, 'corpus')

function outcome(bytes: Buffer, context: UpdateContext): string {
  let messages: Message[]
  try {
    messages = decodeAll(bytes, context)
  } catch (error) {
    if (!(error instanceof SessionError)) throw error
    return `reset ${error.code}.${error.subcode} ${Buffer.from(error.data).toString('hex')}`.trim()
  }
  const [message] = messages
  assert.is(messages.length, 1)
  if (message?.type !== 'update') return 'ok'
  const handling = [...new Set(message.problems.map((problem) => problem.handling))].sort().join('+')
  const list = (
    letter: string,
    sets: readonly { prefixes: readonly { address: number | bigint; length: number }[] }[],
  ) => (sets.length === 0 ? '' : [letter, ...sets.flatMap(({ prefixes }) => prefixes.map(formatPrefix))].join(' '))
  const text = [handling, list('A', message.announced), list('W', message.withdrawn)].filter((part) => part !== '')
  return text.join(' ') || 'A'
}

const files = readdirSync(folder).filter((file) => file.endsWith('.hex'))

test('the corpus is there', () => {
  assert.ok(files.length > 90, `${files.length} files`)
})

for (const file of files) {
  const lines = readFileSync(join(folder, file), 'utf8').split('\n')
  const field = (name: string): string => {
    const found = lines.find((line) => line.startsWith(`# ${name}: `))
    if (found === undefined) throw new Error(`${file} has no line "# ${name}: ..."`)
    return found.slice(name.length + 4)
  }
  const session = field('session').split(' ')
  const context: UpdateContext = {
    fourOctetAs: session.includes('four-octet'),
    external: session.includes('external'),
    families: new Set(session.includes('ipv6-only') ? [IPV6_UNICAST] : [IPV4_UNICAST, IPV6_UNICAST]),
    extendedNextHop: false,
  }
  const bytes = Buffer.from(lines.filter((line) => !line.startsWith('#')).join(''), 'hex')
  test(`${file}: ${lines[0]?.slice(2)}`, () => assert.is(outcome(bytes, context), field('expect')))
}

test.run()
