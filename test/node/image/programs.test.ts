// The image's root file system, assembled as the Dockerfile does, and every program of it run inside: read-only root, manager and
// webhook as an ordinary user, the daemon on this sandbox's kernel. Sizes, times to readiness and memory are printed.
import { execFileSync, spawn, type ChildProcess } from 'node:child_process'
import { once } from 'node:events'
import { chmodSync, mkdirSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join, resolve } from 'node:path'
import { test } from 'uvu'
import * as assert from 'uvu/assert'
import { IPINSTANCES, MUTATING_WEBHOOK_CONFIGURATIONS, NETWORKS, NODES, PODS } from '../../../lib/api/index.ts'
import { leaseResource, type KubeObject } from '../../../lib/kube/index.ts'
import { kubeconfig } from '../../../lib/standalone/apiserver/kubeconfig.ts'
import { eventually } from '../../support/eventually.ts'
import { requireSandbox } from '../../support/sandbox.ts'
import { Rig } from '../manager/rig.ts'

requireSandbox()
const PATIENCE = 120_000
const project = resolve(import.meta.dirname, '../../..')
const root = mkdtempSync(join(tmpdir(), 'hybridnet-image-'))
const USER = 65532
const children: ChildProcess[] = []
let rig: Rig

const mount = (...args: string[]): void => void execFileSync('mount', args)

test.before(async () => {
  chmodSync(root, 0o755)
  const sizes = execFileSync('bash', [join(project, 'scripts/image-root'), root], { encoding: 'utf8' })
  console.log(`root file system:\n${sizes.trimEnd()}`)
  mount('--bind', root, root)
  mount('-t', 'proc', 'proc', join(root, 'proc'))
  mount('-t', 'sysfs', 'sysfs', join(root, 'sys'))
  mount('--rbind', '/dev', join(root, 'dev'))
  for (const directory of ['run', 'tmp', 'host']) mount('-t', 'tmpfs', 'tmpfs', join(root, directory))
  mount('-o', 'remount,bind,ro', root)
  chmodSync(join(root, 'tmp'), 0o1777)
  rig = await Rig.start()
  const file = join(root, 'tmp/kubeconfig')
  writeFileSync(file, kubeconfig({ server: rig.server.url, caCert: null, token: null }), { mode: 0o644 })
  mkdirSync(join(root, 'tmp/hybridnet'))
  execFileSync('ip', ['link', 'add', 'eth0', 'type', 'veth', 'peer', 'name', 'wire'])
  for (const name of ['eth0', 'wire']) execFileSync('ip', ['link', 'set', name, 'up'])
  execFileSync('ip', ['address', 'add', '10.1.0.1/24', 'dev', 'eth0'])
  execFileSync('ip', ['route', 'add', 'default', 'via', '10.1.0.254'])
})

test.after(async () => {
  for (const child of children) child.kill('SIGKILL')
  await rig.close()
  execFileSync('umount', ['--recursive', '--lazy', root])
  rmSync(root, { recursive: true })
})

/** A program of the image, as its entry point would start it. */
function start(user: number, args: readonly string[], env: Record<string, string> = {}): ChildProcess {
  const command = ['/usr/bin/node', '/opt/hybridnet/dist/hybridnet.mjs', ...args]
  const child = spawn('chroot', [`--userspec=${user}:${user}`, '--groups=', root, ...command], {
    env: { KUBECONFIG: '/tmp/kubeconfig', PATH: '/usr/sbin:/usr/bin', NAMESPACE: 'kube-system', ...env },
    stdio: ['ignore', 'pipe', 'pipe'],
  })
  children.push(child)
  let output = ''
  child.stdout.on('data', (text: Buffer) => (output += String(text)))
  child.stderr.on('data', (text: Buffer) => (output += String(text)))
  child.once('exit', (code, signal) => {
    if (code !== 0) console.log(`${args[0] ?? ''} ended with ${String(code ?? signal)}:\n${output.slice(-3000)}`)
  })
  return child
}

async function finish(child: ChildProcess): Promise<number> {
  if (child.exitCode !== null) return child.exitCode
  const [code] = (await once(child, 'exit')) as [number]
  return code
}

const memoryOf = (child: ChildProcess): string =>
  /VmRSS:\s+(.*)/.exec(readFileSync(`/proc/${child.pid ?? 0}/status`, 'utf8'))?.[1] ?? '?'

