// The installer on a host made of temporary folders.
import { chmod, mkdtemp, mkdir, readdir, readFile, rm, stat, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { test } from 'uvu'
import * as assert from 'uvu/assert'
import { installBinary, installCni, installConfig, uninstallCni } from '../../../lib/daemon/cni/index.ts'
import { requireShim, shim } from '../../support/cni-node.ts'

requireShim()
const folder = await mkdtemp(join(tmpdir(), 'hybridnet-install-'))
test.after(() => rm(folder, { recursive: true, force: true }))
const binDirectory = join(folder, 'bin')
const confDirectory = join(folder, 'net.d')
const options = {
  binary: shim,
  binDirectory,
  confDirectory,
  confName: '06-hybridnet.conflist',
  socketPath: '/run/cni/hybridnet.sock',
}

/** The text of a rejection. */
function failure(promise: Promise<unknown>): Promise<string> {
  return promise.then(
    () => 'no failure',
    (error: unknown) => String(error),
  )
}

test('a first installation puts both in place; a second one touches nothing', async () => {
  assert.is((await installCni(options)).changed, true)
  const binary = join(binDirectory, 'hybridnet')
  assert.ok((await readFile(binary)).equals(await readFile(shim)))
  assert.is((await stat(binary)).mode & 0o777, 0o755)
  const before = (await stat(binary)).ino
  assert.is((await installCni(options)).changed, false)
  assert.is((await stat(binary)).ino, before)
  assert.equal(await readdir(binDirectory), ['hybridnet'])
  assert.equal(await readdir(confDirectory), ['06-hybridnet.conflist'])
})

test('the configuration names our socket and only plugins that are there', async () => {
  const read = async (): Promise<unknown> => JSON.parse(await readFile(join(confDirectory, options.confName), 'utf8'))
  const own = { type: 'hybridnet', server_socket: '/run/cni/hybridnet.sock' }
  const base = { cniVersion: '0.3.1', cniVersions: ['0.3.1', '0.4.0', '1.0.0', '1.1.0'], name: 'hybridnet' }
  assert.equal(await read(), { ...base, plugins: [own] })
  assert.match(
    (await installConfig(options)).warnings.join(),
    /chained plugin bandwidth is not in .*bin and was left out/,
  )
  await writeFile(join(binDirectory, 'bandwidth'), '')
  const report = await installConfig(options)
  assert.equal(report, { changed: true, warnings: [] })
  assert.equal(await read(), { ...base, plugins: [own, { type: 'bandwidth', capabilities: { bandwidth: true } }] })
})

test('configurations of other numbers go, those of others stay and are warned of when they win', async () => {
  await writeFile(join(confDirectory, '00-hybridnet.conflist'), '{}')
  await writeFile(join(confDirectory, '05-other.conflist'), '{}')
  await writeFile(join(confDirectory, '10-other.conflist'), '{}')
  const report = await installConfig(options)
  assert.is(report.changed, true)
  assert.is(report.warnings.length, 1)
  assert.match(report.warnings[0] ?? '', /05-other\.conflist sorts before 06-hybridnet\.conflist/)
  assert.equal((await readdir(confDirectory)).sort(), [
    '05-other.conflist',
    '06-hybridnet.conflist',
    '10-other.conflist',
  ])
})

test('a binary that does not work is not left behind: the one before comes back', async () => {
  const broken = join(folder, 'broken')
  await writeFile(broken, '#!/bin/sh\necho nonsense\n')
  await chmod(broken, 0o755)
  const failed = await failure(installBinary({ binary: broken, binDirectory }))
  assert.match(failed, /hybridnet does not work on this host/)
  assert.ok((await readFile(join(binDirectory, 'hybridnet'))).equals(await readFile(shim)))
  const fresh = join(folder, 'fresh')
  await mkdir(fresh)
  assert.match(await failure(installBinary({ binary: broken, binDirectory: fresh })), /does not work/)
  assert.equal(await readdir(fresh), [])
})

test('bad templates and names are named', async () => {
  const template = join(folder, 'template')
  for (const [text, message] of [
    ['{', /template: not JSON/],
    ['{}', /plugins: expected an array of objects with a type, hybridnet first/],
    ['{"plugins":[{"type":"bandwidth"}]}', /hybridnet first/],
    ['{"plugins":[{"type":"hybridnet"},{}]}', /objects with a type/],
  ] as const) {
    await writeFile(template, text)
    assert.match(await failure(installConfig({ ...options, template })), message)
  }
  for (const confName of ['x.conf', '../x.conflist', '']) {
    assert.match(await failure(installConfig({ ...options, confName })), /expected a file name that ends/)
  }
})

test('uninstalling removes what was installed and nothing else, and may be repeated', async () => {
  await uninstallCni(options)
  await uninstallCni(options)
  assert.equal(await readdir(binDirectory), ['bandwidth'])
  assert.equal((await readdir(confDirectory)).sort(), ['05-other.conflist', '10-other.conflist'])
})

test.run()
