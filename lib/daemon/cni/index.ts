// The node's CNI server: takes calls of the container runtime (through the shim, cni/src) over a Unix socket and wires pods.
//
//   CniService   what a call does: addresses (PodNetworking, the daemon's), wiring (lib/netlink), records on disk
//   CniServer    how calls arrive: two HTTP protocols on a Unix socket
//   installCni   puts the shim and its configuration on the host; installCommunityPlugins what is chained behind it
//
// It decides nothing about addresses and programs nothing beyond a pod's veth; the rest of the daemon does.
export { AttachmentStore } from './attachments.ts'
export {
  addressConflict,
  apiWriteRefused,
  cniCode,
  CniError,
  dataPlaneFailure,
  gatewayUnreachable,
  inconsistentAddresses,
  invalidNetworkConfiguration,
  podGone,
  tryAgain,
  type CniCode,
} from './errors.ts'
export { installCommunityPlugins, type CommunityPluginsOptions } from './community.ts'
export {
  installBinary,
  installCni,
  installConfig,
  uninstallCni,
  type InstallCniOptions,
  type InstallReport,
} from './install.ts'
export { hostInterfaceName } from './names.ts'
export { CniServer, type CniServerOptions } from './server.ts'
export { CniService, type CniServiceOptions } from './service.ts'
export type * from './types.ts'
