// The control plane: see manager.ts for its life, leading.ts for what it runs, decide/ for what it decides.
export { createAbsent, parseStartObjects, type StartObject } from './bootstrap.ts'
export { startManager, type Manager } from './manager.ts'
export { CONCURRENCY, DEFAULTS, LEASE_NAME, type Concurrency, type Defaults, type ManagerOptions } from './options.ts'
export type { IpamReport } from './report.ts'
