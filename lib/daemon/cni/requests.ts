// What the shim sends, checked field by field. Everything past this file is typed and valid; an error names the field, its
// value and what was expected. Both protocols end in the same CniCall: version 2 (`POST /api/v2/cni`, everything) and
// version 1 (`POST /api/v1/add|del`, the original's contract, node-agent.md §1.4).
import { CONTAINER_INTERFACE, INTERFACE_NAME_MAX } from '../../api/index.ts'
import { cniCode, CniError } from './errors.ts'
import type { PodReference } from './types.ts'

/** Versions of the CNI specification served here, oldest first. */
export const cniVersions = ['0.1.0', '0.2.0', '0.3.0', '0.3.1', '0.4.0', '1.0.0', '1.1.0'] as const
export type CniVersion = (typeof cniVersions)[number]

export type CniCommand = 'ADD' | 'DEL' | 'CHECK' | 'STATUS' | 'GC'

/** An attachment the runtime still holds, from `cni.dev/attachments`. */
export interface AttachmentReference {
  readonly containerId: string
  readonly ifname: string
}

/** A JSON object whose members are not known yet. */
export type JsonObject = Readonly<Record<string, unknown>>

/** One call of a runtime, valid. Members a command does not have are empty ('' or null). */
export interface CniCall {
  readonly command: CniCommand
  readonly containerId: string
  /** Path of the pod's network namespace; may be '' for DEL. */
  readonly netns: string
  readonly ifname: string
  /** null when the runtime named no pod (allowed for DEL; STATUS and GC have none). */
  readonly pod: PodReference | null
  /** Version the result must have. */
  readonly version: CniVersion
  readonly prevResult: JsonObject | null
  /** GC only: all attachments to keep; null when the runtime gave no list. */
  readonly validAttachments: readonly AttachmentReference[] | null
}

const commands: readonly string[] = ['ADD', 'DEL', 'CHECK', 'STATUS', 'GC']
const identifier = /^[A-Za-z0-9][A-Za-z0-9_.-]*$/
// Linux refuses longer paths anyway; the bound keeps records small.
const maxPath = 4096

function isObject(value: unknown): value is JsonObject {
  return typeof value === 'object' && value !== null && !Array.isArray(value)
}

function show(value: unknown): string {
  const text = value === undefined ? 'nothing' : JSON.stringify(value)
  return text.length > 100 ? `${text.slice(0, 100)}...` : text
}

function invalid(code: 4 | 6 | 7, field: string, value: unknown, expected: string): CniError {
  return new CniError(code, `invalid ${field}: expected ${expected}, found ${show(value)}`)
}

function parseBody(text: string): JsonObject {
  let body: unknown
  try {
    body = JSON.parse(text)
  } catch (error) {
    throw new CniError(cniCode.decodingFailure, 'the request is not valid JSON', String(error))
  }
  if (!isObject(body)) throw invalid(cniCode.decodingFailure, 'request', body, 'an object')
  return body
}

/** A string member; '' when it is absent and may be. */
function text(object: JsonObject, field: string, code: 4 | 7 = cniCode.invalidEnvironment): string {
  const value = object[field]
  if (value === undefined || value === null) return ''
  if (typeof value !== 'string') throw invalid(code, field, value, 'a string')
  return value
}

function containerId(object: JsonObject, required: boolean): string {
  const value = text(object, 'container_id')
  if (value === '' && !required) return ''
  if (!identifier.test(value)) {
    throw invalid(cniCode.invalidEnvironment, 'container_id', value, "a letter or digit, then letters, digits, '_.-'")
  }
  return value
}

function isInterfaceName(value: string): boolean {
  return /^[^/:\s]+$/.test(value) && value !== '.' && value !== '..' && Buffer.byteLength(value) <= INTERFACE_NAME_MAX
}

function interfaceName(object: JsonObject, required: boolean): string {
  const value = text(object, 'ifname')
  if (value === '' && !required) return ''
  if (!isInterfaceName(value) || value.includes('\0')) {
    throw invalid(cniCode.invalidEnvironment, 'ifname', value, 'an interface name of 1 to 15 bytes')
  }
  return value
}

function namespacePath(object: JsonObject, field: string, required: boolean): string {
  const value = text(object, field)
  if (value === '' && !required) return ''
  if (!value.startsWith('/') || value.length > maxPath || value.includes('\0')) {
    throw invalid(cniCode.invalidEnvironment, field, value, 'an absolute path of a network namespace')
  }
  return value
}

