// One node's kernel state in short, by the tools everybody knows.
import type { ClusterNode } from '../standalone/index.ts'

/** What is shown, and why it is there. */
const sections: readonly (readonly [title: string, command: readonly string[]])[] = [
  ['rules', ['ip', 'rule']],
  ['local pods (table 39999)', ['ip', 'route', 'show', 'table', '39999']],
  ['to the overlay (table 40000)', ['ip', 'route', 'show', 'table', '40000']],
  ['marked replies to nodes (table 40001)', ['ip', 'route', 'show', 'table', '40001']],
  ['local pods, IPv6 (table 39999)', ['ip', '-6', 'route', 'show', 'table', '39999']],
  ['VXLAN device', ['ip', '-br', '-d', 'link', 'show', 'type', 'vxlan']],
]
const linesPerSection = 12

/** Rules, tables, VXLAN device and its FDB of a node. */
export async function nodeState(node: ClusterNode): Promise<string> {
  let text = `State of ${node.name} (hybridnet standalone exec ${node.name} -- COMMAND):\n`
  for (const [title, command] of sections) text += section(title, await show(node, command))
  const device = /^(\S+?)[@\s]/.exec(await show(node, ['ip', '-br', 'link', 'show', 'type', 'vxlan']))?.[1]
  if (device !== undefined)
    text += section(`FDB of ${device}`, await show(node, ['bridge', 'fdb', 'show', 'dev', device]))
  return text
}

async function show(node: ClusterNode, command: readonly string[]): Promise<string> {
  const { code, stdout, stderr } = await node.exec(command)
  return code === 0 ? stdout : `${command.join(' ')}: exit ${code}: ${stderr}`
}

function section(title: string, output: string): string {
  const lines = output.split('\n').filter((line) => line.trim() !== '')
  const shown = lines.slice(0, linesPerSection)
  if (lines.length > shown.length) shown.push(`... ${lines.length - shown.length} more`)
  if (shown.length === 0) shown.push('none')
  return `\n  ${title}\n${shown.map((line) => `    ${line.trim()}\n`).join('')}`
}
