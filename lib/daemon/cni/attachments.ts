// The record of what is attached: one JSON file per attachment in a state directory (on tmpfs: namespaces do not outlive
// a reboot either), the same in memory with an index by host interface. With it DEL, CHECK and GC work after a restart
// of the daemon, without the pod's namespace, and never mistake a newer sandbox for an older one.
import { createHash } from 'node:crypto'
import { mkdir, readdir, readFile, rename, rm, writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { formatAddress, formatMac, parseAddress, parseMac } from '../../ip/index.ts'
import type { Logger } from '../../telemetry/log.ts'
import type { Attachment, NetworkMode, PodAddress } from './types.ts'

const modes: readonly string[] = ['VXLAN', 'VLAN', 'BGP', 'GlobalBGP']
// NAME_MAX is 255; long container IDs go by their hash.
const maxPlainName = 200

/** Key of an attachment; neither part can contain a colon. */
export function attachmentKey(containerId: string, ifname: string): string {
  return `${containerId}:${ifname}`
}

function fileName(key: string): string {
  const plain = Buffer.byteLength(key) <= maxPlainName
  return `${plain ? key : createHash('sha256').update(key).digest('hex')}.json`
}

/** The text of a record. */
export function encodeAttachment(attachment: Attachment): string {
  const { pod } = attachment
  const addresses = pod.addresses.map(({ address, prefixLength, gateway }) => ({
    address: formatAddress(address),
    prefixLength,
    gateway: gateway === null ? null : formatAddress(gateway),
  }))
  return JSON.stringify({ ...attachment, pod: { ...pod, mac: formatMac(pod.mac), addresses } }, null, 1) + '\n'
}

/** Reads members of a parsed record, each with its type. */
class Fields {
  readonly #object: Readonly<Record<string, unknown>>
  constructor(value: unknown, what: string) {
    if (typeof value !== 'object' || value === null) throw new Error(`${what}: expected an object`)
    this.#object = value as Record<string, unknown>
  }
  get(field: string): unknown {
    return this.#object[field]
  }
  text(field: string): string {
    const value = this.#object[field]
    if (typeof value !== 'string') throw new Error(`${field}: expected a string, found ${JSON.stringify(value)}`)
    return value
  }
  /** Null is a value; absence is `otherwise`. */
  textOrNull(field: string, otherwise: string): string | null {
    const value = this.#object[field]
    return value === undefined ? otherwise : value === null ? null : this.text(field)
  }
  number(field: string): number {
    const value = this.#object[field]
    if (typeof value !== 'number' || !Number.isSafeInteger(value) || value < 0) {
      throw new Error(`${field}: expected a whole number, found ${JSON.stringify(value)}`)
    }
    return value
  }
}

function decodeAddress(value: unknown): PodAddress {
  const fields = new Fields(value, 'addresses')
  return {
    address: parseAddress(fields.text('address')),
    prefixLength: fields.number('prefixLength'),
    gateway: fields.get('gateway') === null ? null : parseAddress(fields.text('gateway')),
  }
}

/** @throws Error naming the member that is missing or wrong */
export function decodeAttachment(text: string): Attachment {
  const record = new Fields(JSON.parse(text), 'record')
  const pod = new Fields(record.get('pod'), 'pod')
  const mode = pod.text('mode')
  if (!modes.includes(mode)) throw new Error(`mode: expected one of ${modes.join(', ')}, found '${mode}'`)
  const addresses = pod.get('addresses')
  if (!Array.isArray(addresses)) throw new Error('addresses: expected an array')
  return {
    containerId: record.text('containerId'),
    ifname: record.text('ifname'),
    netns: record.text('netns'),
    hostInterface: record.text('hostInterface'),
    hostIndex: record.number('hostIndex'),
    pod: {
      namespace: pod.text('namespace'),
      name: pod.text('name'),
      uid: pod.text('uid'),
      mac: parseMac(pod.text('mac')),
      mtu: pod.number('mtu'),
      network: pod.text('network'),
      mode: mode as NetworkMode,
      addresses: addresses.map(decodeAddress),
    },
    // Records of earlier versions have none: there the pod's own is meant.
    runtimeUid: record.textOrNull('runtimeUid', pod.text('uid')),
    createdAt: record.number('createdAt'),
  }
}

/** All attachments of this node. Reading is synchronous; a write is on disk when its promise resolves. */
export class AttachmentStore {
  readonly #directory: string
  readonly #byKey = new Map<string, Attachment>()
  readonly #byHostInterface = new Map<string, Attachment>()

  private constructor(directory: string) {
    this.#directory = directory
  }

  /**
   * Open the directory, made with mode 0700 when absent. A record that cannot be read costs only itself: it is logged and
   * left in place for a person to look at. Halves of interrupted writes are removed.
   *
   * @throws Error when the directory cannot be made or listed
   */
  static async open(directory: string, log: Logger): Promise<AttachmentStore> {
    const store = new AttachmentStore(directory)
    await mkdir(directory, { recursive: true, mode: 0o700 })
    for (const file of await readdir(directory)) {
      const path = join(directory, file)
      if (file.endsWith('.tmp')) {
        await rm(path, { force: true })
      } else if (file.endsWith('.json')) {
        try {
          store.#remember(decodeAttachment(await readFile(path, 'utf8')))
        } catch (error) {
          log.error({ err: error, object: path, operation: 'read attachment record' }, 'unreadable attachment record')
        }
      }
    }
    return store
  }

  get(containerId: string, ifname: string): Attachment | undefined {
    return this.#byKey.get(attachmentKey(containerId, ifname))
  }

  /** The latest attachment with that host interface. */
  byHostInterface(name: string): Attachment | undefined {
    return this.#byHostInterface.get(name)
  }

  list(): readonly Attachment[] {
    return [...this.#byKey.values()]
  }

  get size(): number {
    return this.#byKey.size
  }

  async put(attachment: Attachment): Promise<void> {
    const path = this.#path(attachment)
    // Renaming makes it whole or absent. No fsync: the record must survive this process, not the machine.
    await writeFile(`${path}.tmp`, encodeAttachment(attachment), { mode: 0o600 })
    await rename(`${path}.tmp`, path)
    this.#remember(attachment)
  }

  /** Forget an attachment; one that is not there is no error. */
  async remove(attachment: Attachment): Promise<void> {
    await rm(this.#path(attachment), { force: true })
    this.#byKey.delete(attachmentKey(attachment.containerId, attachment.ifname))
    if (this.#byHostInterface.get(attachment.hostInterface)?.containerId === attachment.containerId) {
      this.#byHostInterface.delete(attachment.hostInterface)
    }
  }

  #path(attachment: Attachment): string {
    return join(this.#directory, fileName(attachmentKey(attachment.containerId, attachment.ifname)))
  }

  #remember(attachment: Attachment): void {
    this.#byKey.set(attachmentKey(attachment.containerId, attachment.ifname), attachment)
    const known = this.#byHostInterface.get(attachment.hostInterface)
    if (known === undefined || known.createdAt <= attachment.createdAt) {
      this.#byHostInterface.set(attachment.hostInterface, attachment)
    }
  }
}
