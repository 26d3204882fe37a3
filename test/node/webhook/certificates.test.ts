// Certificates that somebody else keeps, in files; and a caBundle that somebody else keeps changing.
import { X509Certificate } from 'node:crypto'
import { mkdir, mkdtemp, rename, rm, symlink, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { test } from 'uvu'
import * as assert from 'uvu/assert'
import { NETWORKS, VALIDATING_WEBHOOK_CONFIGURATIONS } from '../../../lib/api/index.ts'
import { errorText, type KubeObject } from '../../../lib/kube/index.ts'
import { createAuthority, issue, type KeyPair } from '../../../lib/tls/index.ts'
import { Registry } from '../../../lib/telemetry/metrics.ts'
import type { WebhookConfiguration } from '../../../lib/webhook/index.ts'
import { eventually } from '../../support/eventually.ts'
import { idle, Rig } from './rig.ts'

const PATIENCE = 30_000
const subjectAltNames = ['hybridnet-webhook.kube-system.svc', '127.0.0.1']
const EVENTS = { group: '', version: 'v1', plural: 'events', kind: 'Event', namespaced: true }
const validating = { name: 'hybridnet-validating-webhook' }

async function fingerprint(port: number): Promise<string> {
  const socket = await idle(port)
  const { fingerprint256 } = new X509Certificate(socket.getPeerCertificate().raw)
  socket.destroy()
  return fingerprint256
}

const printOf = ({ cert }: KeyPair): string => new X509Certificate(cert).fingerprint256
const bundleOf = async (rig: Rig): Promise<string> =>
  (await rig.client.get<WebhookConfiguration>(VALIDATING_WEBHOOK_CONFIGURATIONS, validating)).webhooks?.[0]
    ?.clientConfig.caBundle ?? ''

/** A volume as a kubelet makes it: files are links through `..data`, which is moved at once. */
async function fill(directory: string, version: string, files: Readonly<Record<string, string>>): Promise<void> {
  await mkdir(join(directory, version))
  for (const [name, text] of Object.entries(files)) {
    await writeFile(join(directory, version, name), text)
    await symlink(join('..data', name), join(directory, name)).catch(() => undefined)
  }
  await symlink(version, join(directory, '..next'))
  await rename(join(directory, '..next'), join(directory, '..data'))
}

test('certificates of files are served, and served anew when they change; what cannot be served is not', async () => {
  const rig = await Rig.start()
  const directory = await mkdtemp(join(tmpdir(), 'webhook-'))
  try {
    const authority = createAuthority('given', 1)
    const leaf = (): KeyPair => issue(authority, { commonName: 'given', subjectAltNames, usage: 'server', days: 1 })
    const files = ({ cert, key }: KeyPair): Record<string, string> => ({ 'tls.crt': cert, 'tls.key': key, 'ca.crt': authority.cert }) // prettier-ignore
    const certificateFiles = {
      cert: join(directory, 'tls.crt'),
      key: join(directory, 'tls.key'),
      authorities: join(directory, 'ca.crt'),
    }
    const [first, second, third] = [leaf(), leaf(), leaf()]
    await fill(directory, '..0', { ...files(first), 'tls.key': second.key })
    await rig.serve({ certificateFiles, registry: new Registry() }).then(
      () => assert.unreachable('a key of another certificate'),
      (error: unknown) => assert.match(errorText(error), /tls\.key: not the key of the certificate in .*tls\.crt/),
    )
    await fill(directory, '..1', files(first))
    const { port } = await rig.serve({ certificateFiles })
    assert.is(await fingerprint(port), printOf(first))
    await eventually(async () => (await bundleOf(rig)) === Buffer.from(authority.cert).toString('base64'), PATIENCE)
    await fill(directory, '..2', files(second))
    await eventually(async () => (await fingerprint(port)) === printOf(second), PATIENCE)
    // Half written: the earlier one goes on until the pair is whole.
    await fill(directory, '..3', { ...files(second), 'tls.crt': third.cert })
    await eventually(() => rig.webhook.notReady() === null, PATIENCE)
    assert.is(await fingerprint(port), printOf(second))
    await fill(directory, '..4', files(third))
    await eventually(async () => (await fingerprint(port)) === printOf(third), PATIENCE)
    // And it is what the API server trusts.
    const spec = { type: 'Overlay', netID: 4, nodeSelector: { a: 'b' } }
    await eventually(async () => {
      const refused = await rig.client.create(NETWORKS, { metadata: { name: 'n' }, spec } as never).catch(errorText)
      return /spec\.nodeSelector is \{"a":"b"\}/.test(String(refused))
    }, PATIENCE)
  } finally {
    await rig.close()
    await rm(directory, { recursive: true })
  }
})

test('somebody who keeps changing the caBundle is not fought for ever, is told of, and stops no renewal', async () => {
  const rig = await Rig.start()
  const day = 86_400
  let writing = true
  let changes = 0
  try {
    const fights = { burst: 3, firstMs: 600_000, longestMs: 600_000, peaceMs: 3_600_000 }
    const { port } = await rig.serve({ fights, certificateDays: 600 / day, authorityDays: 600, renewAt: 0.004 })
    const own = await eventually(async () => (await bundleOf(rig)) || null, PATIENCE)
    const foreign = Buffer.from(createAuthority('somebody', 1).cert).toString('base64')
    const other = (async () => {
      while (writing) {
        if ((await bundleOf(rig)) === own) {
          changes++
          const operation = { op: 'add', path: '/webhooks/0/clientConfig/caBundle', value: foreign }
          const options = { fieldManager: 'injector' }
          await rig.client.patch('json', VALIDATING_WEBHOOK_CONFIGURATIONS, validating, [operation], options)
        }
        await new Promise((resolve) => setTimeout(resolve, 20))
      }
    })()
    await eventually(() => changes === 4, PATIENCE)
    const said = await eventually(async () => {
      const { items } = await rig.client.list<KubeObject>(EVENTS)
      return (items.find((event) => event['reason'] === 'CABundleConflict')?.['message'] as string | undefined) ?? null
    }, PATIENCE)
    assert.match(said, /caBundle of hybridnet-validating-webhook is changed again and again .*injector/)
    const series = await rig.registry.metrics()
    assert.match(series, /ca_bundle_conflicts_total\{configuration="hybridnet-validating-webhook"\} 1/)
    const prints = new Set<string>()
    await eventually(async () => prints.add(await fingerprint(port)).size >= 3, PATIENCE, 200)
    assert.is(changes, 4, 'corrected three times, then left')
    writing = false
    await other
  } finally {
    writing = false
    await rig.close()
  }
})

test.run()
