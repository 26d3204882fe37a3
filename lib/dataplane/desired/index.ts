// Desired state: pure functions from (cluster input, node facts, configuration) to records.
export { excludedBlocks, sharedExcludedBlocks } from './excluded.ts'
export { groupSubnets } from './groups.ts'
export { nodeDesired } from './node.ts'
export { podDesired } from './pod.ts'
export type { Contribution, Problem } from './problem.ts'
export { subnetsDesired, tableCandidates, type TableMap } from './subnets.ts'
export { allocateTables, isFromSubnetRule } from './tables.ts'
export { vtepDesired } from './vtep.ts'