/** Waits until `ready`; prints how long that took and the memory then. */
async function ready(name: string, child: ChildProcess, check: () => Promise<boolean>): Promise<void> {
  const started = performance.now()
  const ended = once(child, 'exit').then(() => assert.unreachable(`${name} has ended`))
  await Promise.race([eventually(check, PATIENCE, 20), ended])
  console.log(`${name}: ready after ${((performance.now() - started) / 1000).toFixed(2)} s, RSS ${memoryOf(child)}`)
}

const answers = async (url: string): Promise<boolean> => (await fetch(url)).ok

test('install-crds: a second time changes nothing', async () => {
  assert.is(await finish(start(USER, ['install-crds'])), 0)
  const definitions = {
    ...NETWORKS,
    group: 'apiextensions.k8s.io',
    plural: 'customresourcedefinitions',
    namespaced: false,
  }
  const name = 'networks.networking.alibaba.com'
  const before = await rig.client.get<KubeObject>(definitions, { name })
  assert.is(await finish(start(USER, ['install-crds'])), 0)
  const after = await rig.client.get<KubeObject>(definitions, { name })
  assert.is(after.metadata.resourceVersion, before.metadata.resourceVersion)
})

test('manager: leads, makes what the cluster starts with, gives a pod its address', async () => {
  const apiVersion = 'networking.alibaba.com/v1'
  const objects = [
    { apiVersion, kind: 'Network', metadata: { name: 'init' }, spec: { type: 'Overlay', netID: 4 } },
    {
      apiVersion,
      kind: 'Subnet',
      metadata: { name: 'init' },
      spec: { network: 'init', range: { cidr: '100.64.0.0/16', version: '4' } },
    },
  ]
  writeFileSync(join(root, 'tmp/hybridnet/objects.json'), JSON.stringify(objects))
  const manager = start(USER, ['manager', '--metrics-port=9899', '--init-objects=/tmp/hybridnet/objects.json'], {
    DEFAULT_NETWORK_TYPE: 'Overlay',
  })
  await ready('manager', manager, () => answers('http://127.0.0.1:9899/readyz'))
  await eventually(
    () => rig.client.get(leaseResource, { namespace: 'kube-system', name: 'hybridnet-manager-election' }),
    PATIENCE,
  )
  await rig.client.create(NODES, { metadata: { name: 'n1' } })
  await rig.pod('p', { node: 'n1' })
  await eventually(async () => (await rig.client.list(IPINSTANCES)).items.length === 1, PATIENCE)
  await rig.client.delete(PODS, { namespace: 'default', name: 'p' }, { gracePeriodSeconds: 0 })
  manager.kill('SIGTERM')
  assert.is(await finish(manager), 0)
})

test('webhook: makes its certificates and registers itself', async () => {
  const webhook = start(USER, ['webhook', '--port=9898', '--metrics-bind-address=:9897', '--register-webhooks'])
  await ready('webhook', webhook, () => answers('http://127.0.0.1:9897/metrics'))
  const bundle = async (): Promise<boolean> => {
    const found = await rig.client.get<KubeObject & { webhooks: { clientConfig: { caBundle?: string } }[] }>(
      MUTATING_WEBHOOK_CONFIGURATIONS,
      { name: 'hybridnet-mutating-webhook' },
    )
    return (found.webhooks[0]?.clientConfig.caBundle ?? '') !== ''
  }
  await eventually(bundle, PATIENCE)
  webhook.kill('SIGTERM')
  assert.is(await finish(webhook), 0)
})

test('daemon: the plugin is installed first, the configuration when it serves', async () => {
  const install = ['install-cni', '--config=false', '--bin-dir=/host/bin', '--community-plugins=loopback,bandwidth']
  assert.is(await finish(start(0, install)), 0)
  const daemon = start(
    0,
    [
      'daemon',
      '--bind-socket=/run/cni/hybridnet.sock',
      '--cni-conf-dir=/host/net.d',
      '--cni-bin-dir=/host/bin',
      '--metrics-addr=127.0.0.1:8091',
      '--health-probe-addr=127.0.0.1:11021',
    ],
    { KUBE_NODE_NAME: 'n1' },
  )
  await ready('daemon', daemon, () => answers('http://127.0.0.1:11021/ready'))
  const file = join(root, 'host/net.d/06-hybridnet.conflist')
  const config = await eventually(() => JSON.parse(readFileSync(file, 'utf8')) as { plugins: object[] }, PATIENCE)
  assert.equal(config.plugins, [
    { type: 'hybridnet', server_socket: '/run/cni/hybridnet.sock' },
    { type: 'bandwidth', capabilities: { bandwidth: true } },
  ])
  daemon.kill('SIGTERM')
  assert.is(await finish(daemon), 0)
  assert.ok(readFileSync(file), 'it stays: a node does not turn unready because its daemon restarts')
})

test.run()
