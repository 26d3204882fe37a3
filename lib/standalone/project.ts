// Where the parts of this project are that other programs execute or read: the executable itself, the CNI plugin, the CRDs.
// The same for a checkout run from source, the bundle in dist/, and an installed package.
import { existsSync } from 'node:fs'
import { dirname, join } from 'node:path'

/** The directory of package.json. @throws Error when this file is in no checkout or package of the project */
export function projectRoot(): string {
  for (let directory = import.meta.dirname; directory !== dirname(directory); directory = dirname(directory)) {
    if (existsSync(join(directory, 'package.json')) && existsSync(join(directory, 'charts'))) return directory
  }
  throw new Error(`no project directory (package.json and charts/) above ${import.meta.dirname}`)
}

/** The static CNI executable. @throws Error saying how to build it */
export function cniPluginPath(): string {
  const path = join(projectRoot(), 'build/Release/hybridnet-cni')
  if (!existsSync(path)) throw new Error(`${path} is missing: build it with \`npm run build:native\``)
  return path
}

/** Directory of the CRD manifests. */
export function crdDirectory(): string {
  return join(projectRoot(), 'charts/hybridnet/crds')
}

/**
 * The command that runs a subcommand of this project's executable: the bundle when there is one, else the source through tsx.
 */
export function programCommand(subcommand: string): [string, ...string[]] {
  const root = projectRoot()
  const bundle = join(root, 'dist/hybridnet.mjs')
  if (existsSync(bundle)) return [process.execPath, bundle, subcommand]
  return [process.execPath, '--import', 'tsx', join(root, 'lib/main/hybridnet.ts'), subcommand]
}
