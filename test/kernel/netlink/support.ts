// What the netlink kernel tests share: a folder for namespace files, batches that must succeed, waiting with a bound.
import { mkdtemp, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { setTimeout as sleep } from 'node:timers/promises'
import {
  createNamespace,
  deleteNamespace,
  NetworkNamespace,
  RouteSocket,
  type Request,
} from '../../../lib/netlink/index.ts'

/** Applies all; throws the first refusal. */
export async function applyAll(socket: RouteSocket, requests: readonly Request[]): Promise<void> {
  for (const error of await socket.apply(requests)) if (error) throw error
}

/** Waits until `check` holds. */
export async function until(
  what: string,
  check: () => boolean | Promise<boolean>,
  milliseconds = 20_000,
): Promise<void> {
  const end = Date.now() + milliseconds
  while (!(await check())) {
    if (Date.now() > end) throw new Error(`not within ${milliseconds} ms: ${what}`)
    await sleep(5)
  }
}

export interface Place {
  readonly path: string
  readonly namespace: NetworkNamespace
  readonly socket: RouteSocket
  close(): Promise<void>
}

/** A new namespace with a socket in it. */
export async function newPlace(): Promise<Place> {
  const folder = await mkdtemp(join(tmpdir(), 'netns-'))
  const path = join(folder, 'ns')
  await createNamespace(path)
  const namespace = NetworkNamespace.open(path)
  const socket = RouteSocket.open(namespace)
  return {
    path,
    namespace,
    socket,
    close: async () => {
      socket.close()
      namespace.close()
      await deleteNamespace(path)
      await rm(folder, { recursive: true })
    },
  }
}

/** Holds the event loop like a long garbage collection or a big parse. */
export function blockEventLoop(milliseconds: number): void {
  Atomics.wait(new Int32Array(new SharedArrayBuffer(4)), 0, 0, milliseconds)
}