function podReference(pod: unknown, required: boolean): PodReference | null {
  if (pod !== undefined && pod !== null && !isObject(pod)) {
    throw invalid(cniCode.invalidEnvironment, 'pod', pod, 'an object')
  }
  const namespace = text(pod ?? {}, 'namespace')
  const name = text(pod ?? {}, 'name')
  if (namespace !== '' && name !== '') return { namespace, name, uid: text(pod ?? {}, 'uid') || null }
  if (!required) return null
  const missing = namespace === '' ? 'K8S_POD_NAMESPACE' : 'K8S_POD_NAME'
  throw new CniError(cniCode.invalidEnvironment, `missing ${missing} in CNI_ARGS`, 'the runtime must name the pod')
}

function version(config: JsonObject): CniVersion {
  const value = text(config, 'cniVersion', cniCode.invalidConfig) || '0.1.0'
  const known = cniVersions.find((candidate) => candidate === value)
  if (known !== undefined) return known
  throw new CniError(
    cniCode.incompatibleVersion,
    'incompatible CNI versions',
    `config is ${show(value)}, plugin supports ${cniVersions.join(', ')}`,
  )
}

function requireVersion(command: CniCommand, actual: CniVersion): void {
  const since: CniVersion = command === 'CHECK' ? '0.4.0' : command === 'STATUS' || command === 'GC' ? '1.1.0' : '0.1.0'
  if (cniVersions.indexOf(actual) >= cniVersions.indexOf(since)) return
  throw new CniError(
    cniCode.incompatibleVersion,
    `config version ${actual} does not allow ${command}`,
    `expected ${since} or later`,
  )
}

function attachmentReferences(config: JsonObject): readonly AttachmentReference[] | null {
  // libcni sends the list under both keys; the second is the older one.
  const list = config['cni.dev/attachments'] ?? config['cni.dev/valid-attachments']
  if (list === undefined || list === null) return null
  if (!Array.isArray(list)) throw invalid(cniCode.invalidConfig, 'cni.dev/attachments', list, 'an array')
  return list.map((entry: unknown, index) => {
    const id: unknown = isObject(entry) ? entry['containerID'] : undefined
    const ifname: unknown = isObject(entry) ? entry['ifname'] : undefined
    if (typeof id === 'string' && typeof ifname === 'string') return { containerId: id, ifname }
    const expected = 'an object with containerID and ifname'
    throw invalid(cniCode.invalidConfig, `cni.dev/attachments[${index}]`, entry, expected)
  })
}

/**
 * A version 2 request.
 *
 * @throws CniError 6 not JSON, 4 bad environment, 7 bad configuration, 1 unsupported version
 */
export function parseV2(body: string): CniCall {
  const request = parseBody(body)
  const name = text(request, 'command')
  if (!commands.includes(name)) {
    throw invalid(cniCode.invalidEnvironment, 'command', name, 'ADD, DEL, CHECK, STATUS or GC')
  }
  const command = name as CniCommand
  const attachment = command === 'ADD' || command === 'DEL' || command === 'CHECK'
  const needsPod = command === 'ADD' || command === 'CHECK'
  const config = request['config']
  if (!isObject(config)) throw invalid(cniCode.invalidConfig, 'config', config, 'an object')
  const prevResult = config['prevResult'] ?? null
  if (prevResult !== null && !isObject(prevResult)) {
    throw invalid(cniCode.invalidConfig, 'prevResult', prevResult, 'an object')
  }
  const actual = version(config)
  requireVersion(command, actual)
  return {
    command,
    containerId: containerId(request, attachment),
    netns: namespacePath(request, 'netns', needsPod),
    ifname: interfaceName(request, attachment),
    pod: attachment ? podReference(request['pod'], needsPod) : null,
    version: actual,
    prevResult,
    validAttachments: command === 'GC' ? attachmentReferences(config) : null,
  }
}

/**
 * A version 1 request; its interface is always eth0.
 *
 * @throws CniError 6 not JSON, 4 bad member
 */
export function parseV1(command: 'ADD' | 'DEL', body: string): CniCall {
  const request = parseBody(body)
  return {
    command,
    containerId: containerId(request, true),
    netns: namespacePath(request, 'net_ns', command === 'ADD'),
    ifname: CONTAINER_INTERFACE,
    pod: podReference(
      { namespace: text(request, 'pod_namespace'), name: text(request, 'pod_name') },
      command === 'ADD',
    ),
    version: '0.3.1',
    prevResult: null,
    validAttachments: null,
  }
}
