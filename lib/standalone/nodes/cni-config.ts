// What a container runtime computes around CNI, as pure functions: which configuration list of a directory is in force, what
// each plugin reads on stdin, what its answer means. Follows libcni (containernetworking/cni, libcni/api.go and conf.go) and
// the CNI specification 1.1.0, sections 1 (configuration format), 3 (execution) and 4 (delegation is not used).
//
// It does not: convert results between versions, delegate, or read single-plugin `.conf` files of versions before lists.

/** A parsed `.conflist`. */
export interface NetworkConfigList {
  readonly name: string
  /** The version every plugin of the list is called with. */
  readonly cniVersion: string
  readonly disableCheck: boolean
  readonly disableGC: boolean
  readonly plugins: readonly PluginConfig[]
  /** Where it was read, for messages. */
  readonly source: string
}

/** One element of `plugins`: `type` names the executable, the rest is the plugin's own. */
export type PluginConfig = Readonly<Record<string, unknown>> & { readonly type: string }

/** A CNI result as a plugin printed it; this module reads `ips` only. */
export type CniResult = Readonly<Record<string, unknown>>

/** The versions this runtime speaks, lowest first. */
export const supportedVersions = ['0.3.0', '0.3.1', '0.4.0', '1.0.0', '1.1.0'] as const

/** A plugin's refusal: its error object (CNI specification, section 5). */
export class CniPluginError extends Error {
  override readonly name = 'CniPluginError'
  readonly code: number

  constructor(operation: string, code: number, text: string) {
    super(`${operation}: ${text} (code ${code})`)
    this.code = code
  }
}

/** Compare dotted versions by number. */
export function compareVersions(left: string, right: string): number {
  const a = left.split('.').map(Number)
  const b = right.split('.').map(Number)
  for (let i = 0; i < Math.max(a.length, b.length); i++) {
    const difference = (a[i] ?? 0) - (b[i] ?? 0)
    if (difference !== 0) return difference
  }
  return 0
}

function isRecord(value: unknown): value is Record<string, unknown> {
  return typeof value === 'object' && value !== null && !Array.isArray(value)
}

/**
 * Parse a configuration list.
 *
 * @throws Error naming the file, the field, its value and what was expected
 */
export function parseConfigList(text: string, source: string): NetworkConfigList {
  let json: unknown
  try {
    json = JSON.parse(text)
  } catch (error) {
    throw new Error(`${source}: not JSON: ${error instanceof Error ? error.message : String(error)}`, { cause: error })
  }
  if (!isRecord(json)) throw new Error(`${source}: expected a JSON object`)
  const { name, plugins } = json
  if (typeof name !== 'string' || !/^[a-zA-Z0-9][a-zA-Z0-9_.-]*$/.test(name)) {
    throw new Error(`${source}: name ${JSON.stringify(name)}: expected letters, digits, '_', '.' and '-'`)
  }
  if (!Array.isArray(plugins) || plugins.length === 0) {
    throw new Error(`${source}: plugins ${JSON.stringify(plugins)}: expected a list with at least one plugin`)
  }
  const parsed = plugins.map((plugin: unknown, index) => {
    if (!isRecord(plugin) || typeof plugin['type'] !== 'string' || !/^[^/]+$/.test(plugin['type'])) {
      throw new Error(`${source}: plugins[${index}].type: expected the name of an executable`)
    }
    return plugin as PluginConfig
  })
  return {
    name,
    cniVersion: chooseVersion(json, source),
    disableCheck: flag(json['disableCheck']),
    disableGC: flag(json['disableGC']),
    plugins: parsed,
    source,
  }
}

/** `cniVersions` (highest we speak) wins over `cniVersion`, as in libcni 1.2. */
function chooseVersion(json: Record<string, unknown>, source: string): string {
  const offered = Array.isArray(json['cniVersions']) ? json['cniVersions'].map(String) : []
  const single = json['cniVersion']
  if (typeof single === 'string') offered.push(single)
  const known = offered.filter((version) => (supportedVersions as readonly string[]).includes(version))
  const best = known.sort(compareVersions).at(-1)
  if (best === undefined) {
    throw new Error(`${source}: cniVersion ${JSON.stringify(single)}: expected one of ${supportedVersions.join(', ')}`)
  }
  return best
}

/** Historical files spell booleans as strings. */
function flag(value: unknown): boolean {
  return value === true || value === 'true'
}

/** The files of a configuration directory in the order a runtime tries them. */
export function configCandidates(names: readonly string[]): string[] {
  return names.filter((name) => name.endsWith('.conflist')).sort()
}

/** Arguments by capability (CNI conventions, "runtimeConfig"): `portMappings`, `bandwidth`, `mac`, `ips`. */
export type CapabilityArguments = Readonly<Record<string, unknown>>

