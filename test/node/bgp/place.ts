// Two namespaces with a link: this process's own is the node, a new one is the router's.
import { execFileSync } from 'node:child_process'
import { mkdtempSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { parseAddress } from '../../../lib/ip/index.ts'
import { createNamespace, deleteNamespace, NetworkNamespace } from '../../../lib/netlink/index.ts'
import { requireSandbox } from '../../support/sandbox.ts'

export const NODE4 = parseAddress('10.9.0.1') as number
export const NODE6 = parseAddress('fd09::1') as bigint
export const ROUTER4 = parseAddress('10.9.0.2') as number
export const ROUTER6 = parseAddress('fd09::2') as bigint

export interface Place {
  /** For files of this place. */
  readonly folder: string
  /** The node's. */
  readonly node: NetworkNamespace
  readonly router: NetworkNamespace
  /** The path of the router's, for nsenter. */
  readonly routerPath: string
  readonly ip: (...words: string[]) => void
  close(): Promise<void>
}

/** 10.9.0.1/24 and fd09::1/64 on `up0` here, 10.9.0.2 and fd09::2 on `down0` there. */
export async function newPlace(): Promise<Place> {
  requireSandbox()
  const folder = mkdtempSync(join(tmpdir(), 'bgp-'))
  const routerPath = join(folder, 'ns')
  await createNamespace(routerPath)
  const node = NetworkNamespace.current()
  const router = NetworkNamespace.open(routerPath)
  const ip = (...words: string[]): void => void execFileSync('ip', words)
  const there = (...words: string[]): void => void execFileSync('nsenter', [`--net=${routerPath}`, 'ip', ...words])
  ip('link', 'set', 'lo', 'up')
  ip('link', 'add', 'up0', 'type', 'veth', 'peer', 'down0')
  ip('link', 'set', 'down0', 'netns', routerPath)
  ip('addr', 'add', '10.9.0.1/24', 'dev', 'up0')
  ip('addr', 'add', 'fd09::1/64', 'dev', 'up0', 'nodad')
  ip('link', 'set', 'up0', 'up')
  there('addr', 'add', '10.9.0.2/24', 'dev', 'down0')
  there('addr', 'add', 'fd09::2/64', 'dev', 'down0', 'nodad')
  there('link', 'set', 'down0', 'up')
  return {
    folder,
    node,
    router,
    routerPath,
    ip,
    close: async () => {
      ip('link', 'delete', 'up0')
      node.close()
      router.close()
      await deleteNamespace(routerPath)
      rmSync(folder, { recursive: true })
    },
  }
}
