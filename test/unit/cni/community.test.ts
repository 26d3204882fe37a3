// Community plugins on a host made of temporary folders; the plugins are scripts that answer VERSION.
import { mkdir, mkdtemp, readFile, rm, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { test } from 'uvu'
import * as assert from 'uvu/assert'
import { installCommunityPlugins } from '../../../lib/daemon/cni/index.ts'

const folder = await mkdtemp(join(tmpdir(), 'hybridnet-community-'))
test.after(() => rm(folder, { recursive: true, force: true }))
const sourceDirectory = join(folder, 'source')
const binDirectory = join(folder, 'bin')
await mkdir(sourceDirectory)
await mkdir(binDirectory)

const plugin = (mark: string, versions: readonly string[]): string =>
  `#!/bin/sh\n# ${mark}\necho '${JSON.stringify({ cniVersion: '1.0.0', supportedVersions: versions })}'\n`

const put = (directory: string, name: string, text: string): Promise<void> =>
  writeFile(join(directory, name), text, { mode: 0o755 })
const onHost = (name: string): Promise<string> => readFile(join(binDirectory, name), 'utf8')
const install = (...names: string[]): ReturnType<typeof installCommunityPlugins> =>
  installCommunityPlugins({ names, sourceDirectory, binDirectory })

test('what the host lacks is copied, and a second time nothing is', async () => {
  const ours = plugin('ours', ['0.3.1', '1.0.0'])
  await put(sourceDirectory, 'loopback', ours)
  assert.equal(await install('loopback'), { changed: true, warnings: [] })
  assert.is(await onHost('loopback'), ours)
  assert.equal(await install('loopback'), { changed: false, warnings: [] })
})

test("a host's copy that is as new or newer stays, an older or broken one is replaced", async () => {
  const ours = plugin('ours', ['0.4.0', '1.0.0', '0.10.0'])
  const newer = plugin('newer', ['1.1.0', '1.0.0'])
  const older = plugin('older', ['0.3.1', '0.4.0'])
  for (const name of ['a', 'b', 'c']) await put(sourceDirectory, name, ours)
  await put(binDirectory, 'a', newer)
  await put(binDirectory, 'b', older)
  await put(binDirectory, 'c', 'not a program')
  assert.equal(await install('a', 'b', 'c'), { changed: true, warnings: [] })
  assert.equal([await onHost('a'), await onHost('b'), await onHost('c')], [newer, ours, ours])
})

test('one that is not to be had is a warning, a name with a path is refused', async () => {
  assert.equal(await install('missing'), { changed: false, warnings: [`plugin missing is not in ${sourceDirectory}`] })
  await put(binDirectory, 'own', plugin('host', ['1.0.0']))
  assert.match((await install('own')).warnings.join(), /the host has its own$/)
  for (const name of ['../evil', '.hidden', '']) {
    const failed = await install(name).then(
      () => 'no failure',
      (error: unknown) => String(error),
    )
    assert.match(failed, new RegExp(`community plugin '${name.replaceAll('.', '\\.')}': expected a file name`))
  }
})

test.run()