/** The part of the pod a plugin hears about. */
export interface Attachment {
  readonly containerId: string
  /** Path of the pod's network namespace; on DEL it may be gone. */
  readonly netns: string
  readonly ifname: string
  /** CNI_ARGS in order. */
  readonly args: readonly (readonly [string, string])[]
  /** For plugins whose configuration says that they have the capability. Absent in what earlier versions remembered. */
  readonly capabilities?: CapabilityArguments
}

/** CNI_ARGS as kubelet's runtimes pass them (containerd `pkg/cri/server/sandbox_run.go`, cniNamespaceOpts). */
export function podArguments(pod: {
  namespace: string
  name: string
  uid: string
  containerId: string
}): (readonly [string, string])[] {
  return [
    ['IgnoreUnknown', '1'],
    ['K8S_POD_NAMESPACE', pod.namespace],
    ['K8S_POD_NAME', pod.name],
    ['K8S_POD_INFRA_CONTAINER_ID', pod.containerId],
    ['K8S_POD_UID', pod.uid],
  ]
}

export type CniCommand = 'ADD' | 'DEL' | 'CHECK' | 'GC' | 'STATUS' | 'VERSION'

/** The environment of one plugin call. */
export function pluginEnvironment(
  command: CniCommand,
  attachment: Attachment | null,
  binDirectories: readonly string[],
): Record<string, string> {
  const path = { CNI_COMMAND: command, CNI_PATH: binDirectories.join(':') }
  if (attachment === null) return path
  return {
    ...path,
    CNI_CONTAINERID: attachment.containerId,
    CNI_NETNS: attachment.netns,
    CNI_IFNAME: attachment.ifname,
    CNI_ARGS: attachment.args.map(([key, value]) => `${key}=${value}`).join(';'),
  }
}

/**
 * What one plugin reads on stdin: its own configuration with the list's name and version, the previous result, and of the
 * capability arguments those it asks for, instead of the list of its capabilities (libcni, injectRuntimeConfig).
 */
export function pluginInput(
  list: NetworkConfigList,
  plugin: PluginConfig,
  previous: CniResult | null,
  capabilities: CapabilityArguments = {},
): Record<string, unknown> {
  const { capabilities: wanted, ...own } = plugin
  const asked = isRecord(wanted) ? wanted : {}
  const given = Object.entries(capabilities).filter(([name]) => asked[name] === true)
  const runtimeConfig = given.length === 0 ? {} : { runtimeConfig: Object.fromEntries(given) }
  const base = { ...own, ...runtimeConfig, name: list.name, cniVersion: list.cniVersion }
  return previous === null ? base : { ...base, prevResult: previous }
}

/** DEL and CHECK carry the cached result of the ADD from 0.4.0 on. */
export function passesPreviousResult(list: NetworkConfigList): boolean {
  return compareVersions(list.cniVersion, '0.4.0') >= 0
}

/**
 * Read a successful plugin's stdout.
 *
 * @throws CniPluginError when it is not one JSON object
 */
export function parseResult(operation: string, stdout: string): CniResult {
  let json: unknown
  try {
    json = JSON.parse(stdout)
  } catch (error) {
    throw new CniPluginError(operation, 6, `stdout is not a result (${String(error)}): ${JSON.stringify(stdout)}`)
  }
  if (!isRecord(json)) throw new CniPluginError(operation, 6, `stdout is not a result: ${JSON.stringify(stdout)}`)
  return json
}

/** The error a failed plugin reported on stdout, or what can be said when it reported none. */
export function parsePluginError(operation: string, exit: string, stdout: string, stderr: string): CniPluginError {
  try {
    const json: unknown = JSON.parse(stdout)
    if (isRecord(json) && typeof json['code'] === 'number') {
      const text = [json['msg'], json['details']].filter((part) => typeof part === 'string' && part !== '').join(': ')
      return new CniPluginError(operation, json['code'], text)
    }
  } catch (error) {
    const said = [stdout.trim(), stderr.trim()].filter((part) => part !== '').join('; ')
    return new CniPluginError(operation, 999, `${exit}, no error object (${String(error)}): ${said}`)
  }
  return new CniPluginError(operation, 999, `${exit}, no error object: ${stdout.trim()}`)
}

/** Addresses (without prefix length) of the pod's own interfaces in a result, in order. */
export function resultAddresses(result: CniResult): string[] {
  const interfaces = Array.isArray(result['interfaces']) ? (result['interfaces'] as unknown[]) : []
  const addresses: string[] = []
  for (const entry of Array.isArray(result['ips']) ? (result['ips'] as unknown[]) : []) {
    if (!isRecord(entry) || typeof entry['address'] !== 'string') continue
    const owner = typeof entry['interface'] === 'number' ? interfaces[entry['interface']] : undefined
    // An interface without `sandbox` is one of the host.
    if (isRecord(owner) && (owner['sandbox'] === undefined || owner['sandbox'] === '')) continue
    const address = entry['address'].split('/')[0]
    if (address !== undefined) addresses.push(address)
  }
  return addresses
}
