// `hybridnet install-cni`: flags of the installer; the rest is lib/daemon/cni/install.ts.
import { existsSync } from 'node:fs'
import { dirname, join } from 'node:path'
import { fileURLToPath } from 'node:url'
import { installCommunityPlugins } from '../daemon/cni/community.ts'
import { installBinary, installCni, uninstallCni } from '../daemon/cni/install.ts'
import { boolFlag, helpText, listFlag, parseFlags, stringFlag, UsageError } from './flags.ts'

const description = `
Puts the CNI plugin and its configuration where the container runtime of this host looks for them. Both appear atomically, and
what is the same already is not touched. A node counts as ready from the moment the configuration is there: in a DaemonSet
install with --config=false in the init container and let the daemon write the configuration once it serves.
`

const flags = {
  binary: stringFlag('', 'PATH', 'the plugin to install; empty: the one built with this package'),
  'bin-dir': stringFlag('/opt/cni/bin', 'DIRECTORY', 'where the runtime looks for plugins'),
  'conf-dir': stringFlag('/etc/cni/net.d', 'DIRECTORY', 'where the runtime looks for configurations'),
  'conf-name': stringFlag('06-hybridnet.conflist', 'NAME', 'file name of the configuration'),
  template: stringFlag('', 'PATH', 'the configuration to fill in; empty: the one of this package'),
  'bind-socket': stringFlag('/run/cni/hybridnet.sock', 'PATH', "the daemon's socket"),
  'community-plugins': listFlag(
    [],
    'NAME',
    'further plugins to install, unless the host has one as new: loopback,bandwidth',
  ),
  'community-dir': stringFlag('/usr/lib/cni', 'DIRECTORY', 'where those are'),
  config: boolFlag(true, 'install the configuration too'),
  uninstall: boolFlag(false, 'remove both instead'),
}

/** The plugin beside the bundle, or where the build leaves it. */
function builtBinary(): string {
  const start = dirname(fileURLToPath(import.meta.url))
  for (let folder = start; ; folder = dirname(folder)) {
    const candidate = join(folder, 'build/Release/hybridnet-cni')
    if (existsSync(candidate)) return candidate
    if (folder === dirname(folder)) break
  }
  throw new UsageError(`no build/Release/hybridnet-cni above ${start}; build it or name one with --binary`)
}

/** @returns the exit status */
export async function run(argv: string[]): Promise<number> {
  try {
    const { values, positionals, help } = parseFlags(flags, argv)
    if (help) {
      process.stdout.write(helpText('hybridnet install-cni [FLAGS]', description, flags))
      return 0
    }
    if (positionals.length > 0) throw new UsageError(`unexpected argument '${positionals[0] ?? ''}'`)
    const options = {
      binDirectory: values['bin-dir'],
      confDirectory: values['conf-dir'],
      confName: values['conf-name'],
      socketPath: values['bind-socket'],
      ...(values.template === '' ? {} : { template: values.template }),
    }
    if (values.uninstall) {
      await uninstallCni(options)
      return 0
    }
    const binary = values.binary === '' ? builtBinary() : values.binary
    const community = await installCommunityPlugins({
      names: values['community-plugins'],
      sourceDirectory: values['community-dir'],
      binDirectory: values['bin-dir'],
    })
    const own = await (values.config ? installCni({ ...options, binary }) : installBinary({ ...options, binary }))
    const report = { changed: community.changed || own.changed, warnings: [...community.warnings, ...own.warnings] }
    for (const warning of report.warnings) process.stderr.write(`hybridnet install-cni: warning: ${warning}\n`)
    process.stdout.write(report.changed ? 'installed\n' : 'already installed\n')
    return 0
  } catch (error) {
    // What can go wrong here is the host's doing or the caller's; a stack would explain neither.
    process.stderr.write(`hybridnet install-cni: ${error instanceof Error ? error.message : String(error)}\n`)
    return error instanceof UsageError ? 2 : 1
  }
}
