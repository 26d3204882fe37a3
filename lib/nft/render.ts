// A transaction in nft's language. Pure.
import type { Command, TableName, Transaction } from './types.ts'

/** The text for `nft -f -`. */
export function renderTransaction(transaction: Transaction): string {
  return transaction.map((command) => `${renderCommand(command)}\n`).join('')
}

function renderCommand(command: Command): string {
  const table = tableText(command.table)
  switch (command.do) {
    case 'add-table':
      return `add table ${table}`
    case 'delete-table':
      return `delete table ${table}`
    case 'add-set': {
      const { name, type, interval } = command.set
      return `add set ${table} ${name} { type ${type};${interval ? ' flags interval;' : ''} }`
    }
    case 'flush-set':
      return `flush set ${table} ${command.set}`
    case 'add-elements':
      return `add element ${table} ${command.set} { ${command.elements.map(elementText).join(', ')} }`
    case 'delete-elements':
      return `delete element ${table} ${command.set} { ${command.elements.map(elementText).join(', ')} }`
    case 'add-chain': {
      const { name, base } = command.chain
      if (base === null) return `add chain ${table} ${name}`
      const device = base.device === undefined ? '' : ` device ${quote(base.device)}`
      return (
        `add chain ${table} ${name} ` +
        `{ type ${base.type} hook ${base.hook}${device} priority ${base.priority}; policy ${base.policy}; }`
      )
    }
    case 'flush-chain':
      return `flush chain ${table} ${command.chain}`
    case 'delete-chain':
      return `delete chain ${table} ${command.chain}`
    case 'add-rule': {
      const comment = command.comment === null ? '' : ` comment ${quote(command.comment)}`
      return `add rule ${table} ${command.chain} ${command.rule}${comment}`
    }
  }
}

/** "inet hybridnet". */
export function tableText(table: TableName): string {
  return `${table.family} ${table.name}`
}

/** Addresses and ranges stand as they are; anything else (interface names) is quoted. */
function elementText(element: string): string {
  return /^[0-9a-fA-F:.]+(-[0-9a-fA-F:.]+)?$/.test(element) && /[:.]/.test(element) ? element : quote(element)
}

/**
 * nft has no escape inside quotes, so a quote cannot be written at all.
 *
 * @throws RangeError for text that cannot be quoted
 */
export function quote(text: string): string {
  if (/["\n\\]/.test(text)) throw new RangeError(`nft cannot quote ${JSON.stringify(text)}`)
  return `"${text}"`
}
