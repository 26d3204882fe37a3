// The scale benchmark, scaled down: everything it measures is measured, and what does not depend on the machine holds.
import { execFile } from 'node:child_process'
import { mkdtempSync, readFileSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { promisify } from 'node:util'
import { test } from 'uvu'
import * as assert from 'uvu/assert'
import type { Section } from '../../benchmarks/scale/figures.ts'
import { requestKey, trafficSince, writesOf } from '../../benchmarks/scale/traffic.ts'

const script = new URL('../../benchmarks/scale/run.ts', import.meta.url).pathname
const size = [
  '--nodes=10',
  '--pods=40',
  '--cold=10x300',
  '--events=100',
  '--rate=100',
  '--rest=1',
  '--only=growth,cold',
]

test('all figures of a small cluster', async () => {
  const directory = mkdtempSync(join(tmpdir(), 'hybridnet-scale-test-'))
  try {
    const json = join(directory, 'figures.json')
    const args = ['--import', 'tsx', script, ...size, '--no-write', `--json=${json}`]
    await promisify(execFile)(process.execPath, args, { timeout: 170_000, killSignal: 'SIGKILL', maxBuffer: 1 << 24 })
    const { sections } = JSON.parse(readFileSync(json, 'utf8')) as { sections: Section[] }
    const value = (title: RegExp, what: RegExp): number => {
      const section = sections.find((one) => title.test(one.title))
      const figure = section?.figures.find((one) => what.test(one.what))
      assert.ok(figure, `${title} has ${what}`)
      return figure.value
    }
    for (const { title, figures } of sections) {
      for (const figure of figures) assert.ok(Number.isFinite(figure.value), `${title}: ${figure.what}`)
    }
    assert.is(value(/Daemon restarted/, /operations on the kernel/), 0)
    assert.is(value(/Manager replaced/, /writes after taking over/), 0)
    assert.ok(value(/Growth/, /index of remote pods/) <= 64)
    assert.ok(value(/first start/, /index of remote pods/) <= 64)
    assert.ok(value(/Growth/, /hollow: API writes per pod/) >= 3)
    const writes = value(/Growth/, /hybridnet-manager: API writes per pod/)
    assert.ok(writes >= 1 && writes < 4, `writes of the manager: ${writes}`)
    assert.is(value(/come and go/, /^events$/), 100)
    assert.ok(value(/come and go/, /seen in the kernel/) >= 1)
  } finally {
    rmSync(directory, { recursive: true, force: true })
  }
})

test('requests are told apart by verb and resource', () => {
  const examples: readonly (readonly [string, string, string])[] = [
    ['GET', '/api/v1/pods?limit=500', 'list pods'],
    ['GET', '/api/v1/namespaces', 'list namespaces'],
    ['GET', '/api/v1/namespaces/a', 'get namespaces'],
    ['GET', '/api/v1/namespaces/a/pods?watch=true&resourceVersion=7', 'watch pods'],
    ['GET', '/api/v1/namespaces/a/pods/b', 'get pods'],
    ['POST', '/api/v1/namespaces/a/pods/b/binding', 'create pods/binding'],
    ['PATCH', '/apis/networking.alibaba.com/v1/namespaces/a/ipinstances/b/status', 'patch ipinstances/status'],
    ['DELETE', '/apis/networking.alibaba.com/v1/subnets/b', 'delete subnets'],
    ['GET', '/version', 'get /version'],
  ]
  for (const [method, url, key] of examples) assert.is(requestKey(method, url), key)
})

test('what came between two readings', () => {
  const reading = (list: number, patch: number, bytes: number) => ({
    a: { requests: { 'list pods': list, 'patch pods': patch }, bytesUp: bytes, bytesDown: 2 * bytes, lastListAt: null },
  })
  const between = trafficSince(reading(1, 2, 10), reading(1, 5, 30))
  assert.equal(between['a'], { requests: { 'patch pods': 3 }, bytesUp: 20, bytesDown: 40, lastListAt: null })
  assert.is(writesOf(reading(4, 7, 1).a), 7)
})

test.run()
