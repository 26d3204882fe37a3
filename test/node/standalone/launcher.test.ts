// `hybridnet standalone` as a person runs it: what it gives, and that nothing of it remains however it ends.
import { type ChildProcess, execFileSync, spawn } from 'node:child_process'
import { once } from 'node:events'
import { existsSync, mkdtempSync, readdirSync, readFileSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { dirname, join } from 'node:path'
import { test } from 'uvu'
import * as assert from 'uvu/assert'
import { NODES } from '../../../lib/api/index.ts'
import { KubeClient } from '../../../lib/kube/index.ts'
import { programCommand } from '../../../lib/standalone/project.ts'
import { eventually } from '../../support/eventually.ts'
import { requireSandbox } from '../../support/sandbox.ts'

requireSandbox()
// The API is reached over the loopback device, as on a machine.
execFileSync('ip', ['link', 'set', 'lo', 'up'])
const temporary = mkdtempSync(join(tmpdir(), 'launcher-'))
test.after(() => rmSync(temporary, { recursive: true, force: true }))

// The bundle where there is one (scripts/test makes it): it starts several times faster than the source.
const program = programCommand('standalone')
const environment = { ...process.env, TMPDIR: temporary }

interface Running {
  child: ChildProcess
  output: () => string
  kubeconfig: string
  directory: string
  supervisor: number
}

async function start(...flags: string[]): Promise<Running> {
  const [file, ...args] = program
  const child = spawn(file, [...args, '--programs=false', ...flags], {
    env: environment,
    stdio: ['ignore', 'pipe', 'pipe'],
  })
  let text = ''
  child.stdout.on('data', (chunk: Buffer) => (text += chunk.toString()))
  child.stderr.on('data', (chunk: Buffer) => (text += chunk.toString()))
  const kubeconfig = await eventually(
    () => (child.exitCode !== null ? '' : (/^export KUBECONFIG=(.*)$/m.exec(text)?.[1] ?? null)),
    30_000,
  )
  if (kubeconfig === '') throw new Error(`exit ${child.exitCode}: ${text}`)
  const directory = dirname(kubeconfig)
  const instance = JSON.parse(readFileSync(join(directory, 'instance.json'), 'utf8')) as { supervisorPid: number }
  return { child, output: () => text, kubeconfig, directory, supervisor: instance.supervisorPid }
}

function isAlive(pid: number): boolean {
  return existsSync(`/proc/${pid}`) && !/^State:\s+Z/m.test(readFileSync(`/proc/${pid}/status`, 'utf8'))
}

function standalone(...argv: string[]): string {
  const [file, ...args] = program
  return execFileSync(file, [...args, ...argv], {
    env: environment,
    encoding: 'utf8',
    stdio: ['ignore', 'pipe', 'inherit'],
  })
}

/** How a command line is refused: exit code and message. */
function refusal(...argv: string[]): string {
  try {
    const [file, ...args] = program
    execFileSync(file, [...args, ...argv], { env: environment, encoding: 'utf8', stdio: 'pipe' })
    return 'no error'
  } catch (error) {
    const { status, stderr } = error as { status: number; stderr: string }
    return `${status} ${stderr}`
  }
}

/** Directories of instances; tsx keeps its cache beside them. */
const instances = (): string[] => readdirSync(temporary).filter((name) => name.startsWith('hybridnet-'))
const links = (): string => execFileSync('ip', ['-o', 'link'], { encoding: 'utf8' })
const linksBefore = links()

test('it serves the API to the outside, can be entered, and leaves nothing when told to stop', async () => {
  const running = await start('--nodes=1')
  const client = await KubeClient.load({ kubeconfig: running.kubeconfig })
  const nodes = await client.list<{ metadata: { name: string } }>(NODES)
  client.close()
  assert.equal(
    nodes.items.map(({ metadata }) => metadata.name),
    ['node1'],
  )
  assert.is(links(), linksBefore, 'nothing changed in this network')
  assert.match(standalone('list'), /^node {2}node1 +\/run\/netns\/node1$/m)
  assert.match(standalone('exec', 'node1', '--', 'ip', '-br', 'addr', 'show', 'eth0'), /192\.168\.56\.11\/24/)
  assert.match(standalone('exec', 'outside', 'ip', '-br', 'addr'), /203\.0\.113\.10\/24/)
  // Orders to the nodes.
  interface Report {
    name: string
    on: boolean
    bootId: string | null
    cutFrom: string[]
  }
  const ordered = (...words: string[]): Report[] => JSON.parse(standalone(...words, '-o', 'json')) as Report[]
  const [before] = ordered('node', 'list')
  const [after] = ordered('node', 'reboot', 'node1')
  assert.ok(before?.bootId && after?.bootId)
  assert.is.not(after.bootId, before.bootId)
  assert.equal(
    ordered('node', 'add', 'spare').map(({ name }) => name),
    ['node1', 'spare'],
  )
  assert.equal(ordered('node', 'partition', 'node1', 'spare')[0]?.cutFrom, ['spare'])
  assert.match(standalone('node', 'list'), /^spare +on +runs +- +node1 /m)
  assert.is(ordered('node', 'off', 'spare')[1]?.on, false)
  assert.equal(
    ordered('node', 'remove', 'spare').map(({ name, cutFrom }) => [name, cutFrom]),
    [['node1', []]],
  )
  assert.match(refusal('node', 'remove', 'spare'), /^1 .*no node 'spare'; there are node1/)
  assert.match(
    refusal('daemon', 'kill', 'node1'),
    /^1 .*there is no daemon: the cluster was started with --programs=false/,
  )
  assert.match(refusal('node', 'delay', 'node1', 'long'), /^2 .*MS 'long': expected a number from 0 to 60000/)
  assert.match(refusal('node', 'explode', 'node1'), /^2 .*unknown action 'explode'; see/)
  running.child.kill('SIGTERM')
  const [code] = (await once(running.child, 'exit')) as [number]
  assert.is(code, 0, running.output())
  assert.not(isAlive(running.supervisor))
  assert.equal(instances(), [])
})

test('a killed launcher takes the sandbox with it', async () => {
  const running = await start('--nodes=1', '--overlay=false')
  assert.ok(isAlive(running.supervisor))
  running.child.kill('SIGKILL')
  await once(running.child, 'exit')
  await eventually(() => !isAlive(running.supervisor), 10_000)
  await eventually(() => instances().length === 0)
  assert.is(links(), linksBefore)
})

test('a killed supervisor is an error of the launcher, and leaves nothing either', async () => {
  const running = await start('--nodes=1', '--overlay=false')
  process.kill(running.supervisor, 'SIGKILL')
  const [code] = (await once(running.child, 'exit')) as [number]
  assert.is.not(code, 0)
  assert.equal(instances(), [])
})

test('mistakes are explained', () => {
  assert.match(refusal('--nodes=0'), /^2 .*--nodes '0': expected a whole number from 1 to 200/)
  assert.match(refusal('exec', 'node1'), /^2 .*nothing runs; start/)
  assert.match(refusal('start'), /^2 .*unexpected 'start'/)
})

test.run()
