// Runs CNI plugin chains the way a container runtime does: finds the configuration list in the node's directory anew for
// each ADD, executes the plugins' real binaries in the node's network namespace, keeps each attachment's configuration and
// result on disk until its DEL (libcni keeps them under /var/lib/cni/results), and runs DEL in reverse with that result.
//
// It makes no network namespaces and never retries: both are the kubelet's.
import { spawn } from 'node:child_process'
import { watch } from 'node:fs'
import { access, constants, mkdir, readdir, readFile, rename, rm, writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import {
  type Attachment,
  type CniCommand,
  CniPluginError,
  type CniResult,
  compareVersions,
  configCandidates,
  type NetworkConfigList,
  parseConfigList,
  parsePluginError,
  parseResult,
  passesPreviousResult,
  type PluginConfig,
  pluginEnvironment,
  pluginInput,
} from './cni-config.ts'

export interface CniRuntimeOptions {
  /** The node's /etc/cni/net.d. */
  readonly configDirectory: string
  /** The node's /opt/cni/bin and others, searched in order. */
  readonly binDirectories: readonly string[]
  /** Where attachments are remembered; made when missing. */
  readonly cacheDirectory: string
  /** Command in front of each plugin, such as `nsenter --net=/run/netns/node1 --`; it gets the plugin's environment. */
  readonly wrapper: readonly string[]
  /** Milliseconds after which a plugin is killed; containerd's and kubelet's patience is minutes, ours 120 s. */
  readonly timeoutMs?: number
}

/** A remembered attachment. */
interface CachedAttachment {
  readonly attachment: Attachment
  readonly list: NetworkConfigList
  /** null when ADD did not finish. */
  readonly result: CniResult | null
}

export class CniRuntime {
  readonly #options: CniRuntimeOptions

  constructor(options: CniRuntimeOptions) {
    this.#options = options
  }

  /**
   * The first valid configuration list of the directory by name.
   *
   * @throws Error saying what is wrong with each file, or that there is none ("cni plugin not initialized" in kubelet)
   */
  async configList(): Promise<NetworkConfigList> {
    const { configDirectory } = this.#options
    const problems: string[] = []
    for (const name of configCandidates(await readdir(configDirectory))) {
      const path = join(configDirectory, name)
      try {
        return parseConfigList(await readFile(path, 'utf8'), path)
      } catch (error) {
        problems.push(error instanceof Error ? error.message : String(error))
      }
    }
    const found = problems.length === 0 ? 'no .conflist file' : problems.join('; ')
    throw new Error(`cni plugin not initialized: ${configDirectory}: ${found}`)
  }

  /** Hear of every change of the configuration directory, as containerd does (pkg/cri/server/cni_conf_syncer.go). */
  watchConfig(onChange: () => void): { close(): void } {
    return watch(this.#options.configDirectory, { persistent: false }, onChange)
  }

  /**
   * ADD through the chain. On failure the caller owes a {@link del}.
   *
   * @param signal kills the plugin that runs when it aborts
   * @returns the last plugin's result
   * @throws CniPluginError of the plugin that refused
   */
  async add(attachment: Attachment, signal?: AbortSignal): Promise<CniResult> {
    const list = await this.configList()
    // Remembered before the first plugin runs: whatever half of the chain did must be undone with the same configuration.
    await this.#remember({ attachment, list, result: null })
    let previous: CniResult | null = null
    for (const plugin of list.plugins) {
      const stdout = await this.#execute('ADD', list, plugin, previous, attachment, signal)
      previous = parseResult(`CNI ADD ${plugin.type}`, stdout)
    }
    if (previous === null) throw new Error(`${list.source}: the list has no plugin`)
    await this.#remember({ attachment, list, result: previous })
    return previous
  }

  /** DEL in reverse order with the remembered configuration and result; one that was never remembered has nothing to undo. */
  async del(attachment: Attachment, signal?: AbortSignal): Promise<void> {
    const cached = await this.#recall(attachment.containerId, attachment.ifname)
    if (cached === null) return
    const previous = passesPreviousResult(cached.list) ? cached.result : null
    for (const plugin of cached.list.plugins.toReversed()) {
      await this.#execute('DEL', cached.list, plugin, previous, attachment, signal)
    }
    await rm(this.#cachePath(attachment.containerId, attachment.ifname), { force: true })
  }

  /** CHECK through the chain; nothing when the list is too old for it or has it switched off. */
  async check(attachment: Attachment): Promise<void> {
    const cached = await this.#recall(attachment.containerId, attachment.ifname)
    if (cached === null) throw new Error(`CNI CHECK: attachment ${attachment.containerId} is not known`)
    if (cached.list.disableCheck || !passesPreviousResult(cached.list)) return
    for (const plugin of cached.list.plugins) {
      await this.#execute('CHECK', cached.list, plugin, cached.result, attachment)
    }
  }

  /** STATUS of the list in force (from CNI 1.1.0; older lists are taken to be ready). */
  async status(): Promise<void> {
    const list = await this.configList()
    if (compareVersions(list.cniVersion, '1.1.0') < 0) return
    for (const plugin of list.plugins) await this.#execute('STATUS', list, plugin, null, null)
  }

  /** GC: tell the plugins which attachments are still valid (from CNI 1.1.0). */
  async collect(valid: readonly Attachment[]): Promise<void> {
    const list = await this.configList()
    if (list.disableGC || compareVersions(list.cniVersion, '1.1.0') < 0) return
    const attachments = valid.map(({ containerId, ifname }) => ({ containerID: containerId, ifname }))
    for (const plugin of list.plugins) {
      // libcni sends the list under both keys, since 1.1.0 renamed it late.
      const extended = { ...plugin, 'cni.dev/attachments': attachments, 'cni.dev/valid-attachments': attachments }
      await this.#execute('GC', list, extended, null, null)
    }
  }

  /** Attachments remembered from before, finished or not. */
  async remembered(): Promise<{ attachment: Attachment; result: CniResult | null }[]> {
    await mkdir(this.#options.cacheDirectory, { recursive: true })
    const names = (await readdir(this.#options.cacheDirectory)).filter((name) => name.endsWith('.json'))
    const found: CachedAttachment[] = []
    for (const name of names) {
      const cached = await readCached(join(this.#options.cacheDirectory, name))
      // A DEL that goes on meanwhile may have removed it.
      if (cached !== null) found.push(cached)
    }
    return found
  }

  #cachePath(containerId: string, ifname: string): string {
    return join(this.#options.cacheDirectory, `${containerId}-${ifname}.json`)
  }

  /** Written whole and renamed, so that a crash leaves the old text or the new. */
  async #remember(cached: CachedAttachment): Promise<void> {
    const path = this.#cachePath(cached.attachment.containerId, cached.attachment.ifname)
    await mkdir(this.#options.cacheDirectory, { recursive: true })
    await writeFile(`${path}.new`, JSON.stringify(cached), { mode: 0o600 })
    await rename(`${path}.new`, path)
  }

  #recall(containerId: string, ifname: string): Promise<CachedAttachment | null> {
    return readCached(this.#cachePath(containerId, ifname))
  }

  async #find(type: string): Promise<string> {
    for (const directory of this.#options.binDirectories) {
      const path = join(directory, type)
      const found = await access(path, constants.X_OK).then(
        () => true,
        () => false,
      )
      if (found) return path
    }
    throw new Error(`CNI plugin '${type}' is in none of ${this.#options.binDirectories.join(', ')}`)
  }

  async #execute(
    command: CniCommand,
    list: NetworkConfigList,
    plugin: PluginConfig,
    previous: CniResult | null,
    attachment: Attachment | null,
    signal?: AbortSignal,
  ): Promise<string> {
    const operation = `CNI ${command} ${plugin.type}`
    const [file = '', ...args] = [...this.#options.wrapper, await this.#find(plugin.type)]
    const input = JSON.stringify(pluginInput(list, plugin, previous, attachment?.capabilities))
    const environment = pluginEnvironment(command, attachment, this.#options.binDirectories)
    const timeoutMs = this.#options.timeoutMs ?? 120_000
    return new Promise((resolve, reject) => {
      const child = spawn(file, args, {
        env: { PATH: process.env['PATH'], ...environment },
        stdio: ['pipe', 'pipe', 'pipe'],
        timeout: timeoutMs,
        killSignal: 'SIGKILL',
        ...(signal === undefined ? {} : { signal }),
      })
      let stdout = ''
      let stderr = ''
      child.stdout.setEncoding('utf8').on('data', (chunk: string) => (stdout += chunk))
      child.stderr.setEncoding('utf8').on('data', (chunk: string) => (stderr += chunk))
      child.on('error', (error) => reject(new Error(`${operation}: ${error.message}`, { cause: error })))
      child.on('close', (code, signal) => {
        if (code === 0) return resolve(stdout)
        const exit = signal === null ? `exit ${code}` : `${signal} (limit ${timeoutMs} ms)`
        reject(parsePluginError(operation, exit, stdout, stderr))
      })
      // A plugin that fails early need not read its input: its exit tells more than our EPIPE.
      child.stdin.on('error', (error) => (stderr += `stdin: ${error.message}\n`))
      child.stdin.end(input)
    })
  }
}

/** null when there is no such file. */
async function readCached(path: string): Promise<CachedAttachment | null> {
  try {
    return JSON.parse(await readFile(path, 'utf8')) as CachedAttachment
  } catch (error) {
    if (error instanceof Error && 'code' in error && error.code === 'ENOENT') return null
    throw error
  }
}

export { CniPluginError }
