// How the programs of the real control plane are run: their command lines. Everything not named is at its default, as a user's
// would be; what is named makes them fit into a namespace of a test. File names are those that kubernetes.ts writes.
import { type Family, parseAddress, familyOf } from '../../lib/ip/index.ts'
import { apiPort } from '../../lib/standalone/index.ts'

/** Back ends of kube-proxy. */
export type ProxyMode = 'iptables' | 'nftables'

/** The path of a file of the control plane. */
type Path = (name: string) => string

/** Addresses of Services by family. */
export const serviceCidrs: Readonly<Record<Family, string>> = { 4: '10.96.0.0/16', 6: 'fd96::/112' }

/** TCP port on each node at which kube-proxy tells whether it is well. */
export const proxyHealthPort = 10256

const etcdUrl = 'http://127.0.0.1:2379'

export function etcdFlags(path: Path): string[] {
  return [
    `--data-dir=${path('etcd')}`,
    `--listen-client-urls=${etcdUrl}`,
    `--advertise-client-urls=${etcdUrl}`,
    '--listen-peer-urls=http://127.0.0.1:2380',
    // Nothing here outlives the machine.
    '--unsafe-no-fsync',
    '--log-level=warn',
  ]
}

/** @param hosts addresses at which nodes reach it, the first is the one it advertises; none for one without nodes */
export function apiServerFlags(path: Path, hosts: readonly string[]): string[] {
  const [address = '127.0.0.1'] = hosts
  // It wants the family of its own address first.
  const families = familyOf(parseAddress(address)) === 4 ? ([4, 6] as const) : ([6, 4] as const)
  return [
    `--etcd-servers=${etcdUrl}`,
    `--bind-address=${hosts.some((host) => host.includes(':')) ? '::' : '0.0.0.0'}`,
    `--secure-port=${apiPort}`,
    `--advertise-address=${address}`,
    // The endpoints of Service `kubernetes` cannot be a loopback address.
    ...(hosts.length === 0 ? ['--endpoint-reconciler-type=none'] : []),
    `--service-cluster-ip-range=${families.map((family) => serviceCidrs[family]).join(',')}`,
    `--client-ca-file=${path('ca.crt')}`,
    `--tls-cert-file=${path('serving.crt')}`,
    `--tls-private-key-file=${path('serving.key')}`,
    `--token-auth-file=${path('tokens.csv')}`,
    '--authorization-mode=Node,RBAC',
    '--service-account-issuer=https://kubernetes.default.svc.cluster.local',
    `--service-account-key-file=${path('accounts.pub')}`,
    `--service-account-signing-key-file=${path('accounts.key')}`,
    '--profiling=false',
  ]
}

/** @param graceMs milliseconds of silence after which a node is not known to be well */
export function controllerManagerFlags(path: Path, graceMs: number): string[] {
  return [
    `--kubeconfig=${path('admin.kubeconfig')}`,
    `--service-account-private-key-file=${path('accounts.key')}`,
    `--root-ca-file=${path('ca.crt')}`,
    '--leader-elect=false',
    '--bind-address=127.0.0.1',
    `--node-monitor-grace-period=${graceMs}ms`,
    `--node-monitor-period=${Math.min(5000, graceMs / 8)}ms`,
    // Tests do in seconds what a cluster does in hours.
    '--kube-api-qps=200',
    '--kube-api-burst=400',
  ]
}

export function schedulerFlags(path: Path): string[] {
  return [`--kubeconfig=${path('admin.kubeconfig')}`, '--leader-elect=false', '--bind-address=127.0.0.1']
}

/** @param clusterCidrs sources that are not masqueraded */
export function proxyFlags(path: Path, node: string, mode: ProxyMode, clusterCidrs: readonly string[]): string[] {
  return [
    `--kubeconfig=${path('proxy.kubeconfig')}`,
    `--proxy-mode=${mode}`,
    `--hostname-override=${node}`,
    `--cluster-cidr=${clusterCidrs.join(',')}`,
    // 0: leave the sysctls of conntrack alone, which are the machine's or not there in a namespace.
    '--conntrack-max-per-core=0',
    '--conntrack-min=0',
    '--conntrack-tcp-timeout-established=0',
    '--conntrack-tcp-timeout-close-wait=0',
    `--healthz-bind-address=0.0.0.0:${proxyHealthPort}`,
    '--metrics-bind-address=127.0.0.1:10249',
  ]
}
