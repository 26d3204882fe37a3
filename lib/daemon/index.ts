// The node program; see README.md in this folder.
export { installCni, type InstallCniOptions } from './cni/install.ts'
export { startDaemon, type Daemon, type DaemonOptions } from './daemon.ts'
