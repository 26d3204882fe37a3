// Objects that outlive the server: every answered write is there after a kill at any moment, versions go on, watches from
// before begin with 410; a torn end is borne, damage is refused.
import { spawn, type ChildProcess, type ChildProcessByStdio } from 'node:child_process'
import { once } from 'node:events'
import { appendFileSync, mkdtempSync, readdirSync, readFileSync, rmSync, truncateSync, writeFileSync } from 'node:fs'
import { request } from 'node:http'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import type { Readable } from 'node:stream'
import { test } from 'uvu'
import * as assert from 'uvu/assert'
import { Journal } from '../../../lib/standalone/apiserver/journal/index.ts'
import { seededRandom } from '../../../lib/standalone/apiserver/faults/random.ts'
import { Store } from '../../../lib/standalone/apiserver/store.ts'
import type { JsonObject, KubeObject } from '../../../lib/standalone/apiserver/types.ts'
import { silentLogger } from '../../../lib/telemetry/log.ts'
import { configMap, startRig, type Rig } from '../../support/apiserver.ts'
import { eventually } from '../../support/eventually.ts'

const maps = '/api/v1/namespaces/default/configmaps'
const directory = mkdtempSync(join(tmpdir(), 'journal-'))
test.after(() => rmSync(directory, { recursive: true, force: true }))
const rigAt = (name: string): Promise<Rig> => startRig({ dataDirectory: join(directory, name) })
const merge = { 'content-type': 'application/merge-patch+json' }

const definition: JsonObject = {
  apiVersion: 'apiextensions.k8s.io/v1',
  kind: 'CustomResourceDefinition',
  metadata: { name: 'things.example.com' },
  spec: {
    group: 'example.com',
    scope: 'Namespaced',
    names: { plural: 'things', kind: 'Thing', singular: 'thing', listKind: 'ThingList' },
    versions: [
      {
        name: 'v1',
        served: true,
        storage: true,
        schema: { openAPIV3Schema: { type: 'object', 'x-kubernetes-preserve-unknown-fields': true } },
      },
    ],
  },
}

test('a restart keeps objects, kinds and cluster IPs; versions go on and old watches get 410', async () => {
  const first = await rigAt('restart')
  const made = await first.ok('POST', maps, configMap('kept', { a: '1' }))
  const changed = await first.ok('PATCH', `${maps}/kept`, { data: { a: '2' } }, merge)
  await first.ok('POST', maps, configMap('gone'))
  await first.ok('DELETE', `${maps}/gone`)
  await first.ok('POST', '/apis/apiextensions.k8s.io/v1/customresourcedefinitions', definition)
  const things = '/apis/example.com/v1/namespaces/default/things'
  const owner = { apiVersion: 'v1', kind: 'ConfigMap', name: 'kept', uid: made.metadata.uid ?? '' }
  await first.ok('POST', things, { apiVersion: 'example.com/v1', kind: 'Thing', metadata: { name: 'one', ownerReferences: [owner] }, size: 7 }) // prettier-ignore
  const service = (name: string): JsonObject => ({ apiVersion: 'v1', kind: 'Service', metadata: { name }, spec: { ports: [{ port: 80 }] } }) // prettier-ignore
  const before = await first.ok('POST', '/api/v1/namespaces/default/services', service('before'))
  const { version } = first.server
  await first.close()

  const second = await rigAt('restart')
  try {
    assert.equal(await second.ok('GET', `${maps}/kept`), changed)
    assert.is((await second.call('GET', `${maps}/gone`)).code, 404)
    assert.is((await second.ok('GET', `${things}/one`))['size'], 7)
    assert.is((await second.ok('GET', '/api/v1/namespaces/default')).kind, 'Namespace')
    assert.ok(second.server.version > version, `${second.server.version} after ${version}`)
    const after = await second.ok('POST', '/api/v1/namespaces/default/services', service('after'))
    const address = (object: KubeObject): unknown => (object['spec'] as JsonObject)['clusterIP']
    assert.is.not(address(after), address(before))
    const watch = await second.watch(`${maps}?watch=true&resourceVersion=${version}`)
    assert.is((await watch.next()).type, 'ERROR')
    // The collector knows owners from before.
    await second.ok('DELETE', `${maps}/kept`)
    await eventually(async () => (await second.call('GET', `${things}/one`)).code === 404)
  } finally {
    await second.close()
  }
})

test('a snapshot replaces older logs; what is written meanwhile is kept', async () => {
  const path = join(directory, 'compact')
  const log = silentLogger()
  const journal = await Journal.open({ directory: path, log, compactAbove: 20_000 })
  const store = new Store({ historySize: 100 })
  journal.follow(store)
  const object = (name: string, value: number): KubeObject => ({ apiVersion: 'v1', kind: 'X', metadata: { name }, value, filler: 'x'.repeat(200) }) // prettier-ignore
  for (let round = 0; round < 40; round++) {
    for (let index = 0; index < 20; index++) store.put('/things', `o${index}`, object(`o${index}`, round * 20 + index))
    store.remove('/things', `o${round % 20}`)
    if (round % 2 === 0) await journal.synced()
  }
  await journal.close()
  const names = readdirSync(path).filter((name) => name !== 'lock')
  assert.ok(
    names.some((name) => name.endsWith('.snapshot')),
    names.join(' '),
  )
  assert.ok(names.length <= 4, names.join(' '))
  const again = await Journal.open({ directory: path, log })
  const kept = again.state?.collections.get('/things') ?? new Map<string, KubeObject>()
  assert.equal(
    Object.fromEntries([...kept].sort()),
    Object.fromEntries([...store.collection('/things').entries()].map(([key, { object: now }]) => [key, now])),
  )
  assert.ok((again.state?.version ?? 0) > store.version)
  await again.close()
})

