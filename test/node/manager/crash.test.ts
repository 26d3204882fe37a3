// A manager killed at any point: the next one finds what was done and finishes it (manager.md §6.6).
import { spawn, type ChildProcess } from 'node:child_process'
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { test } from 'uvu'
import * as assert from 'uvu/assert'
import { isNotFound, leaseResource } from '../../../lib/kube/index.ts'
import { LEASE_NAME } from '../../../lib/manager/index.ts'
import { eventually } from '../../support/eventually.ts'
import { fixture, withRig } from './rig.ts'
import { assertCounted, assertSound, manyPods, settled } from './soundness.ts'

/** A DELETE that was sent again because its answer got lost finds nothing. */
function notFoundIsFine(error: unknown): void {
  if (!isNotFound(error)) throw error
}

const program = new URL('../../../lib/main/hybridnet.ts', import.meta.url).pathname

test('a manager killed between its writes, again and again, leaves no leak and no duplicate', () =>
  withRig(async (rig) => {
    await fixture(rig)
    const directory = mkdtempSync(join(tmpdir(), 'hybridnet-manager-'))
    const kubeconfig = join(directory, 'kubeconfig')
    writeFileSync(kubeconfig, rig.server.kubeconfig())
    const start = (): ChildProcess =>
      spawn(
        process.execPath,
        ['--import', 'tsx', program, 'manager', `--kubeconfig=${kubeconfig}`, '--metrics-port=0'],
        {
          stdio: ['ignore', 'ignore', 'inherit'],
          env: { ...process.env, NAMESPACE: 'kube-system' },
        },
      )
    const ended = (child: ChildProcess): Promise<unknown> =>
      child.exitCode !== null || child.signalCode !== null
        ? Promise.resolve()
        : new Promise((resolve) => child.once('exit', resolve))
    let child = start()
    try {
      for (const round of [1, 2]) {
        const before = (await rig.instances()).length
        await manyPods(rig, `round${round}`, 30)
        // Somewhere in the middle: an odd number of objects is half a pod.
        await eventually(async () => (await rig.instances()).length > before + 7, 60_000, 20)
        child.kill('SIGKILL')
        await ended(child)
        // It is certainly dead; its lease need not be waited out.
        const lease = { namespace: 'kube-system', name: LEASE_NAME }
        await rig.client.delete(leaseResource, lease).catch(notFoundIsFine)
        child = start()
      }
      const instances = await settled(rig, 120)
      assertSound(instances, 60)
      await assertCounted(rig, { 'overlay-ipv4-subnet': 60, 'overlay-ipv6-subnet': 60 })
      for (let index = 0; index < 30; index++) await rig.deletePod(`round1-${index}`)
      await settled(rig, 60)
      await assertCounted(rig, { 'overlay-ipv4-subnet': 30, 'overlay-ipv6-subnet': 30 })
      child.kill('SIGTERM')
      await ended(child)
      assert.is(child.exitCode, 0, 'SIGTERM ends it cleanly')
      const lease = await rig.client.get(leaseResource, { namespace: 'kube-system', name: LEASE_NAME })
      assert.is((lease['spec'] as { holderIdentity?: string }).holderIdentity, '', 'and gives the lease up')
    } finally {
      child.kill('SIGKILL')
      await ended(child)
      rmSync(directory, { recursive: true })
    }
  }))

test.run()
