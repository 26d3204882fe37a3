// An unmodified kubectl against the embedded server. Needs kubectl on PATH (any version from 1.20 on).
import { spawn, spawnSync } from 'node:child_process'
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { suite } from 'uvu'
import * as assert from 'uvu/assert'
import { startApiServer } from '../../../lib/standalone/apiserver/index.ts'
import type { ApiServer } from '../../../lib/standalone/apiserver/index.ts'
import { eventually } from '../../support/eventually.ts'
import { bringUpLoopback } from '../../support/loopback.ts'

const test = suite('kubectl')
const program = process.env['KUBECTL'] ?? 'kubectl'
const available = spawnSync(program, ['version', '--client'], { encoding: 'utf8' }).status === 0
if (!available) console.log('SKIPPED: no kubectl on PATH; set KUBECTL to one')
const check = (name: string, body: () => Promise<void>): void => (available ? test(name, body) : test.skip(name, body))

let server: ApiServer
const home = mkdtempSync(join(tmpdir(), 'kubectl-'))
const env = {
  PATH: process.env['PATH'] ?? '',
  HOME: home,
  KUBECONFIG: join(home, 'config'),
  KUBECACHEDIR: join(home, 'cache'),
}

interface Result {
  readonly code: number | null
  readonly out: string
  readonly err: string
}

function run(args: readonly string[], input = ''): Promise<Result> {
  return new Promise((resolve, reject) => {
    const child = spawn(program, args, { env, stdio: ['pipe', 'pipe', 'pipe'] })
    let out = ''
    let err = ''
    child.stdout.on('data', (chunk: Buffer) => (out += chunk.toString()))
    child.stderr.on('data', (chunk: Buffer) => (err += chunk.toString()))
    child.on('error', reject)
    child.on('close', (code) => resolve({ code, out, err }))
    child.stdin.on('error', reject)
    child.stdin.end(input)
  })
}

async function kubectl(command: string, input = ''): Promise<string> {
  const { code, out, err } = await run(command.split(' '), input)
  if (code !== 0) throw new Error(`kubectl ${command}: exit ${code}\n${out}${err}`)
  return out
}

const refused = async (command: string, input = ''): Promise<string> => {
  const { code, err, out } = await run(command.split(' '), input)
  assert.ok(code !== 0, `kubectl ${command} should fail, said: ${out}`)
  return err
}

test.before(async () => {
  bringUpLoopback()
  const crdDirectory = new URL('../../../charts/hybridnet/crds', import.meta.url).pathname
  server = await startApiServer({ listen: [{ host: '127.0.0.1', port: 0 }], tls: {}, crdDirectory })
  writeFileSync(env.KUBECONFIG, server.kubeconfig())
})
test.after(async () => {
  await server.close()
  rmSync(home, { recursive: true, force: true })
})

const manifest = (image: string, extra = '') => `apiVersion: v1
kind: Pod
metadata: {name: web, labels: {app: web}}
spec:
  containers:
  - name: main
    image: ${image}${extra}
    env: [{name: A, value: b}]
    ports: [{containerPort: 80}]
    resources: {limits: {cpu: "1", memory: 64Mi}}
`

check('create, get, label, annotate, describe, delete', async () => {
  assert.match(await kubectl('create namespace team'), /namespace\/team created/)
  await kubectl('create configmap settings -n team --from-literal=a=b')
  await kubectl('create secret generic token -n team --from-literal=a=b')
  await kubectl('create deployment app -n team --image=none')
  await kubectl('run web -n team --image=none:1')
  assert.match(await kubectl('get pods -n team'), /^NAME +READY +STATUS +RESTARTS +AGE\nweb +0\/1 +Pending +0 +\d+s\n$/)
  assert.match(await kubectl('get pods -A -o wide'), /NODE +NOMINATED NODE +READINESS GATES/)
  assert.match(await kubectl('get ns,svc'), /service\/kubernetes +ClusterIP +10\.96\.0\.1/)
  await kubectl('label pod web -n team x=y')
  await kubectl('annotate pod web -n team note=hello')
  assert.is(await kubectl('get pods -n team -l x=y -o name'), 'pod/web\n')
  const described = await kubectl('describe pod web -n team')
  assert.match(described, /Labels: +run=web\n +x=y\n/)
  assert.match(described, /Annotations: +note: hello/)
  assert.is(await kubectl('get cm settings -n team -o jsonpath={.data.a}'), 'b')
  assert.match(await kubectl('delete namespace team'), /namespace "team" deleted/)
  assert.match(await refused('get pod web -n team'), /NotFound/)
})

