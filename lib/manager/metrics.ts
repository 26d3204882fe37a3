// The manager's own series (manager.md Appendix C), and further ones for what the original keeps to itself.
import { Counter, Gauge, Summary, type Registry } from '../telemetry/metrics.ts'
import type { NetworkUsage, Usage } from '../ipam/index.ts'

const USAGE_TYPES = ['total', 'used', 'available'] as const

export class ManagerMetrics {
  readonly #networkUsage: Gauge<'networkName' | 'ipFamily' | 'usageType'>
  readonly #subnetUsage: Gauge<'subnetName' | 'networkName' | 'usageType'>
  readonly #allocation: Summary<'allocateType' | 'success'>
  readonly #subnetNetwork = new Map<string, string>()
  /** 1 for each object that cannot be served, by kind and name. */
  readonly refused: Gauge<'kind' | 'name'>
  /** IPInstances that cannot be read as such. */
  readonly malformed: Gauge
  /** Second objects found for an address that somebody holds. */
  readonly duplicates: Counter
  readonly leader: Gauge
  /** Addresses kept for pods that are not there. */
  readonly retained: Gauge
  /** Of these, the ones nobody owns. */
  readonly orphaned: Gauge
  /** Of these, the ones given up because their time was over. */
  readonly expired: Counter
  /** Pods waiting for an address to come free. */
  readonly waiting: Gauge

  constructor(registry: Registry) {
    const registers = [registry]
    this.#networkUsage = new Gauge({
      name: 'ip_usage',
      help: 'Addresses of a network',
      labelNames: ['networkName', 'ipFamily', 'usageType'],
      registers,
    })
    this.#subnetUsage = new Gauge({
      name: 'subnet_ip_usage',
      help: 'Addresses of a subnet',
      labelNames: ['subnetName', 'networkName', 'usageType'],
      registers,
    })
    this.#allocation = new Summary({
      name: 'ip_allocation_period',
      help: 'Time an allocation took, in nanoseconds',
      labelNames: ['allocateType', 'success'],
      percentiles: [0.5, 0.9, 0.99],
      maxAgeSeconds: 600,
      ageBuckets: 5,
      registers,
    })
    this.refused = new Gauge({
      name: 'hybridnet_ipam_refused_objects',
      help: 'Networks and Subnets that are not served as they are; the event on the object says why',
      labelNames: ['kind', 'name'],
      registers,
    })
    this.malformed = new Gauge({
      name: 'hybridnet_ipam_malformed_instances',
      help: 'IPInstances that cannot be read as such',
      registers,
    })
    this.duplicates = new Counter({
      name: 'hybridnet_ipam_duplicate_addresses_total',
      help: 'Objects found for an address another object holds',
      registers,
    })
    this.leader = new Gauge({ name: 'hybridnet_manager_leader', help: '1 while this process leads', registers })
    this.retained = new Gauge({
      name: 'hybridnet_ipam_retained_addresses',
      help: 'Addresses kept for pods that are not there',
      registers,
    })
    this.orphaned = new Gauge({
      name: 'hybridnet_ipam_orphaned_addresses',
      help: 'Addresses kept for pods that are not there and owned by nobody: they stay until they are deleted by hand or expire',
      registers,
    })
    this.expired = new Counter({
      name: 'hybridnet_ipam_expired_addresses_total',
      help: 'Addresses given up because their pod did not come back in time',
      registers,
    })
    this.waiting = new Gauge({
      name: 'hybridnet_manager_waiting_pods',
      help: 'Pods waiting for an address to come free',
      registers,
    })
  }

  setNetwork(network: string, usage: NetworkUsage): void {
    for (const [ipFamily, numbers] of [
      ['ipv4', usage.ipv4],
      ['ipv6', usage.ipv6],
    ] as const) {
      for (const usageType of USAGE_TYPES) {
        this.#networkUsage.set({ networkName: network, ipFamily, usageType }, numbers[usageType])
      }
    }
    const dualStack = { networkName: network, ipFamily: 'dualstack', usageType: 'available' }
    this.#networkUsage.set(dualStack, usage.dualStack.available)
  }

  removeNetwork(network: string): void {
    for (const ipFamily of ['ipv4', 'ipv6', 'dualstack']) {
      for (const usageType of USAGE_TYPES) this.#networkUsage.remove({ networkName: network, ipFamily, usageType })
    }
  }

  setSubnet(subnet: string, network: string, usage: Usage): void {
    if (this.#subnetNetwork.get(subnet) !== network) this.removeSubnet(subnet)
    this.#subnetNetwork.set(subnet, network)
    for (const usageType of USAGE_TYPES) {
      this.#subnetUsage.set({ subnetName: subnet, networkName: network, usageType }, usage[usageType])
    }
  }

  removeSubnet(subnet: string): void {
    const networkName = this.#subnetNetwork.get(subnet)
    if (networkName === undefined) return
    this.#subnetNetwork.delete(subnet)
    for (const usageType of USAGE_TYPES) this.#subnetUsage.remove({ subnetName: subnet, networkName, usageType })
  }

  /** @param since `performance.now()` at the start */
  allocated(allocateType: 'normal' | 'stateful', success: boolean, since: number): void {
    this.#allocation.observe({ allocateType, success: String(success) }, (performance.now() - since) * 1e6)
  }
}
