// Rules of Subnets (api.md §4.2.2). Ranges are compared as intervals of numbers, never as text, so a /64 costs what a /24
// does and another spelling of the same address is the same address.
//
// Differs from the original on purpose: a Subnet may have any size (a limit is an option), and start, end and excludeIPs of
// a Subnet in use may change as long as every address somebody holds stays inside. CIDR, gateway, netID and Network stay.
import {
  admissionCapacity,
  assignableRanges,
  formatProblem,
  isTerminating,
  parseNetwork,
  parseRange,
  parseRemoteSubnet,
  parseSubnet,
  rangesShareAddress,
  rangeViolation,
  subnetConflict,
  subnetNetworkProblems,
  tryParsePlainAddress,
  type ParsedSubnet,
  type Subnet,
} from '../../api/index.ts'
import { equalPrefixes, rangeContains } from '../../ip/index.ts'
import { deepEqual } from '../../kube/index.ts'
import { ALLOWED, deny, denyProblems, nameProblems, type Decision } from '../decision.ts'
import { describeHolders, type ObjectReads } from '../reads.ts'

export interface SubnetRuleOptions {
  readonly multiCluster: boolean
  /** Addresses a Subnet may hold at most; 0 for any number. */
  readonly capacityLimit: number
}

export async function createSubnet(subnet: Subnet, reads: ObjectReads, options: SubnetRuleOptions): Promise<Decision> {
  const name = denyProblems(nameProblems(subnet.metadata.name))
  return name ?? (await inNetwork(subnet, reads, true)) ?? (await placed(subnet, reads, options)) ?? ALLOWED
}

export async function updateSubnet(
  old: Subnet,
  subnet: Subnet,
  reads: ObjectReads,
  options: SubnetRuleOptions,
): Promise<Decision> {
  if (deepEqual(old.spec ?? null, subnet.spec ?? null)) return ALLOWED
  return (
    changedIdentity(old, subnet) ??
    (await inNetwork(subnet, reads, false)) ??
    (await placed(subnet, reads, options)) ??
    (await strandedAddresses(old, subnet, reads)) ??
    ALLOWED
  )
}

export async function deleteSubnet(subnet: Subnet, reads: ObjectReads): Promise<Decision> {
  const holders = await reads.holdersOfSubnet(subnet.metadata.name)
  if (holders.length === 0) return ALLOWED
  return deny({
    field: 'metadata.name',
    value: subnet.metadata.name,
    why: `${holders.length} addresses of the Subnet are held: ${describeHolders(holders)}`,
    wayOut: 'delete these pods (and the IPInstances of addresses kept for StatefulSets) first',
  })
}

/** What may never change, read as numbers. */
function changedIdentity(old: Subnet, subnet: Subnet): Decision | null {
  const refuse = (field: string, before: unknown, after: unknown): Decision =>
    deny({
      field,
      value: after ?? undefined,
      why: `it cannot be changed from ${before === null ? 'nothing' : JSON.stringify(before)}`,
      wayOut: 'create another Subnet and make this one private until its pods are gone',
    })
  const [before, after] = [old.spec, subnet.spec]
  if (before?.network !== after?.network) return refuse('spec.network', before?.network ?? null, after?.network)
  const [idBefore, id] = [before?.netID ?? null, after?.netID ?? null]
  if (idBefore !== id) return refuse('spec.netID', idBefore, id)
  const [rangeBefore, range] = [parseRange(before?.range).value, parseRange(after?.range).value]
  if (rangeBefore !== null && range !== null) {
    if (!equalPrefixes(rangeBefore.prefix, range.prefix))
      return refuse('spec.range.cidr', before?.range.cidr, after?.range.cidr)
    if (tryParsePlainAddress(before?.range.gateway ?? '') !== tryParsePlainAddress(after?.range.gateway ?? ''))
      return refuse('spec.range.gateway', before?.range.gateway ?? null, after?.range.gateway)
  }
  return null
}

