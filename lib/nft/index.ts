// nftables transactions as data, applied atomically by `nft -f -`; whole tables written and compared; typed errors.
//
// Not a binding of libnftables and no parser of rules: rules are text in nft's own language. It keeps no state and runs
// no process at rest; foreign changes are noticed through lib/netlink's monitor, and listings are for start and doubt.
export * from './errors.ts'
export { applyTransaction, checkTransaction, runNft, type CommandRunner, type NftOptions } from './exec.ts'
export { canonicalElement, chainDevices, listTable, listTables, parseListing } from './list.ts'
export type { ListedChain, ListedSet, TableListing } from './list.ts'
export { quote, renderTransaction, tableText } from './render.ts'
export { elementChanges, removeTable, replaceTable, ruleFingerprint, structureDifference } from './table.ts'
export type * from './types.ts'
