// The rig itself: it is the real thing, with authorization; it ends without a trace; and what does not start says why.
import {
  chmodSync,
  existsSync,
  mkdtempSync,
  readdirSync,
  readFileSync,
  rmSync,
  symlinkSync,
  writeFileSync,
} from 'node:fs'
import { tmpdir } from 'node:os'
import { dirname, join } from 'node:path'
import { test } from 'uvu'
import * as assert from 'uvu/assert'
import { PODS } from '../../lib/api/index.ts'
import { isForbidden, KubeClient } from '../../lib/kube/index.ts'
import { defaultNodeTiming } from '../../lib/standalone/controllers/index.ts'
import { silentLogger } from '../../lib/telemetry/log.ts'
import { kubernetesAssets, RealControlPlane, startRealControlPlane } from '../support/kubernetes.ts'

/** Names of the programs that run in this process-id namespace. */
function running(): string[] {
  const names = readdirSync('/proc').flatMap((pid) => {
    try {
      return /^\d+$/.test(pid) ? [readFileSync(`/proc/${pid}/comm`, 'utf8').trim()] : []
    } catch {
      return [] // it has just ended
    }
  })
  return names.filter((name) => name === 'etcd' || name.startsWith('kube-')).sort()
}

test('a control plane without nodes: controllers work, strangers may not, nothing is left', async () => {
  const plane = await startRealControlPlane()
  const client = plane.connect()
  const proxyFile = JSON.parse(readFileSync(join(dirname(plane.kubeconfig), 'proxy.kubeconfig'), 'utf8')) as {
    users: [{ user: { token: string } }]
  }
  const { token } = proxyFile.users[0].user
  const proxy = KubeClient.connect({ server: plane.url, tls: { ca: plane.caCert }, token, logger: silentLogger() })
  try {
    const { gitVersion } = await client.raw<{ gitVersion: string }>('GET', '/version')
    assert.match(gitVersion, /^v1\.\d+\.\d+$/, 'the embedded one says more')
    assert.equal(running(), ['etcd', 'kube-apiserver', 'kube-controller', 'kube-scheduler'])
    await client.raw('GET', '/apis/networking.alibaba.com/v1/subnets')
    const pod = { metadata: { name: 'p', namespace: 'default' }, spec: { containers: [{ name: 'c', image: 'none' }] } }
    await client.create(PODS, pod)
    const refused = await proxy.create(PODS, pod).catch((error: unknown) => error)
    assert.ok(isForbidden(refused), String(refused))
  } finally {
    client.close()
    proxy.close()
    await plane.stop()
    await plane.close()
  }
  assert.equal(running(), [])
  assert.not(existsSync(dirname(plane.kubeconfig)), 'its directory is gone')
})

test('a program that keeps ending is named, with what it said', async () => {
  const assets = mkdtempSync(join(tmpdir(), 'hybridnet-assets-'))
  const directory = mkdtempSync(join(tmpdir(), 'hybridnet-broken-'))
  const before = kubernetesAssets()
  try {
    for (const name of readdirSync(before)) if (name !== 'etcd') symlinkSync(join(before, name), join(assets, name))
    writeFileSync(join(assets, 'etcd'), '#!/bin/sh\necho the disk is on fire >&2\nexit 7\n')
    chmodSync(join(assets, 'etcd'), 0o755)
    process.env['HYBRIDNET_KUBERNETES_ASSETS'] = assets
    const served = RealControlPlane.serve(
      { directory, hosts: [], nodeTiming: defaultNodeTiming, log: silentLogger() },
      {},
    )
    const error = await served.then(
      () => null,
      (reason: unknown) => reason,
    )
    assert.match(String(error), /etcd keeps ending: exit 7/)
    assert.match(String(error), /the disk is on fire/)
    assert.equal(running(), [])
  } finally {
    process.env['HYBRIDNET_KUBERNETES_ASSETS'] = before
    for (const path of [assets, directory]) rmSync(path, { recursive: true, force: true })
  }
})

test.run()
