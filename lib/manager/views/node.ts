// What the manager keeps of a node: its labels, which decide the networks it belongs to.
import { isTerminating, type Node } from '../../api/index.ts'

export interface NodeView {
  readonly name: string
  readonly labels: Readonly<Record<string, string>>
  readonly terminating: boolean
}

export function nodeView(node: Node): NodeView {
  return { name: node.metadata.name, labels: node.metadata.labels ?? {}, terminating: isTerminating(node) }
}
