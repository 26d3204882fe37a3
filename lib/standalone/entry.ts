// Finding the network namespace of a node or pod of a running sandbox, from outside it.
import { readdirSync, readFileSync } from 'node:fs'
import { join } from 'node:path'
import type { Instance } from './instances.ts'
import { namespaceDirectory } from './sandbox.ts'

/** Something that can be entered. */
export interface Target {
  readonly kind: 'node' | 'host' | 'pod'
  /** `node1`, `outside`, `NAMESPACE/POD`. */
  readonly name: string
  /** Path of the namespace file inside the sandbox. */
  readonly netns: string
}

interface CachedAttachment {
  readonly attachment: { readonly netns: string; readonly args: readonly (readonly [string, string])[] }
}

/** Everything of a sandbox that can be entered: nodes, the hosts beside them, and pods by what the kubelets remember. */
export function listTargets(instance: Instance): Target[] {
  const nodes = readdirSync(join(instance.directory, 'nodes'))
  const target = (kind: 'node' | 'host') => (name: string) => ({ kind, name, netns: join(namespaceDirectory, name) })
  return [
    ...nodes.map(target('node')),
    ...['router', 'outside'].map(target('host')),
    ...nodes.flatMap((node) => podTargets(join(instance.directory, 'nodes', node, 'cni-cache'))),
  ]
}

function podTargets(cacheDirectory: string): Target[] {
  const names = readdirSync(cacheDirectory).filter((name) => name.endsWith('.json'))
  return names.map((name) => {
    const { attachment } = JSON.parse(readFileSync(join(cacheDirectory, name), 'utf8')) as CachedAttachment
    const value = (key: string): string => attachment.args.find(([candidate]) => candidate === key)?.[1] ?? ''
    const pod = `${value('K8S_POD_NAMESPACE')}/${value('K8S_POD_NAME')}`
    return { kind: 'pod', name: pod, netns: attachment.netns }
  })
}

/**
 * The target of a name: a node, `router`, `outside`, or a pod as `NAME` (in namespace default) or `NAMESPACE/NAME`.
 *
 * @throws Error naming what there is
 */
export function findTarget(targets: readonly Target[], name: string): Target {
  const found = targets.find((target) => target.name === name || target.name === `default/${name}`)
  if (found !== undefined) return found
  throw new Error(`no node or pod '${name}'; there are ${targets.map((target) => target.name).join(', ')}`)
}
