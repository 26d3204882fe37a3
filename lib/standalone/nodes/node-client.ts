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
  const agent = agentFrom(namespace, settings.server.startsWith('https:'))
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

/** An agent whose connections begin in the namespace, over TLS if asked. */
function agentFrom(namespace: NetworkNamespace, secure: boolean): HttpAgent {
  const agent = secure ? new HttpsAgent(agentOptions) : new HttpAgent(agentOptions)
  const destroy = agent.destroy.bind(agent)
  let closed = false
  agent.createConnection = (options: ClientRequestArgs, created?: OnCreated): undefined => {
    open(namespace, options, () => closed).then(
      (socket) => created?.(null, secure ? tlsConnect({ ...(options as ConnectionOptions), socket }) : socket),
      (error: unknown) => created?.(error as Error, undefined as unknown as Duplex),
    )
  }
  agent.destroy = () => {
    closed = true
    destroy()
  }
  return agent
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
