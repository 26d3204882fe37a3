// What the manager keeps of a node: its labels, which decide the networks it belongs to, and whether its kubelet can be heard.
import { isTerminating, type Node } from '../../api/index.ts'

export interface NodeView {
  readonly name: string
  readonly labels: Readonly<Record<string, string>>
  readonly terminating: boolean
  /** Its kubelet reports, and that it is well; also when nothing was ever reported. */
  readonly ready: boolean
  /** Somebody vouches that nothing runs there any more (`node.kubernetes.io/out-of-service`). */
  readonly outOfService: boolean
}

export function nodeView(node: Node): NodeView {
  const ready = (node.status?.conditions ?? []).find(({ type }) => type === 'Ready')
  return {
    name: node.metadata.name,
    labels: node.metadata.labels ?? {},
    terminating: isTerminating(node),
    ready: ready === undefined || ready.status === 'True',
    outOfService: (node.spec?.taints ?? []).some(({ key }) => key === 'node.kubernetes.io/out-of-service'),
  }
}
