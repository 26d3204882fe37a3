// Short words for what the allocator's tests say often: texts in, texts out.
import { Allocator, IpamError, type InstanceView, type SubnetConfig } from '../../../lib/ipam/index.ts'
import { formatAddress, parseAddress, parsePrefix } from '../../../lib/ip/index.ts'

/** A range as users write it; `gateway` to `excluded` as texts. */
export interface RangeText {
  start?: string
  end?: string
  gateway?: string
  reserved?: string[]
  excluded?: string[]
  network?: string
  netID?: number
  private?: boolean
  last?: string
}

export function subnet(name: string, cidr: string, range: RangeText = {}): SubnetConfig {
  return {
    name,
    network: range.network ?? 'net',
    cidr: parsePrefix(cidr),
    reserved: (range.reserved ?? []).map(parseAddress),
    excluded: (range.excluded ?? []).map(parseAddress),
    ...(range.start === undefined ? {} : { start: parseAddress(range.start) }),
    ...(range.end === undefined ? {} : { end: parseAddress(range.end) }),
    ...(range.gateway === undefined ? {} : { gateway: parseAddress(range.gateway) }),
    ...(range.last === undefined ? {} : { lastAllocated: parseAddress(range.last) }),
    ...(range.netID === undefined ? {} : { netID: range.netID }),
    ...(range.private === undefined ? {} : { private: range.private }),
  }
}

/** One network "net" with these subnets. */
export function allocatorOf(...subnets: SubnetConfig[]): Allocator {
  const allocator = new Allocator()
  allocator.setNetwork({ name: 'net' })
  for (const config of subnets) allocator.setSubnet(config)
  return allocator
}

export const pod = (name: string, namespace = 'default') => ({ namespace, name, uid: `uid-${name}` })

/** The IPv4 address a pod is given, as text. */
export function allocate(allocator: Allocator, name: string, subnets?: string[]): string {
  const [claim] = allocator.allocate({
    network: 'net',
    pod: pod(name),
    family: 'IPv4Only',
    mac: 0,
    ...(subnets ? { subnets } : {}),
  })
  return formatAddress(claim?.address ?? 0)
}

/** The IPInstance of a pod in subnet "s", bound unless told otherwise. */
export function view(address: string, name: string, fields: Partial<InstanceView> = {}): InstanceView {
  return {
    namespace: 'default',
    uid: `object-${name}`,
    version: 1,
    network: 'net',
    subnet: 's',
    address: parseAddress(address),
    mac: 0,
    pod: name,
    podUID: `uid-${name}`,
    reserved: false,
    terminating: false,
    ...fields,
  }
}

/** The code of the refusal; 'no error' when there is none. */
export function code(run: () => unknown): string {
  try {
    run()
  } catch (error) {
    if (error instanceof IpamError) return error.code
    throw error
  }
  return 'no error'
}
