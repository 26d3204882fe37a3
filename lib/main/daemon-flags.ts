// The daemon's command line (spec/node-agent §3.1): the original's names and defaults, plus our own.
import { featureGatesFlag } from './feature-gates.ts'
import { boolFlag, durationFlag, intFlag, listFlag, stringFlag } from './flags.ts'

const maxInt = 2 ** 31 - 1

export const daemonFlags = {
  kubeconfig: stringFlag('', 'PATH', 'kubeconfig file; KUBECONFIG, then the service account, when empty'),
  'bind-socket': stringFlag(
    '/var/run/hybridnet.sock',
    'PATH',
    'CNI server socket; install-cni and deployments use /run/cni/hybridnet.sock',
  ),
  'state-dir': stringFlag('/run/cni/hybridnet', 'PATH', 'attachment records; must not outlive the network namespaces'),
  'cni-conf-dir': stringFlag(
    '',
    'DIRECTORY',
    'write the CNI configuration here once pods can be served; empty: leave it to install-cni',
  ),
  'cni-conf-name': stringFlag('06-hybridnet.conflist', 'NAME', 'its file name'),
  'cni-conf-template': stringFlag('', 'PATH', 'the configuration to fill in; empty: the one of this package'),
  'cni-bin-dir': stringFlag(
    '/opt/cni/bin',
    'DIRECTORY',
    'where the runtime looks for plugins; chained ones not there are left out',
  ),
  'prefer-interfaces': listFlag([], 'NAME', 'deprecated alias of --prefer-vlan-interfaces'),
  'prefer-vlan-interfaces': listFlag(
    [],
    'NAME',
    'VLAN parent: the first that exists; the default-route interface when empty. Names, globs, cidr:PREFIX',
  ),
  'prefer-vxlan-interfaces': listFlag([], 'NAME', 'VXLAN parent, same rule'),
  'prefer-bgp-interfaces': listFlag([], 'NAME', 'BGP interface, same rule'),
  'health-probe-addr': stringFlag(':11021', 'HOST:PORT', '/live, /ready, /healthz and /readyz'),
  'metrics-addr': stringFlag(':8091', 'HOST:PORT', '/metrics'),
  'bgp-grpc-server-addr': stringFlag('', 'HOST:PORT', 'accepted for compatibility; no BGP management API is served'),
  'local-direct-table': intFlag(39999, 256, maxInt, 'route table of local pods'),
  'to-overlay-table': intFlag(40000, 256, maxInt, 'route table of overlay subnets'),
  'overlay-mark-table': intFlag(40001, 256, maxInt, 'route table of marked replies to nodes'),
  'iptables-check-duration': durationFlag('5s', 'accepted for compatibility; netfilter state is event driven'),
  'vlan-check-timeout': durationFlag('3s', 'deadline of the ARP/ND probes of a VLAN pod'),
  'vxlan-udp-port': intFlag(8472, 1, 65535, 'outer UDP port'),
  'vxlan-base-reachable-time': durationFlag('5s', 'neighbour base reachable time on the VXLAN device'),
  'vxlan-expired-neigh-caches-clear-interval': durationFlag(
    '1h',
    'sweep of stale and failed neighbours on the VXLAN device',
  ),
  'vtep-address-cidrs': listFlag(
    ['0.0.0.0/0', '::/0'],
    'PREFIX',
    'which address of the VXLAN parent is the VTEP address; empty: any',
  ),
  'extra-node-local-vxlan-ip-cidrs': listFlag([], 'PREFIX', 'further node addresses to reach over the overlay'),
  'neigh-gc-thresh1': intFlag(1024, 0, maxInt, 'neighbour table threshold, raised if lower'),
  'neigh-gc-thresh2': intFlag(2048, 0, maxInt, 'neighbour table threshold, raised if lower'),
  'neigh-gc-thresh3': intFlag(4096, 0, maxInt, 'neighbour table threshold, raised if lower'),
  'ipv6-route-cache-max-size': intFlag(524_288, 0, maxInt, 'net.ipv6.route.max_size, raised if lower'),
  'ipv6-route-cache-gc-thresh': intFlag(65_536, 0, maxInt, 'net.ipv6.route.gc_thresh, raised if lower'),
  'enable-vlan-arp-enhancement': boolFlag(true, 'use a pod address as ARP sender on VLAN interfaces'),
  'patch-calico-pod-ips-annotation': boolFlag(true, 'publish pod addresses for Felix'),
  'check-pod-connectivity-from-host': boolFlag(true, 'ping the pod before answering ADD'),
  'update-ipinstance-status': boolFlag(true, 'patch IPInstance.status after ADD'),
  'cni-add-wait-timeout': durationFlag('30s', 'how long ADD waits for addresses and for the dataplane'),
  'vxlan-mtu': intFlag(0, 0, 65535, 'pod MTU on the overlay; 0: parent less 50 (70 with an IPv6 VTEP)'),
  'default-ip-retain': boolFlag(true, 'shared with the manager: stateful pods keep addresses'),
  'stateful-workload-kinds': listFlag(
    ['StatefulSet'],
    'KIND',
    'shared with the manager: owner kinds treated as stateful',
  ),
  'feature-gates': featureGatesFlag('MultiCluster and VMIPRetain; a node works the same with and without them'),
  'log-level': stringFlag('info', 'LEVEL', 'trace, debug, info, warn or error'),
}
