// The order of operations. Pure.
//
// On the way in a thing comes after what it needs: devices, their settings, addresses, routes, and only then the rules
// that select a filled table; on the way out the reverse. Additions come before deletions, so that what replaces
// something is there before it goes. Obsolete VXLAN devices go first when a new one comes: the VNI is theirs until then.
// Rules are added from the highest preference down and deleted from the lowest up: the kernel walks its list from the
// head (perf-anchors §6), and the three base rules, which come first, are at the head anyway.
import { compareAddresses } from '../ip/index.ts'
import type { Operation } from './operation.ts'
import { FROM_SUBNET } from './state.ts'

/** Operations of one stage depend on earlier stages only and may share a batch. */
export interface Stage {
  readonly name: string
  readonly operations: readonly Operation[]
}

const STAGES = [
  'settings',
  'old devices',
  'devices',
  'device settings',
  'addresses',
  'routes',
  'rules',
  'neighbours',
  'rules out',
  'routes out',
  'neighbours out',
  'addresses out',
  'devices out',
] as const

type StageName = (typeof STAGES)[number]

function stageOf({ action, record }: Operation, makesVxlan: boolean): StageName {
  const out = action === 'delete'
  switch (record.kind) {
    case 'sysctl':
      return record.link === null ? 'settings' : 'device settings'
    case 'link':
      return out ? (makesVxlan ? 'old devices' : 'devices out') : 'devices'
    case 'address':
      return out ? 'addresses out' : 'addresses'
    case 'route':
      return out ? 'routes out' : 'routes'
    case 'rule':
      return out ? 'rules out' : 'rules'
    case 'proxy':
    case 'fdb':
      return out ? 'neighbours out' : 'neighbours'
  }
}

/** The operations in order, empty stages left out. */
export function plan(operations: readonly Operation[]): Stage[] {
  const stages = new Map<StageName, Operation[]>()
  const makesVxlan = operations.some(({ action, record }) => action !== 'delete' && record.kind === 'link')
  for (const operation of operations) {
    const name = stageOf(operation, makesVxlan)
    const list = stages.get(name)
    if (list === undefined) stages.set(name, [operation])
    else list.push(operation)
  }
  return STAGES.flatMap((name) => {
    const list = stages.get(name)
    return list === undefined ? [] : [{ name, operations: list.sort(byOrder) }]
  })
}

function byOrder(a: Operation, b: Operation): number {
  const x = a.record
  const y = b.record
  if (x.kind === 'rule' && y.kind === 'rule') return ruleOrder(a, b)
  if (x.kind === 'route' && y.kind === 'route') {
    // A gateway is looked up in its own table first, so what makes it reachable comes before.
    return Number(x.gateway !== null) - Number(y.gateway !== null) || x.table - y.table || y.dst.length - x.dst.length
  }
  if (x.kind === 'sysctl' && y.kind === 'sysctl') return x.rank - y.rank
  if (x.kind === 'address' && y.kind === 'address') return compareAddresses(x.address, y.address)
  // VLAN devices may be the parent of nothing of ours, but VXLAN devices may sit on one.
  if (x.kind === 'link' && y.kind === 'link') return Number(x.type === 'vxlan') - Number(y.type === 'vxlan')
  return 0
}

function ruleOrder(a: Operation, b: Operation): number {
  if (a.record.kind !== 'rule' || b.record.kind !== 'rule') return 0
  const [first, second] = [a.priority ?? 0, b.priority ?? 0]
  if (a.action === 'delete') return first - second
  const base = Number(a.record.order === FROM_SUBNET) - Number(b.record.order === FROM_SUBNET)
  if (base !== 0) return base
  return a.record.order === FROM_SUBNET ? second - first : first - second
}
