// Supervised children: restarted when they end, slower each time, and stopped for good.
import { mkdtempSync, readFileSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { test } from 'uvu'
import * as assert from 'uvu/assert'
import { Program } from '../../../lib/standalone/programs.ts'
import { eventually } from '../../support/eventually.ts'

const directory = mkdtempSync(join(tmpdir(), 'programs-'))
test.after(() => rmSync(directory, { recursive: true }))

function program(name: string, script: string): Program {
  return new Program({
    name,
    command: ['sh', '-c', script],
    environment: { GREETING: 'hello' },
    logFile: join(directory, `${name}.log`),
    restartDelayMs: 20,
  })
}

test('a program that ends is started again, with its output kept', async () => {
  const short = program('short', 'echo $GREETING; exit 3')
  short.start()
  const log = await eventually(() => {
    const text = readFileSync(short.logFile, 'utf8')
    return text.split('hello\n').length - 1 >= 3 ? text : null
  })
  assert.is(short.state.lastExit, 'exit 3')
  // The one that runs now, if any, may end by itself or by the signal.
  await short.stop()
  const { starts } = short.state
  assert.is(short.state.pid, null)
  assert.match(log, /--- short: exit 3 after \d+ ms/)
  await new Promise((resolve) => setTimeout(resolve, 150))
  assert.is(short.state.starts, starts, 'not restarted after stop()')
})

test('a killed program comes back as another process', async () => {
  const long = program('long', 'exec sleep 60')
  assert.not(long.kill())
  long.start()
  const { pid } = long.state
  assert.ok(long.kill())
  await eventually(() => long.state.pid !== null && long.state.pid !== pid)
  assert.is(long.state.lastExit, 'SIGKILL')
  await long.stop()
})

test('a program that ignores SIGTERM is killed when its grace is over', async () => {
  const deaf = program('deaf', 'trap "" TERM; echo ready; while :; do sleep 1; done')
  deaf.start()
  await eventually(() => readFileSync(deaf.logFile, 'utf8').includes('ready'))
  await deaf.stop(50)
  assert.is(deaf.state.lastExit, 'SIGKILL')
})

test('a program that cannot be started is reported in its log and retried', async () => {
  const missing = new Program({
    name: 'missing',
    command: ['/does/not/exist'],
    logFile: join(directory, 'missing.log'),
    restartDelayMs: 10,
  })
  missing.start()
  await eventually(() => missing.state.starts >= 2)
  await missing.stop()
  assert.match(readFileSync(missing.logFile, 'utf8'), /could not be started: .*ENOENT/)
})

test.run()
