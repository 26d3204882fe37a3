// Puts the shim and its configuration on the host (node-agent.md §4.2, §4.8). A runtime executes the binary and reads the
// configuration at any moment, so both appear whole: written beside, synchronised, renamed; what is the same already is not
// touched. Two phases, because a node counts as network-ready from the moment the configuration is there: the binary
// early (init container), the configuration by the daemon once it can serve.
//
// The community plugins a chain may name are community.ts's; what is not in the directory is left out of the chain.
import { execFile } from 'node:child_process'
import { existsSync } from 'node:fs'
import { mkdir, open, readdir, readFile, rename, rm } from 'node:fs/promises'
import { dirname, join } from 'node:path'
import { fileURLToPath } from 'node:url'
import { promisify } from 'node:util'

/** Name of the binary on the host: the `type` of the configuration. */
const pluginName = 'hybridnet'
const configPattern = /-hybridnet\.conflist$/
const selfTestTimeout = 5000

export interface InstallBinaryOptions {
  /** The shim to install. */
  readonly binary: string
  /** Where the runtime looks for plugins, e.g. /opt/cni/bin. */
  readonly binDirectory: string
}

export interface InstallConfigOptions {
  /** Where the runtime looks for configurations, e.g. /etc/cni/net.d. */
  readonly confDirectory: string
  /** Name of the file, e.g. 06-hybridnet.conflist; must end in .conflist. */
  readonly confName: string
  /** The daemon's socket as the host sees it. */
  readonly socketPath: string
  /** Where chained plugins are looked for; those that are missing are left out. */
  readonly binDirectory: string
  /** The configuration to fill in; cni/hybridnet.conflist of this package unless given. */
  readonly template?: string
}

export type InstallCniOptions = InstallBinaryOptions & InstallConfigOptions

/** What was done, for the log. */
export interface InstallReport {
  readonly changed: boolean
  /** Things a person should know: plugins left out, configurations that win over ours. */
  readonly warnings: readonly string[]
}

async function readIfPresent(path: string): Promise<Buffer | null> {
  try {
    return await readFile(path)
  } catch (error) {
    if (error instanceof Error && 'code' in error && error.code === 'ENOENT') return null
    throw error
  }
}

/** Write beside, synchronise, rename, synchronise the directory. */
export async function writeAtomically(path: string, content: Buffer, mode: number): Promise<void> {
  // Runtimes skip names that begin with a dot and files that do not end in .conflist.
  const temporary = join(dirname(path), `.${pluginName}.${process.pid}.tmp`)
  try {
    const file = await open(temporary, 'w', mode)
    try {
      await file.writeFile(content)
      await file.chmod(mode)
      await file.sync()
    } finally {
      await file.close()
    }
    await rename(temporary, path)
  } catch (error) {
    await rm(temporary, { force: true })
    throw error
  }
  const directory = await open(dirname(path), 'r')
  try {
    await directory.sync()
  } finally {
    await directory.close()
  }
}

/**
 * Run VERSION as a runtime would, from where it will be executed.
 *
 * @returns the CNI versions it supports, at least one
 * @throws Error when it does not run on this host
 */
export async function askVersions(path: string): Promise<readonly string[]> {
  const running = promisify(execFile)(path, [], { env: { CNI_COMMAND: 'VERSION' }, timeout: selfTestTimeout })
  // It may end without reading; its output and status tell what came of it.
  running.child.stdin?.on('error', () => undefined).end()
  const { stdout } = await running
  const answer: unknown = JSON.parse(stdout)
  const supported = (answer as { supportedVersions?: unknown } | null)?.supportedVersions
  if (!Array.isArray(supported) || supported.length === 0) throw new Error(`it answered ${stdout.slice(0, 200)}`)
  return supported.map(String)
}

/**
 * Copy the shim to the host as `hybridnet`. The one before stays as `.hybridnet.prev` until the new one has answered VERSION,
 * and comes back if it does not.
 *
 * @throws Error when it cannot be copied or does not run on this host
 */
export async function installBinary(options: InstallBinaryOptions): Promise<InstallReport> {
  const { binary, binDirectory } = options
  const target = join(binDirectory, pluginName)
  const previous = join(binDirectory, `.${pluginName}.prev`)
  const content = await readFile(binary)
  await mkdir(binDirectory, { recursive: true })
  const present = await readIfPresent(target)
  const changed = present === null || !present.equals(content)
  if (changed) {
    if (present !== null) await writeAtomically(previous, present, 0o755)
    await writeAtomically(target, content, 0o755)
  }
  try {
    await askVersions(target)
  } catch (error) {
    if (changed && present !== null) await rename(previous, target)
    else if (changed) await rm(target, { force: true })
    throw new Error(`${target} does not work on this host: ${String(error)}`, { cause: error })
  }
  await rm(previous, { force: true })
  return { changed, warnings: [] }
}

