// A client of the API whose connections begin in a node's network namespace, for what runs in this process in the node's
// name. Its packets take the node's way, so that a partition or a slow link is one for the kubelet, too.
import { Agent as HttpAgent, type ClientRequestArgs } from 'node:http'
import { Agent as HttpsAgent } from 'node:https'
import { Socket } from 'node:net'
import type { Duplex } from 'node:stream'
import { connect as tlsConnect, type ConnectionOptions } from 'node:tls'
import { type ClientOptions, directConnection, type DirectConnection, KubeClient } from '../../kube/index.ts'
import { connectTcp, type NetworkNamespace } from '../../netlink/index.ts'

type OnCreated = (error: Error | null, stream: Duplex) => void

/** Milliseconds for a SYN to be answered; kubelet's client has 30 s for all of a connection. */
const connectLimitMs = 10_000

/**
 * A client of the server as seen from a node.
 *
 * @param settings the server's URL has an address, not a name, or one that /etc/hosts would not help with anyway
 */
export function clientFrom(
  namespace: NetworkNamespace,
  settings: DirectConnection & ClientOptions,
): { client: KubeClient; close: () => void } {
  const secure = settings.server.startsWith('https:')
  const agent = secure ? new TlsAgent(namespace) : new PlainAgent(namespace)
  const source = directConnection(settings)
  const client = KubeClient.over(
    { ...source, current: async () => ({ ...(await source.current()), proxyAgent: agent }) },
    settings,
  )
  const close = (): void => {
    client.close()
    agent.destroy()
  }
  return { client, close }
}

const agentOptions = { keepAlive: true, keepAliveMsecs: 15_000, timeout: 60_000, maxFreeSockets: 8 }

class PlainAgent extends HttpAgent {
  readonly #namespace: NetworkNamespace
  #closed = false

  constructor(namespace: NetworkNamespace) {
    super(agentOptions)
    this.#namespace = namespace
  }

  override createConnection(options: ClientRequestArgs, created?: OnCreated): undefined {
    open(this.#namespace, options, () => this.#closed).then(
      (socket) => created?.(null, socket),
      (error: unknown) => created?.(error as Error, undefined as unknown as Duplex),
    )
  }

  override destroy(): void {
    this.#closed = true
    super.destroy()
  }
}

class TlsAgent extends HttpsAgent {
  readonly #namespace: NetworkNamespace
  #closed = false

  constructor(namespace: NetworkNamespace) {
    super(agentOptions)
    this.#namespace = namespace
  }

  override createConnection(options: ClientRequestArgs, created?: OnCreated): undefined {
    open(this.#namespace, options, () => this.#closed).then(
      (socket) => created?.(null, tlsConnect({ ...(options as ConnectionOptions), socket })),
      (error: unknown) => created?.(error as Error, undefined as unknown as Duplex),
    )
  }

  override destroy(): void {
    this.#closed = true
    super.destroy()
  }
}

/** @param isClosed a connection that is made only after the end is none: what waited for it must not be sent any more */
async function open(
  namespace: NetworkNamespace,
  { host, port }: ClientRequestArgs,
  isClosed: () => boolean,
): Promise<Socket> {
  const fd = await connectTcp(namespace, host ?? '', Number(port), { timeout: connectLimitMs })
  const socket = new Socket({ fd })
  if (!isClosed()) return socket
  socket.destroy()
  throw new Error('the client is closed')
}
