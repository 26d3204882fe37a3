// IPInstances as numbers (api.md §1.3). An address that anything claims stays claimed: where `spec.address.ip` cannot be
// read the object's name gives the address, and where the two differ both are shown, so that an allocator can hold both.
import { familyOf, formatAddress, tryParseMac, type Family, type IPAddress } from '../../ip/index.ts'
import { isReserved, isValidInstance, nodeLabelOf } from '../effective.ts'
import { labelOf, isTerminating, objectKey } from '../meta.ts'
import { LABEL_POD_UID, LABEL_VM } from '../labels.ts'
import { addressFromName } from '../names.ts'
import type { IPInstance } from '../networking.ts'
import { ProblemList, type Parsed } from '../problem.ts'
import { tryParsePlainAddress, tryParsePlainCidr } from './range.ts'

export interface ParsedIPInstance {
  /** "namespace/name". */
  readonly key: string
  readonly namespace: string
  readonly name: string
  readonly network: string
  readonly subnet: string
  readonly family: Family
  readonly address: IPAddress
  /** Of the Subnet's CIDR; the family's width when it cannot be read. */
  readonly prefixLength: number
  /** The address the object's name stands for when that is another one; otherwise null. */
  readonly otherAddress: IPAddress | null
  readonly gateway: IPAddress | null
  /** VLAN id, VNI or AS number, by the Network's mode. */
  readonly netID: number | null
  /** null when it cannot be read. */
  readonly mac: number | null
  /** '' while reserved. */
  readonly nodeName: string
  /** The label, which node daemons select by; normally equal to nodeName. */
  readonly nodeLabel: string
  readonly podName: string
  readonly podUID: string
  readonly podUIDLabel: string
  /** Name of the VirtualMachine, '' for other pods. */
  readonly vm: string
  readonly owner: { readonly kind: string; readonly name: string; readonly uid: string }
  /** Of stateful workloads' pods; otherwise null. */
  readonly ordinal: number | null
  /** No pod runs with it; it waits for its pod to return. */
  readonly reserved: boolean
  /** Of the current data model. */
  readonly valid: boolean
  readonly terminating: boolean
}

function parseAddressField(instance: IPInstance, problems: ProblemList): { address: IPAddress; length: number } | null {
  const text = instance.spec?.address?.ip ?? ''
  const cidr = tryParsePlainCidr(text)
  if (cidr !== null) return cidr
  const field = 'spec.address.ip'
  const address = tryParsePlainAddress(text) ?? addressFromName(instance.metadata.name)
  problems.add(field, instance.spec?.address?.ip, 'an address with prefix length such as 10.0.0.7/24')
  return address === null ? null : { address, length: familyOf(address) === 4 ? 32 : 128 }
}

export function parseIPInstance(instance: IPInstance): Parsed<ParsedIPInstance> {
  const problems = new ProblemList()
  const { metadata, spec } = instance
  const parsed = parseAddressField(instance, problems)
  if (parsed === null) return { value: null, problems: problems.problems }
  const { address, length } = parsed
  const family = familyOf(address)

  const named = addressFromName(metadata.name)
  if (named !== address) problems.add('metadata.name', metadata.name, `the name of ${formatAddress(address)}`)
  const version = spec?.address?.version
  if (version && version !== String(family)) problems.add('spec.address.version', version, `"${family}"`)
  const mac = tryParseMac(spec?.address?.mac ?? '')
  if (mac === null) problems.add('spec.address.mac', spec?.address?.mac, 'a MAC address such as 02:12:34:00:00:01')
  const gatewayText = spec?.address?.gateway ?? ''
  const gateway = gatewayText === '' ? null : tryParsePlainAddress(gatewayText)
  const gatewayFits = gateway !== null && familyOf(gateway) === family
  if (gatewayText !== '' && !gatewayFits) problems.add('spec.address.gateway', gatewayText, `an IPv${family} address`)
  for (const field of ['network', 'subnet'] as const) {
    if (!spec?.[field]) problems.add(`spec.${field}`, spec?.[field], 'a name')
  }

  const binding = spec?.binding
  const value: ParsedIPInstance = {
    key: objectKey(instance),
    namespace: metadata.namespace ?? '',
    name: metadata.name,
    network: spec?.network ?? '',
    subnet: spec?.subnet ?? '',
    family,
    address,
    prefixLength: length,
    otherAddress: named === address ? null : named,
    gateway: gatewayFits ? gateway : null,
    netID: spec?.address?.netID ?? null,
    mac,
    nodeName: binding?.nodeName ?? '',
    nodeLabel: nodeLabelOf(instance),
    podName: binding?.podName ?? '',
    podUID: binding?.podUID ?? '',
    podUIDLabel: labelOf(instance, LABEL_POD_UID),
    vm: labelOf(instance, LABEL_VM),
    owner: {
      kind: binding?.referredObject?.kind ?? '',
      name: binding?.referredObject?.name ?? '',
      uid: binding?.referredObject?.uid ?? '',
    },
    ordinal: binding?.stateful?.index ?? null,
    reserved: isReserved(instance),
    valid: isValidInstance(instance),
    terminating: isTerminating(instance),
  }
  return { value, problems: problems.problems }
}