/** cni/hybridnet.conflist in the nearest folder above (sources and bundle alike). */
function defaultTemplate(): string {
  const start = dirname(fileURLToPath(import.meta.url))
  for (let folder = start; ; folder = dirname(folder)) {
    const candidate = join(folder, 'cni', 'hybridnet.conflist')
    if (existsSync(candidate)) return candidate
    if (folder === dirname(folder)) throw new Error(`no cni/hybridnet.conflist above ${start}`)
  }
}

interface Plugin {
  readonly type: string
  readonly [key: string]: unknown
}

function parseTemplate(text: string, path: string): { plugins: readonly Plugin[]; [key: string]: unknown } {
  let list: unknown
  try {
    list = JSON.parse(text)
  } catch (error) {
    throw new Error(`${path}: not JSON: ${String(error)}`, { cause: error })
  }
  const plugins = (list as { plugins?: unknown } | null)?.plugins
  const isPlugin = (plugin: unknown): boolean => typeof (plugin as { type?: unknown } | null)?.type === 'string'
  if (!Array.isArray(plugins) || !plugins.every(isPlugin) || (plugins[0] as Plugin | undefined)?.type !== pluginName) {
    throw new Error(`${path}: plugins: expected an array of objects with a type, ${pluginName} first`)
  }
  return list as { plugins: readonly Plugin[] }
}

/**
 * The text of a configuration list: the template with our socket, without chained plugins that are not installed (one of
 * those would fail every pod).
 */
export function renderConfig(
  template: string,
  path: string,
  socketPath: string,
  isInstalled: (type: string) => boolean,
): { text: string; missing: readonly string[] } {
  const list = parseTemplate(template, path)
  const [own, ...chained] = list.plugins
  const missing = chained.filter(({ type }) => !isInstalled(type)).map(({ type }) => type)
  const plugins = [{ ...own, server_socket: socketPath }, ...chained.filter(({ type }) => isInstalled(type))]
  return { text: `${JSON.stringify({ ...list, plugins }, null, 2)}\n`, missing }
}

/**
 * Put the configuration on the host, and remove those of earlier versions that have another number. Not before the daemon
 * can serve: the runtime reports the node ready at once.
 *
 * @throws Error when it cannot be written
 */
export async function installConfig(options: InstallConfigOptions): Promise<InstallReport> {
  const { confDirectory, confName, socketPath, binDirectory } = options
  if (!/^[^/]+\.conflist$/.test(confName)) {
    throw new Error(`configuration name '${confName}': expected a file name that ends in .conflist`)
  }
  const templatePath = options.template ?? defaultTemplate()
  const { text, missing } = renderConfig(
    await readFile(templatePath, 'utf8'),
    templatePath,
    socketPath,
    (type) => !type.includes('/') && existsSync(join(binDirectory, type)),
  )
  await mkdir(confDirectory, { recursive: true })
  const target = join(confDirectory, confName)
  const content = Buffer.from(text)
  const changed = !((await readIfPresent(target))?.equals(content) ?? false)
  // 0600: the file may carry credentials of chained plugins.
  if (changed) await writeAtomically(target, content, 0o600)
  const names = await readdir(confDirectory)
  const outdated = names.filter((name) => name !== confName && configPattern.test(name))
  for (const name of outdated) await rm(join(confDirectory, name), { force: true })
  const earlier = names.filter(
    (name) => /\.(conf|conflist|json)$/.test(name) && name < confName && !outdated.includes(name),
  )
  return {
    changed: changed || outdated.length > 0,
    warnings: [
      ...missing.map((type) => `chained plugin ${type} is not in ${binDirectory} and was left out`),
      ...earlier.map((name) => `${join(confDirectory, name)} sorts before ${confName}: runtimes will use that one`),
    ],
  }
}

/** Binary, then configuration. @throws Error of the first that fails */
export async function installCni(options: InstallCniOptions): Promise<InstallReport> {
  const binary = await installBinary(options)
  const config = await installConfig(options)
  return {
    changed: binary.changed || config.changed,
    warnings: [...binary.warnings, ...config.warnings],
  }
}

/** Remove what {@link installCni} put there. Nothing there is success. */
export async function uninstallCni(
  options: Pick<InstallCniOptions, 'binDirectory' | 'confDirectory' | 'confName'>,
): Promise<void> {
  await rm(join(options.confDirectory, options.confName), { force: true })
  await rm(join(options.binDirectory, pluginName), { force: true })
  await rm(join(options.binDirectory, `.${pluginName}.prev`), { force: true })
}
