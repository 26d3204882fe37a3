// Publishes this node's tunnel endpoint as its NodeInfo (spec/dataplane §3.3), at most one write in flight, newest wins.
import { NODEINFOS, NODES, type NodeInfo } from '../api/index.ts'
import { formatAddress, formatMac, type IPAddress } from '../ip/index.ts'
import { isAlreadyExists, isConflict, WorkQueue, type KubeClient, type OwnerReference } from '../kube/index.ts'
import type { Logger } from '../telemetry/log.ts'

/** What is published; null fields of the API never appear. */
export interface Endpoint {
  readonly address: IPAddress
  readonly mac: number
  readonly localAddresses: readonly IPAddress[]
  /** UID of the own Node, the owner. */
  readonly nodeUid: string
}

/** `spec.vtepInfo` of an endpoint: canonical text, localIPs sorted as strings. */
export function vtepInfo(endpoint: Endpoint): { ip: string; mac: string; localIPs: string[] } {
  return {
    ip: formatAddress(endpoint.address),
    mac: formatMac(endpoint.mac),
    localIPs: endpoint.localAddresses.map(formatAddress).sort(),
  }
}

function owner(nodeName: string, uid: string): OwnerReference {
  return { apiVersion: 'v1', kind: NODES.kind, name: nodeName, uid, controller: true, blockOwnerDeletion: false }
}

export class NodeInfoPublisher {
  readonly #client: KubeClient
  readonly #nodeName: string
  readonly #log: Logger
  readonly #queue: WorkQueue<string>
  #wanted: Endpoint | null = null
  #published = ''

  constructor(client: KubeClient, nodeName: string, log: Logger) {
    this.#client = client
    this.#nodeName = nodeName
    this.#log = log
    this.#queue = new WorkQueue<string>({
      process: () => this.#publish(),
      onError: (error) => log.warn({ err: error, object: `NodeInfo/${nodeName}` }, 'publishing the NodeInfo failed'),
    })
    this.#queue.start()
  }

  /** Make the NodeInfo say this; null leaves it as it is (no overlay network, or the node has no endpoint now). */
  publish(endpoint: Endpoint | null): void {
    this.#wanted = endpoint
    if (endpoint !== null && this.#text(endpoint) !== this.#published) this.#queue.add(this.#nodeName)
  }

  /** The NodeInfo was seen in the API with this content, or gone (null): what differs is written again. */
  seen(content: { ip: IPAddress; mac: number; localIPs: readonly IPAddress[] } | null): void {
    const endpoint = this.#wanted
    if (endpoint === null) {
      // What is wanted later has to be compared with it, whatever was written once.
      this.#published = ''
      return
    }
    const same =
      content !== null &&
      JSON.stringify(vtepInfo(endpoint)) ===
        JSON.stringify(
          vtepInfo({ ...endpoint, address: content.ip, mac: content.mac, localAddresses: content.localIPs }),
        )
    if (same) return
    this.#published = ''
    this.#queue.add(this.#nodeName)
  }

  async stop(): Promise<void> {
    await this.#queue.stop()
  }

  #text(endpoint: Endpoint): string {
    return JSON.stringify([vtepInfo(endpoint), endpoint.nodeUid])
  }

  async #publish(): Promise<void> {
    const endpoint = this.#wanted
    if (endpoint === null) return
    const text = this.#text(endpoint)
    const metadata = { name: this.#nodeName, ownerReferences: [owner(this.#nodeName, endpoint.nodeUid)] }
    const spec = { vtepInfo: vtepInfo(endpoint) }
    const current = await this.#client.find<NodeInfo>(NODEINFOS, metadata)
    if (current?.metadata.deletionTimestamp) throw new Error(`NodeInfo ${this.#nodeName} is being deleted, waiting`)
    if (current === null) {
      try {
        await this.#client.create(NODEINFOS, { metadata, spec })
      } catch (error) {
        if (!isAlreadyExists(error)) throw error
        throw new Error(`NodeInfo ${this.#nodeName} appeared meanwhile, comparing again`, { cause: error })
      }
    } else if (!sameContent(current, spec.vtepInfo, endpoint.nodeUid)) {
      await this.#client.patch('merge', NODEINFOS, metadata, {
        metadata: { ownerReferences: metadata.ownerReferences },
        spec,
      })
    } else {
      this.#published = text
      return
    }
    this.#published = text
    this.#log.info({ ...spec.vtepInfo }, 'published the tunnel endpoint')
    const now = `${new Date().toISOString().slice(0, 19)}Z`
    await this.#client
      .patchStatus('merge', NODEINFOS, metadata, { status: { updateTimestamp: now } })
      .catch((error: unknown) => {
        if (!isConflict(error)) throw error
      })
  }
}

function sameContent(current: NodeInfo, wanted: { ip: string; mac: string; localIPs: string[] }, uid: string): boolean {
  const { ip, mac, localIPs } = current.spec?.vtepInfo ?? {}
  const owned = current.metadata.ownerReferences?.some((reference) => reference.uid === uid) ?? false
  return owned && JSON.stringify({ ip, mac, localIPs: localIPs ?? [] }) === JSON.stringify(wanted)
}
