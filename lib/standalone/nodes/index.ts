// Nodes as network namespaces: the fabric between them, a kubelet each, and the scheduler.
export { echoPort, EchoServer, type Greeting } from './echo.ts'
export { Fabric, type FabricHost, type FabricOptions, type HostAddress } from './fabric.ts'
export { Kubelet, type KubeletOptions } from './kubelet.ts'
export type { Pod } from './pod-status.ts'
export type { Sandbox } from './sandboxes.ts'
export { Scheduler } from './scheduler.ts'