const logOf = (name: string): string => {
  const path = join(directory, name, 'journal')
  const logs = readdirSync(path).filter((file) => file.endsWith('.log')).sort() // prettier-ignore
  return join(path, logs.at(-1) ?? '')
}

test('a torn end is cut off; a changed byte elsewhere is refused with its place', async () => {
  const rig = await rigAt('torn')
  for (const name of ['one', 'two', 'three']) await rig.ok('POST', maps, configMap(name))
  await rig.close()
  const whole = readFileSync(logOf('torn'))
  for (const [what, damage] of [
    ['half a record', (path: string) => truncateSync(path, whole.length - 20)],
    ['zeros behind the end', (path: string) => appendFileSync(path, Buffer.alloc(100))],
    ['half a head', (path: string) => appendFileSync(path, Buffer.from([0, 0, 1]))],
  ] as const) {
    const path = logOf('torn')
    damage(path)
    const again = await rigAt('torn')
    assert.is((await again.call('GET', `${maps}/two`)).code, 200, what)
    await again.close()
    rmSync(logOf('torn'))
    writeFileSync(path, whole)
  }
  const damaged = Buffer.from(whole)
  const at = Math.floor(whole.length / 2)
  damaged[at] = (damaged[at] ?? 0) ^ 0x40
  writeFileSync(logOf('torn'), damaged)
  const error = await rigAt('torn').then(() => null, (reason: Error) => reason) // prettier-ignore
  assert.match(error?.message ?? '', /^journal .*\.log: byte \d+ of \d+: (CRC-32|a record of)/)
  assert.equal(readFileSync(logOf('torn')), damaged, 'nothing was changed')
})

/** A POST on a socket; the status, or null when the connection broke first. */
function post(socketPath: string, path: string, body: JsonObject): Promise<number | null> {
  return new Promise((resolve) => {
    const content = JSON.stringify(body)
    const sent = request({ socketPath, path, method: 'POST', headers: { 'content-type': 'application/json' } })
    sent.on('response', (response) => {
      response.on('error', () => resolve(null))
      response.on('close', () => resolve(response.complete ? (response.statusCode ?? null) : null))
      response.resume()
    })
    sent.on('error', () => resolve(null))
    sent.end(content)
  })
}

/** A server in a process of its own; it writes a line when it listens. */
function startProcess(socket: string, data: string): ChildProcessByStdio<null, Readable, null> {
  const program = join(import.meta.dirname, '../../support/journal-server.ts')
  const stdio: ['ignore', 'pipe', 'inherit'] = ['ignore', 'pipe', 'inherit']
  return spawn(process.execPath, [...process.execArgv, program, socket, data], { stdio })
}

async function end(child: ChildProcess): Promise<void> {
  if (child.exitCode !== null || child.signalCode !== null) return
  const ended = once(child, 'exit')
  child.kill('SIGKILL')
  await ended
}

test('of two servers on one directory the second is refused, until the first has ended, however it did', async () => {
  const data = join(directory, 'locked')
  const refusal = async (): Promise<string> => {
    const error = await rigAt('locked').then(() => null, (reason: Error) => reason) // prettier-ignore
    return error?.message ?? 'served'
  }
  const child = startProcess(join(directory, 'locked.sock'), data)
  try {
    await once(child.stdout, 'data')
    assert.is(await post(join(directory, 'locked.sock'), maps, configMap('kept')), 201)
    assert.match(await refusal(), new RegExp(`^journal ${data}/journal: in use by process ${child.pid} of `))
    assert.is(await post(join(directory, 'locked.sock'), maps, configMap('after')), 201)
  } finally {
    await end(child)
  }
  const first = await rigAt('locked')
  try {
    for (const name of ['kept', 'after']) assert.is((await first.call('GET', `${maps}/${name}`)).code, 200, name)
    assert.match(await refusal(), new RegExp(`in use by process ${process.pid} of `), 'in the same process, too')
  } finally {
    await first.close()
  }
  await (await rigAt('locked')).close()
})

test('killed at random moments under writes: whatever was answered is there', async () => {
  const data = join(directory, 'crash')
  const random = seededRandom(7)
  const answered = new Set<string>()
  let next = 0
  for (let life = 0; life < 5; life++) {
    const socket = join(directory, `crash-${life}.sock`)
    const child = startProcess(socket, data)
    try {
      await once(child.stdout, 'data')
      let killed = false
      const writer = async (): Promise<void> => {
        while (!killed) {
          const name = `map-${next++}`
          if ((await post(socket, maps, configMap(name, { filler: 'x'.repeat(2000) }))) === 201) answered.add(name)
        }
      }
      const writers = Array.from({ length: 8 }, writer)
      const enough = answered.size + 20 + Math.floor(random() * 60)
      await eventually(() => answered.size >= enough, 60_000, 1)
      child.kill('SIGKILL')
      killed = true
      await Promise.all(writers)
    } finally {
      await end(child)
    }
  }
  const rig = await rigAt('crash')
  try {
    const { items } = (await rig.ok('GET', maps)) as unknown as { items: KubeObject[] }
    const found = new Set(items.map(({ metadata }) => metadata.name))
    assert.ok(answered.size > 100, `${answered.size} answered`)
    assert.equal([...answered].filter((name) => !found.has(name)), []) // prettier-ignore
  } finally {
    await rig.close()
  }
})

test.run()
