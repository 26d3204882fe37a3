// Records survive a round trip and a restart; damage costs only the damaged.
import fc from 'fast-check'
import { mkdtemp, readdir, rm, stat, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { test } from 'uvu'
import * as assert from 'uvu/assert'
import { AttachmentStore, decodeAttachment, encodeAttachment } from '../../../lib/daemon/cni/attachments.ts'
import type { Attachment, NetworkMode } from '../../../lib/daemon/cni/index.ts'
import { silentLogger } from '../../../lib/telemetry/log.ts'

const folder = await mkdtemp(join(tmpdir(), 'hybridnet-records-'))
test.after(() => rm(folder, { recursive: true, force: true }))

/** A record with Object's prototype, as everything outside of fast-check has. */
function plain<T extends object>(model: { [K in keyof T]: fc.Arbitrary<T[K]> }): fc.Arbitrary<T> {
  return fc.record(model, { noNullPrototype: true }) as fc.Arbitrary<T>
}

const address4 = fc.nat(0xffffffff)
const address6 = fc.bigInt({ min: 1n << 96n, max: (1n << 128n) - 1n })
const attachments: fc.Arbitrary<Attachment> = plain({
  containerId: fc.stringMatching(/^[a-z0-9][a-z0-9_.-]{0,300}$/),
  ifname: fc.stringMatching(/^[a-z][a-z0-9.]{0,14}$/),
  netns: fc.string().map((text) => `/${text}`),
  hostInterface: fc.stringMatching(/^hybr[0-9a-f]{11}$/),
  hostIndex: fc.nat(),
  runtimeUid: fc.option(fc.uuid(), { nil: null }),
  createdAt: fc.nat(),
  pod: plain({
    namespace: fc.string(),
    name: fc.string(),
    uid: fc.string(),
    mac: fc.nat(0xffff_ffff),
    mtu: fc.nat(65535),
    network: fc.string(),
    mode: fc.constantFrom<NetworkMode>('VXLAN', 'VLAN', 'BGP', 'GlobalBGP'),
    addresses: fc.array(
      fc.oneof(
        plain({ address: address4, prefixLength: fc.nat(32), gateway: fc.option(address4) }),
        plain({ address: address6, prefixLength: fc.nat(128), gateway: fc.option(address6) }),
      ),
      { maxLength: 2 },
    ),
  }),
})

test('a record read back is the record', () => {
  fc.assert(
    fc.property(attachments, (attachment) => assert.equal(decodeAttachment(encodeAttachment(attachment)), attachment)),
  )
})

test('the store holds what was put, across a restart, for any identifiers', async () => {
  await fc.assert(
    fc.asyncProperty(
      fc.uniqueArray(attachments, { maxLength: 6, selector: ({ containerId, ifname }) => `${containerId}:${ifname}` }),
      async (list) => {
        const directory = await mkdtemp(join(folder, 'store-'))
        const store = await AttachmentStore.open(directory, silentLogger())
        for (const attachment of list) await store.put(attachment)
        const again = await AttachmentStore.open(directory, silentLogger())
        assert.is(again.size, list.length)
        for (const attachment of list) {
          assert.equal(again.get(attachment.containerId, attachment.ifname), attachment)
          await again.remove(attachment)
          await again.remove(attachment)
        }
        assert.equal(await readdir(directory), [])
        assert.equal(again.list(), [])
      },
    ),
    { numRuns: 25 },
  )
})

test('the latest attachment owns a host interface; forgetting the older one changes nothing', async () => {
  const store = await AttachmentStore.open(join(folder, 'latest'), silentLogger())
  assert.is((await stat(join(folder, 'latest'))).mode & 0o777, 0o700)
  const [sample] = fc.sample(attachments, { numRuns: 1, seed: 1 })
  assert.ok(sample)
  const old = { ...sample, containerId: 'old', createdAt: 1 }
  const young = { ...sample, containerId: 'young', createdAt: 2 }
  await store.put(young)
  await store.put(old)
  assert.is(store.byHostInterface(sample.hostInterface)?.containerId, 'young')
  await store.remove(old)
  assert.is(store.byHostInterface(sample.hostInterface)?.containerId, 'young')
  await store.remove(young)
  assert.is(store.byHostInterface(sample.hostInterface), undefined)
})

test('damaged records are named by what is wrong and cost only themselves', async () => {
  const [good] = fc.sample(attachments, { numRuns: 1, seed: 2 })
  assert.ok(good)
  const text = encodeAttachment(good)
  for (const [from, to, message] of [
    ['"hostIndex"', '"x"', /hostIndex: expected a whole number/],
    ['"mode": "', '"mode": "X', /mode: expected one of VXLAN/],
    ['"containerId": "', '"containerId": 7, "y": "', /containerId: expected a string, found 7/],
    ['{', '', /JSON/],
  ] as const) {
    assert.throws(() => decodeAttachment(text.replace(from, to)), message)
  }
  const directory = join(folder, 'damaged')
  const store = await AttachmentStore.open(directory, silentLogger())
  await store.put(good)
  await writeFile(join(directory, 'bad.json'), '{')
  await writeFile(join(directory, 'half.json.tmp'), '{')
  const again = await AttachmentStore.open(directory, silentLogger())
  assert.equal(again.list(), [good])
  assert.ok((await readdir(directory)).includes('bad.json'), 'left for a person to look at')
  assert.not.ok((await readdir(directory)).includes('half.json.tmp'))
})

test.run()
