// Orders to a running cluster over a Unix socket in its directory: a file, hence reachable from outside the sandbox too, by
// the user it belongs to. One order to a connection: a line of JSON each way. The answer comes when the order is carried
// out; a caller that goes away does not undo it.
import { once } from 'node:events'
import { connect, createServer, type Server, type Socket } from 'node:net'
import { createInterface } from 'node:readline'
import { join } from 'node:path'
import type { Cluster } from '../cluster.ts'
import { execute, type NodeReport, type Order } from './operations.ts'

const socketName = 'control.sock'

type Answer = { readonly nodes: readonly NodeReport[] } | { readonly error: string }

/** The listening end. */
export class ControlSocket {
  readonly #server: Server
  readonly #sockets = new Set<Socket>()

  private constructor(server: Server) {
    this.#server = server
  }

  /** Take orders for a cluster in the directory of an instance. @throws Error when the socket cannot be made */
  static async listen(cluster: Cluster, directory: string): Promise<ControlSocket> {
    const server = createServer({ allowHalfOpen: true })
    const control = new ControlSocket(server)
    server.on('connection', (socket) => control.#serve(socket, cluster))
    server.listen(join(directory, socketName))
    await once(server, 'listening')
    return control
  }

  async close(): Promise<void> {
    const closed = once(this.#server, 'close')
    this.#server.close()
    for (const socket of this.#sockets) socket.destroy()
    await closed
  }

  #serve(socket: Socket, cluster: Cluster): void {
    this.#sockets.add(socket)
    // A caller that goes away is its own business.
    socket.on('error', () => socket.destroy()).on('close', () => this.#sockets.delete(socket))
    createInterface(socket).once('line', (line) => {
      void answer(cluster, line).then((result) => socket.end(`${JSON.stringify(result)}\n`))
    })
  }
}

async function answer(cluster: Cluster, line: string): Promise<Answer> {
  try {
    return { nodes: await execute(cluster, JSON.parse(line) as Order) }
  } catch (error) {
    return { error: error instanceof Error ? error.message : String(error) }
  }
}

/**
 * Give an order to the cluster of an instance's directory, and wait until it is carried out.
 *
 * @throws Error with the words of the cluster, or saying that it takes no orders
 */
export async function giveOrder(directory: string, order: Order): Promise<readonly NodeReport[]> {
  const path = join(directory, socketName)
  const socket = connect(path)
  try {
    await once(socket, 'connect')
    socket.end(`${JSON.stringify(order)}\n`)
    let text = ''
    for await (const chunk of socket.setEncoding('utf8')) text += String(chunk)
    if (text === '') throw new Error('it ended before it answered')
    const result = JSON.parse(text) as Answer
    if ('nodes' in result) return result.nodes
    throw new OrderError(result.error)
  } catch (error) {
    if (error instanceof OrderError) throw error
    throw new Error(`${path}: ${error instanceof Error ? error.message : String(error)}`, { cause: error })
  } finally {
    socket.destroy()
  }
}

/** The cluster's own words: no more is to be said about them. */
class OrderError extends Error {}
