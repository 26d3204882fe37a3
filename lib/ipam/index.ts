// IP address management as pure data: see allocator.ts for the model and phase.ts for the states of an address.
export { Allocator, type AllocateRequest, type AssignRequest, type SubnetState } from './allocator.ts'
export { IpamError, type IpamErrorCode } from './errors.ts'
export type { InstanceKey } from './ledger.ts'
export { countsAsUsed, nextPhase, type Phase, type PhaseEvent } from './phase.ts'
export type { AllocatorReport, NetworkReport, SubnetReport } from './report.ts'
export * from './types.ts'
export { INT32_MAX, saturate, usageOf } from './usage.ts'