/** Whether it fits its Network. */
async function inNetwork(subnet: Subnet, reads: ObjectReads, creating: boolean): Promise<Decision | null> {
  const name = subnet.spec?.network ?? ''
  if (name === '') {
    return denyProblems([{ field: 'spec.network', value: undefined, expected: 'the name of a Network' }])
  }
  const network = (await reads.topology()).network(name)
  if (network === null) {
    return deny({ field: 'spec.network', value: name, why: 'there is no such Network', wayOut: 'create it first' })
  }
  if (creating && isTerminating(network)) {
    const why = 'the Network is being deleted'
    return deny({
      field: 'spec.network',
      value: name,
      why,
      wayOut: 'name another Network, or wait and create it again',
    })
  }
  const parsed = parseNetwork(network)
  if (parsed.value === null) {
    const why = `the Network itself is not right (${parsed.problems.map(formatProblem).join('; ')})`
    return deny({ field: 'spec.network', value: name, why, wayOut: 'mend the Network first' })
  }
  return denyProblems(subnetNetworkProblems(subnet, parsed.value))
}

/** Whether the range is one, and free of others. */
async function placed(subnet: Subnet, reads: ObjectReads, options: SubnetRuleOptions): Promise<Decision | null> {
  const spec = subnet.spec?.range
  const parsed = parseSubnet(subnet)
  const violation = spec === undefined || spec === null ? null : rangeViolation(spec)
  if (violation !== null) {
    const field = `spec.range.${violation.field}`
    const known = parsed.problems.find((problem) => problem.field === field)
    const value = known?.value ?? spec?.[violation.field as 'cidr']
    return deny({ field, value, why: violation.message, wayOut: `expected ${known?.expected ?? 'another value'}` })
  }
  if (parsed.value === null || parsed.problems.length > 0) return denyProblems(parsed.problems)
  const own = parsed.value
  if (options.capacityLimit > 0 && spec && admissionCapacity(spec) > BigInt(options.capacityLimit)) {
    return deny({
      field: 'spec.range',
      value: spec.cidr,
      why: `it holds ${admissionCapacity(spec)} addresses, more than ${options.capacityLimit}`,
      wayOut: 'narrow it with start and end, or split it into several Subnets',
    })
  }
  return (await overlapping(own, spec?.cidr, reads)) ?? (await overlappingRemote(own, spec?.cidr, reads, options))
}

async function overlapping(own: ParsedSubnet, cidr: unknown, reads: ObjectReads): Promise<Decision | null> {
  const topology = await reads.topology()
  for (const other of topology.subnets()) {
    if (other.metadata.name === own.name) continue
    const theirs = parseSubnet(other).value
    const conflict = theirs === null ? null : subnetConflict(own, theirs)
    if (conflict === null) continue
    const wayOut = {
      'different-cidr': 'use the same CIDR with another start and end, or a CIDR apart from it',
      'different-network': `put it into Network ${JSON.stringify(theirs?.network)}, or choose another CIDR`,
      'same-addresses': 'choose start, end or excludeIPs so that each address is in one Subnet',
    }[conflict.kind]
    return deny({ field: 'spec.range', value: cidr, why: conflict.message, wayOut })
  }
  return null
}

async function overlappingRemote(
  own: ParsedSubnet,
  cidr: unknown,
  reads: ObjectReads,
  options: SubnetRuleOptions,
): Promise<Decision | null> {
  if (!options.multiCluster) return null
  const remote = (await reads.remoteSubnets()).find((one) => {
    const theirs = parseRemoteSubnet(one).value
    return theirs !== null && rangesShareAddress(own, theirs)
  })
  if (remote === undefined) return null
  const why = `RemoteSubnet ${JSON.stringify(remote.metadata.name)} of another cluster has addresses of it`
  return deny({ field: 'spec.range', value: cidr, why, wayOut: 'choose addresses no connected cluster uses' })
}

/** A changed range must keep every address that is held. */
async function strandedAddresses(old: Subnet, subnet: Subnet, reads: ObjectReads): Promise<Decision | null> {
  const range = parseSubnet(subnet).value
  if (range === null || deepEqual(old.spec?.range, subnet.spec?.range)) return null
  const ranges = assignableRanges(range)
  const holders = (await reads.holdersOfSubnet(subnet.metadata.name)).filter(
    ({ address, terminating }) =>
      address !== null && !terminating && !ranges.some((one) => rangeContains(one, address)),
  )
  if (holders.length === 0) return null
  return deny({
    field: 'spec.range',
    value: subnet.spec?.range,
    why: `${holders.length} addresses that are held would be outside: ${describeHolders(holders)}`,
    wayOut: 'keep these addresses inside start, end and out of excludeIPs, or delete the pods first',
  })
}
