// The chain of plugins, with plugins that write down how they were called.
import {
  chmodSync,
  mkdirSync,
  mkdtempSync,
  readdirSync,
  readFileSync,
  rmSync,
  symlinkSync,
  writeFileSync,
} from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { test } from 'uvu'
import * as assert from 'uvu/assert'
import { podArguments } from '../../../lib/standalone/nodes/cni-config.ts'
import { CniPluginError, CniRuntime } from '../../../lib/standalone/nodes/cni-runtime.ts'

interface Call {
  type: string
  command: string
  container: string
  input: Record<string, unknown>
}

const directory = mkdtempSync(join(tmpdir(), 'cni-runtime-'))
const config = join(directory, 'net.d')
const bin = join(directory, 'bin')
const cache = join(directory, 'cache')
const callLog = join(directory, 'calls')
test.before(() => {
  mkdirSync(config)
  mkdirSync(bin)
  // A plugin that records the call, then refuses when a file tells it to, else adds itself to the previous result.
  const script = `#!${process.execPath}
const fs = require('node:fs')
const input = JSON.parse(fs.readFileSync(0, 'utf8'))
const { CNI_COMMAND: command, CNI_CONTAINERID: container } = process.env
fs.appendFileSync('${callLog}', JSON.stringify({ type: input.type, command, container, input }) + '\\n')
if (fs.existsSync('${directory}/refuse-' + command + '-' + input.type)) {
  console.log(JSON.stringify({ cniVersion: input.cniVersion, code: 11, msg: 'not now', details: input.type }))
  process.exit(1)
}
if (command === 'ADD') console.log(JSON.stringify({ by: [...(input.prevResult?.by ?? []), input.type] }))
`
  for (const name of ['first', 'second']) {
    writeFileSync(join(bin, name), script)
    chmodSync(join(bin, name), 0o755)
  }
})
test.before.each(() => {
  writeFileSync(callLog, '')
  rmSync(cache, { recursive: true, force: true })
  for (const name of readdirSync(directory)) if (name.startsWith('refuse-')) rmSync(join(directory, name))
  configure('1.1.0')
})
test.after(() => rmSync(directory, { recursive: true }))

function configure(cniVersion: string): void {
  const plugins = [{ type: 'first' }, { type: 'second' }]
  writeFileSync(join(config, '10-chain.conflist'), JSON.stringify({ cniVersion, name: 'chain', plugins }))
}

const runtime = new CniRuntime({
  configDirectory: config,
  binDirectories: [join(directory, 'nothing-here'), bin],
  cacheDirectory: cache,
  wrapper: ['env'],
  timeoutMs: 2000,
})
const pod = { namespace: 'ns', name: 'p', uid: 'u', containerId: 'c1' }
const attachment = { containerId: 'c1', netns: '/run/netns/x', ifname: 'eth0', args: podArguments(pod) }
const calls = (): Call[] =>
  readFileSync(callLog, 'utf8')
    .split('\n')
    .filter((line) => line !== '')
    .map((line) => JSON.parse(line) as Call)
const failure = (promise: Promise<unknown>): Promise<Error> =>
  promise.then(
    () => new Error('did not fail'),
    (error: Error) => error,
  )
const order = (): string[] => calls().map(({ command, type }) => `${command} ${type}`)

test('ADD runs the chain forward, each plugin seeing the result of the one before', async () => {
  assert.equal(await runtime.add(attachment), { by: ['first', 'second'] })
  assert.equal(order(), ['ADD first', 'ADD second'])
  assert.equal(calls()[1]?.input['prevResult'], { by: ['first'] })
  assert.is(calls()[0]?.input['prevResult'], undefined)
})

test('DEL runs it backward with the final result, even after the configuration changed, and once', async () => {
  await runtime.add(attachment)
  rmSync(join(config, '10-chain.conflist'))
  await runtime.del(attachment)
  assert.equal(order().slice(2), ['DEL second', 'DEL first'])
  assert.equal(calls()[3]?.input['prevResult'], { by: ['first', 'second'] })
  await runtime.del(attachment)
  assert.is(calls().length, 4, 'a second DEL has nothing to undo')
})

test('DEL passes no result below 0.4.0', async () => {
  configure('0.3.1')
  await runtime.add(attachment)
  await runtime.del(attachment)
  assert.is(calls()[2]?.input['prevResult'], undefined)
})

test('a refused ADD says who refused and why, and can be undone', async () => {
  writeFileSync(join(directory, 'refuse-ADD-second'), '')
  const error = await failure(runtime.add(attachment))
  assert.instance(error, CniPluginError)
  assert.is((error as CniPluginError).code, 11)
  assert.is(error.message, 'CNI ADD second: not now: second (code 11)')
  await runtime.del(attachment)
  assert.equal(order(), ['ADD first', 'ADD second', 'DEL second', 'DEL first'])
  assert.equal(await runtime.remembered(), [])
})

test('an attachment whose DEL failed stays remembered', async () => {
  await runtime.add(attachment)
  writeFileSync(join(directory, 'refuse-DEL-first'), '')
  assert.match((await failure(runtime.del(attachment))).message, /not now/)
  const [left] = await runtime.remembered()
  assert.equal(left?.attachment, attachment)
  assert.equal(left?.result, { by: ['first', 'second'] })
})

test('an attachment that goes while all are looked at is not remembered', async () => {
  await runtime.add(attachment)
  // A name that is listed and cannot be read any more.
  symlinkSync(join(directory, 'gone'), join(directory, 'cache', 'gone-eth0.json'))
  const remembered = await runtime.remembered()
  assert.equal(
    remembered.map((one) => one.attachment),
    [attachment],
  )
})

test('CHECK, STATUS and GC reach the plugins from the versions that have them', async () => {
  await runtime.add(attachment)
  await runtime.check(attachment)
  await runtime.status()
  await runtime.collect([attachment])
  assert.equal(order().slice(2), [
    'CHECK first',
    'CHECK second',
    'STATUS first',
    'STATUS second',
    'GC first',
    'GC second',
  ])
  assert.equal(calls()[6]?.input['cni.dev/attachments'], [{ containerID: 'c1', ifname: 'eth0' }])
  configure('1.0.0')
  await runtime.status()
  await runtime.collect([])
  assert.is(calls().length, 8)
})

test('a missing configuration or plugin is named', async () => {
  writeFileSync(join(config, '10-chain.conflist'), '{}')
  assert.match(
    (await failure(runtime.add(attachment))).message,
    /^cni plugin not initialized: .*10-chain.conflist: name undefined/,
  )
  writeFileSync(
    join(config, '10-chain.conflist'),
    JSON.stringify({ cniVersion: '1.0.0', name: 'chain', plugins: [{ type: 'absent' }] }),
  )
  assert.match(
    (await failure(runtime.add(attachment))).message,
    /^CNI plugin 'absent' is in none of .*nothing-here, .*bin$/,
  )
})

test.run()
