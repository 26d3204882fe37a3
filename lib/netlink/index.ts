// rtnetlink from TypeScript: typed operations over the native addon, which only this folder loads.
//
// Everything that touches a kernel takes a NetworkNamespace. Requests are data (`request.*`), sent in batches by a
// RouteSocket; dumps return the objects of types.ts or packed records (layout.ts); errors are NetlinkErrors with the
// kernel's own text.
//
// Not here: what ought to be configured (lib/dataplane), nftables (lib/nft), generic netlink, traffic control.
export * from './constants.ts'
export type * from './types.ts'
export type { AddrSpec } from './addr.ts'
export { RequestBatch } from './batch.ts'
export { runCommand, type CommandOptions, type CommandResult } from './command.ts'
export { describe } from './describe.ts'
export { isAlreadyExists, isNotFound, NetlinkError } from './errors.ts'
export type { AddressFilter, NeighbourFilter, RouteFilter } from './filters.ts'
export * from './layout.ts'
export type { LinkChanges, LinkEnd, LinkSelector, LinkSpec, PeerEnd, VxlanSpec } from './link.ts'
export { Monitor, type MonitorEvent, type MonitorObject, type MonitorOptions } from './monitor.ts'
export { createNamespace, deleteNamespace, NetworkNamespace } from './namespace.ts'
export { unpackNeighbours, type FdbSpec, type NeighSpec } from './neigh.ts'
export { openPacketSocket, PacketSocket, type FilterInstruction, type PacketSocketOptions } from './packet.ts'
export { ping } from './ping.ts'
export { NftMonitor, type NftMonitorOptions } from './nft-monitor.ts'
export { request, type Request } from './request.ts'
export { NeighbourResolver, type ResolverOptions, type ResolverStats } from './resolver.ts'
export type { RouteSpec } from './route.ts'
export type { RuleSpec } from './rule.ts'
export { RouteSocket, type BatchRefusal } from './socket.ts'
export { sysctlRead, sysctlReadAll, sysctlWrite, sysctlWriteAll, type SysctlSetting } from './sysctl.ts'
export {
  connectTcp,
  listenTcp,
  setTcpOptions,
  type ConnectOptions,
  type ListenOptions,
  type Md5Key,
  type TcpOptions,
} from './tcp.ts'