check('apply: create, change, nothing to do, and what the server refuses', async () => {
  assert.is(await kubectl('apply -f -', manifest('one')), 'pod/web created\n')
  assert.is(await kubectl('apply -f -', manifest('one')), 'pod/web unchanged\n')
  assert.is(await kubectl('apply -f -', manifest('two')), 'pod/web configured\n')
  assert.is(await kubectl('get pod web -o jsonpath={.spec.containers[0].image}'), 'two')
  assert.match(
    await refused('apply -f -', manifest('two', '\n    wrong: field')),
    /unknown field "?(spec\.containers\[0\]\.)?wrong/,
  )
  assert.match(
    await refused('apply -f -', manifest('two').replace('80', '81')),
    /spec: Forbidden: pod updates may not change fields/,
  )
  assert.match(await kubectl('apply --server-side --force-conflicts -f -', manifest('three')), /serverside-applied/)
  assert.match(await kubectl('delete pod web'), /pod "web" deleted/)
})

const networks = `apiVersion: networking.alibaba.com/v1
kind: Network
metadata: {name: overlay}
spec: {type: Overlay, mode: VXLAN, netID: 4}
---
apiVersion: networking.alibaba.com/v1
kind: Subnet
metadata: {name: pods}
spec: {network: overlay, range: {version: "4", cidr: 10.0.0.0/24}}
`

check('custom resources: apply, columns, explain, errors with field paths', async () => {
  const out = await kubectl('apply -f -', networks)
  assert.match(
    out,
    /network\.networking\.alibaba\.com\/overlay created\nsubnet\.networking\.alibaba\.com\/pods created/,
  )
  assert.is(
    await kubectl('apply -f -', networks.replace('netID: 4', 'netID: 5')),
    out.replace('overlay created', 'overlay configured').replace('pods created', 'pods unchanged'),
  )
  assert.match(await kubectl('get networks'), /^NAME +NETID +TYPE +MODE.*\noverlay +5 +Overlay +VXLAN/)
  assert.match(await kubectl('describe network overlay'), /Kind: +Network/)
  const error = await refused(
    'apply -f -',
    networks.replace(/, range: \{.*\}\}/, '}').replace('name: pods', 'name: other'),
  )
  // kubectl before 1.25 looks itself, in the server's schema.
  assert.match(
    error,
    /The Subnet "other" is invalid: spec\.range: Required value|ValidationError\(Subnet\.spec\): missing required field "range"/,
  )
  assert.match(await kubectl('explain network.spec'), /netID\t<integer>/)
  assert.match(await kubectl('explain pod.spec.containers'), /imagePullPolicy\t<string>/)
  assert.match(await kubectl('api-resources'), /nodeinfoes +networking\.alibaba\.com\/v1 +false +NodeInfo/)
})

check('get -w follows changes, wait sees a condition', async () => {
  const watch = spawn(program, ['get', 'configmaps', '-w', '--output-watch-events'], {
    env,
    stdio: ['ignore', 'pipe', 'inherit'],
  })
  let seen = ''
  watch.stdout.on('data', (chunk: Buffer) => (seen += chunk.toString()))
  try {
    await eventually(() => seen.includes('kube-root-ca.crt'), 10_000)
    await kubectl('create configmap watched --from-literal=a=b')
    await kubectl('delete configmap watched')
    await eventually(() => /ADDED +watched[^]*DELETED +watched/.test(seen), 10_000)
  } finally {
    const closed = new Promise((resolve) => watch.on('close', resolve))
    watch.kill()
    await closed
  }
  await kubectl('run ready --image=none')
  const waiting = kubectl('wait --for=condition=Ready pod/ready --timeout=20s')
  const pods = `${server.url}/api/v1/namespaces/default/pods/ready/status`
  assert.ok(pods.startsWith('https://127.0.0.1'))
  await kubectl('get --raw /readyz')
  const status = { status: { conditions: [{ type: 'Ready', status: 'True' }] } }
  await patchStatus(pods, status)
  assert.match(await waiting, /pod\/ready condition met/)
  await kubectl('delete pod ready')
})

/** kubectl before 1.24 cannot write a status. */
async function patchStatus(url: string, patch: object): Promise<void> {
  const { request } = await import('node:https')
  const headers = { authorization: `Bearer ${server.token ?? ''}`, 'content-type': 'application/merge-patch+json' }
  await new Promise<void>((resolve, reject) => {
    const sent = request(url, { method: 'PATCH', headers, ca: server.caCert ?? '' }, (response) => {
      response.resume()
      response.on('end', () =>
        response.statusCode === 200 ? resolve() : reject(new Error(`PATCH ${url}: ${response.statusCode ?? 0}`)),
      )
    })
    sent.on('error', reject)
    sent.end(JSON.stringify(patch))
  })
}

check('what is left out says so', async () => {
  await kubectl('run quiet --image=none')
  assert.match(await refused('logs quiet'), /pods\/log is not implemented by the standalone API server/)
  await kubectl('delete pod quiet')
  assert.is(await kubectl('auth can-i create pods'), 'yes\n')
})

test.run()
